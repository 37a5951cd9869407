import pytest

from tests.cli.place import NEXT_DAY, Place

ALL = ("delete", "shop/uploads", "--all")


def test_it_shows_what_goes_and_asks(applied: Place) -> None:
    applied.now = NEXT_DAY
    applied.run("apply")
    before = applied.copies("local")
    refused = applied.process("delete", "shop/uploads", "--before", "2026-01-21T00:00:00Z")
    assert refused.code == 1
    assert "- monthly/shop_uploads_2026-01-20T031000Z" in refused.err or "- weekly/" in refused.err
    assert applied.copies("local") == before


def test_chosen_copies_go_everywhere_and_the_report_says_so(applied: Place) -> None:
    applied.now = NEXT_DAY
    applied.run("apply")
    ran = applied.run("delete", "shop/uploads", "--before", "2026-01-21T00:00:00Z", "--yes")
    assert ran.code == 0, ran.err
    assert (
        len(applied.copies("local", "shop_uploads_*"))
        == len(applied.copies("offsite", "shop_uploads_*"))
        == 1
    )
    assert [
        item["action"] for item in applied.run("status", "--output", "json").json["lastRun"]["outcomes"]
    ] == [
        "prune",
        "prune",
    ]
    assert applied.run("restore", "shop/uploads", "--to", f"path:{applied.root}/back").code == 0
    assert (applied.root / "back/photo.jpg").read_bytes() == (applied.root / "uploads/photo.jpg").read_bytes()


@pytest.mark.parametrize("more", [(), ("--yes",)])
def test_the_last_good_copy_stays_without_force(applied: Place, more: tuple[str, ...]) -> None:
    before = applied.copies("local") + applied.copies("offsite")
    refused = applied.run(*ALL, *more)
    assert refused.code == 1
    assert "no good copy of shop/uploads would be left" in refused.err
    assert applied.copies("local") + applied.copies("offsite") == before
    assert applied.run(*ALL, "--from", "local", "--yes").code == 0
    assert applied.run(*ALL, "--from", "offsite", "--yes").code == 1
    assert applied.run(*ALL, "--yes", "--force").code == 0
    assert applied.copies("offsite", "shop_uploads_*") == []


def test_a_copy_deleted_in_one_place_comes_back_from_the_other(applied: Place) -> None:
    assert applied.run(*ALL, "--from", "local", "--yes").code == 0
    assert "~ replicate" in applied.run("apply").out
    assert len(applied.copies("local", "shop_uploads_*")) == 1


def test_orphans_can_be_deleted(applied: Place) -> None:
    specs = applied.root / "backup.d/shop.yaml"
    specs.write_text(specs.read_text().replace("    - {name: wiki, kind: path, path: ../wiki}\n", ""))
    assert applied.run("delete", "wiki", "--all", "--force", "--yes").code == 0
    assert applied.copies("local", "wiki_*") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("shop/uploads",), "say which copies"),
        (("shop/uploads", "--all", "--at", "2026-01-20T03:10Z"), "say which copies"),
        (("shop/uploads", "--at", "2020-01-20T03:10Z"), "there is no such copy"),
        (("shpo", "--all"), "did you mean shop"),
        (("shop/uploads", "--at", "yesterday"), "yesterday"),
    ],
)
def test_what_is_meant_must_be_clear(applied: Place, arguments: tuple[str, ...], said: str) -> None:
    before = applied.copies("local")
    refused = applied.run("delete", *arguments, "--yes")
    assert refused.code != 0
    assert said in refused.err
    assert applied.copies("local") == before
