from tests.cli.place import NEXT_DAY, Place


def test_nothing(place: Place) -> None:
    ran = place.process("list")
    assert (ran.code, ran.out, ran.err) == (0, "There are no copies.\n", "")


def test_every_copy_newest_first(applied: Place) -> None:
    applied.now = NEXT_DAY
    applied.run("apply")
    lines = applied.run("list", "--only", "wiki/files").out.splitlines()
    assert [line.split() for line in lines[1:5]] == [
        ["wiki/files", tier, day, "03:10Z", age, size, "B", place, tier, "1", "of", count]
        for tier, day, age, count in (("daily", "2026-01-21", "0m", "2"), ("weekly", "2026-01-20", "1d", "1"))
        for place, size in (("local", lines[1].split()[5]), ("offsite", lines[2].split()[5]))
    ]
    assert lines[0].split() == ["TARGET", "TIER", "TIME", "AGE", "SIZE", "AT", "KEPT"]
    assert lines[-1].startswith("4 copies, ")


def test_only_a_service(applied: Place) -> None:
    assert applied.run("list", "--only", "shop").out.splitlines()[-1].startswith("4 copies, ")


def test_only_what_nobody_made(applied: Place) -> None:
    assert applied.run("list", "--only", "wikki").out == "There are no copies of wikki.\n"


def test_a_broken_copy_and_an_orphan(applied: Place) -> None:
    applied.copies("offsite", "wiki_*")[0].unlink()
    applied.write(
        "backup.d/shop.yaml",
        "\n".join(
            line
            for line in (applied.root / "backup.d/shop.yaml").read_text().splitlines()
            if "config" not in line
        ),
    )
    out = applied.run("list").out
    assert "broken: its data is missing" in out
    assert out.count("orphan: kept") == 2


def test_a_destination_that_cannot_be_read(applied: Place) -> None:
    offsite = applied.root / "copies/offsite"
    offsite.rename(applied.root / "unplugged")
    ran = applied.process("list")
    assert ran.code == 1
    assert ran.err.startswith("error: destination offsite: ")
    assert ran.out.splitlines()[-1].startswith("3 copies, ")


def test_where_nothing_can_be_looked_at_nothing_is_claimed(applied: Place) -> None:
    for name in ("local", "offsite"):
        (applied.root / "copies" / name).rename(applied.root / name)
    ran = applied.process("list")
    assert (ran.code, ran.out) == (1, "There are no copies where a destination could be looked at.\n")
    assert ran.err.count("error: destination ") == 2


def test_json(applied: Place) -> None:
    ran = applied.process("list", "--output", "json")
    assert (ran.code, ran.err) == (0, "")
    assert [copy["destination"] for copy in ran.json["copies"]] == ["local", "offsite"] * 3
    assert {copy["kept"] for copy in ran.json["copies"]} == {"weekly 1 of 1"}
    for copy in ran.json["copies"]:
        assert (applied.root / "copies" / copy["destination"] / copy["key"]).stat().st_size == copy["size"]
