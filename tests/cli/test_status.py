from tests.cli.place import NEXT_DAY, Place


def test_all_is_well(applied: Place) -> None:
    ran = applied.process("status")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [
        ["Ready", "True"],
        ["Converged", "True"],
        ["Healthy", "True"],
    ]
    assert lines[3].split() == ["TARGET", "STATE", "LAST", "SUCCESS", "AGE", "NEXT", "local", "offsite"]
    assert lines[6].split() == [
        *["wiki/files", "good", "2026-01-20", "03:10Z", "0m", "23h"],
        *(["daily", "0/2,", "weekly", "1/1"] * 2),
    ]


def test_never_ran_is_a_failure(place: Place) -> None:
    ran = place.process("status")
    assert ran.code == 1
    assert "Healthy    False" in ran.out
    assert ran.out.count("never") == 3


def test_why_a_target_fails(applied: Place) -> None:
    applied.now = NEXT_DAY
    for name in ("wiki", "uploads"):
        (applied.root / name).rename(applied.root / f"no-{name}")
    assert applied.run("apply").code == 1
    (applied.root / "no-wiki").rename(applied.root / "wiki")
    out = applied.run("status").out
    assert "error: wiki/files: it is overdue: its newest backup is of 2026-01-20 03:10Z\n" in out
    assert out.count(f"error: shop/uploads: {applied.root}/uploads does not exist\n") == 1


def test_specs_that_ask_for_nothing_are_not_healthy(applied: Place) -> None:
    applied.write("backup.d/shop.yaml", "# shop: moved elsewhere\n")
    ran = applied.run("status")
    assert ran.code == 1
    assert "Healthy    Unknown  the specs ask for no backup\n" in ran.out
    assert applied.run("status", "--markdown").out.startswith("# Backups: the specs ask for none\n")


def test_overdue(applied: Place) -> None:
    applied.now = "2026-01-23T03:10:00Z"
    ran = applied.run("status")
    assert ran.code == 1
    assert "Converged  False" in ran.out


def test_a_destination_that_cannot_be_looked_at(applied: Place) -> None:
    (applied.root / "copies/offsite").rename(applied.root / "unplugged")
    ran = applied.run("status")
    assert ran.code == 1
    assert ran.out.startswith("Ready      False")
    assert ran.out.count("unknown, so nothing is done there") == 1


def test_errors_come_before_what_is_only_good_to_know(applied: Place) -> None:
    applied.write("copies/local/foreign.txt", "not ours")
    (applied.root / "config.ini").unlink()
    lines = applied.run("status").out.splitlines()
    assert [line.partition(":")[0] for line in lines[3:5]] == ["error", "info"]


def test_page_and_picture_are_what_apply_commits(place: Place) -> None:
    place.into_git()
    place.run("apply")
    assert place.run("status", "--markdown").out == place.git("show", "backup-status:STATUS.md")
    assert place.run("status", "--picture").out == place.git("show", "backup-status:status.svg")


def test_it_changes_nothing(applied: Place) -> None:
    applied.now = NEXT_DAY
    before = sorted(applied.root.rglob("*"))
    applied.run("status")
    assert sorted(applied.root.rglob("*")) == before


def test_json_is_what_apply_commits(place: Place) -> None:
    place.into_git()
    place.run("apply")
    ran = place.process("status", "--output", "json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == place.git("show", "backup-status:status.json")


def test_an_objective_that_is_missed_is_told_once_and_ends_with_1(applied: Place) -> None:
    text = (applied.root / "backup.d/shop.yaml").read_text()
    applied.write("backup.d/shop.yaml", text.replace("  targets:", "  maxAge: 26h\n  targets:"))
    assert applied.run("status").code == 0
    applied.now = "2026-01-21T05:11:00Z"
    ran = applied.run("status")
    assert ran.code == 1
    told = "wiki/files: its newest backup, of 2026-01-20 03:10Z, is older than maxAge allows (26h)"
    assert ran.out.count(told) == 1
    assert applied.run("plan").code == 2, "the plan mends it"
    (applied.root / "wiki").rename(applied.root / "no-wiki")
    plan = applied.run("plan")
    assert plan.code == 1
    assert f"error: {told}" in plan.out + plan.err
    assert applied.run("apply").code == 1
    (applied.root / "no-wiki").rename(applied.root / "wiki")
    assert applied.run("apply").code == 0
    assert applied.run("status").code == 0


def test_a_copy_that_another_one_was_made_of_is_verified(applied: Place) -> None:
    (lost,) = applied.copies("offsite", "wiki*")
    lost.unlink()
    lost.with_name(f"{lost.name}.json").unlink()
    assert applied.run("apply").code == 0
    assert "#verified" in applied.run("status", "--picture").out
    told = applied.run("status", "--output", "json").json
    (wiki,) = (target for target in told["targets"] if target["service"] == "wiki")
    states = {
        holding["destination"]: [slot["state"] for tier in holding["tiers"] for slot in tier["slots"]]
        for holding in wiki["holdings"]
    }
    assert states == {"local": ["verified"], "offsite": ["held"]}
