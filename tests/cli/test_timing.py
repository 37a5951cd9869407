"""What stands beside a schedule, from the spec to the copies that there are."""

from tests.cli.place import Place


def copies(place: Place) -> int:
    return len([*(place.root / "copies/local").rglob("wiki_files_*.tar.zst")])


def add(place: Place, line: str) -> None:
    spec = place.root / "backup.d/shop.yaml"
    spec.write_text(spec.read_text().replace("  targets:", f"  {line}\n  targets:"))


def test_a_suspension_ends_by_itself(place: Place) -> None:
    add(place, 'suspend: {until: "2026-01-21", reason: the disk is being moved}')
    place.now = "2026-01-20T23:59:59Z"
    ran = place.run("apply")
    assert (ran.code, copies(place)) == (0, 0)
    assert (
        "suspended by backup.d/shop.yaml:1 until 2026-01-21 00:00Z: the disk is being moved"
        in ran.out + ran.err
    )
    status = place.run("status", "--output", "json").json
    assert {item["nextRun"] for item in status["targets"]} == {"2026-01-21T00:00:00Z"}
    place.now = "2026-01-21T00:00:00Z"
    assert (place.run("apply").code, copies(place)) == (0, 1)
    assert place.run("plan").code == 0


def test_what_is_due_waits_for_the_end_of_a_blackout_and_is_made_once(place: Place) -> None:
    add(place, 'blackout: [{from: "02:00", to: "05:00"}]')
    spec = place.root / "backup.d/shop.yaml"
    assert place.run("validate").code == 1, "every slot lies in it"
    spec.write_text(
        spec.read_text()
        .replace('"0 3 * * *"', '"0 3,12 * * *"')
        .replace("{daily: 2,", "{hourly: 9, daily: 2,")
    )
    place.now = "2026-01-20T03:10:00Z"
    ran = place.run("apply")
    assert (ran.code, copies(place)) == (0, 0)
    assert "it waits for the end of a blackout, 2026-01-20 05:00Z" in ran.out + ran.err
    place.now = "2026-01-20T05:00:00Z"
    assert (place.run("apply").code, copies(place)) == (0, 1)
    place.now = "2026-01-20T11:59:00Z"
    assert (place.run("apply").code, copies(place)) == (0, 1)
    assert place.run("status").code == 0


def test_targets_begin_one_after_the_other_with_a_jitter(place: Place) -> None:
    add(place, "jitter: 2h")
    place.now = "2026-01-19T23:00:00Z"
    assert place.run("apply").code == 0, "the slot of the day before"
    begins = {
        f"{item['service']}/{item['type']}": item["nextRun"]
        for item in place.run("status", "-o", "json").json["targets"]
    }
    assert len(set(begins.values())) == len(begins) == 3
    assert all("2026-01-20T03:00:00Z" <= moment < "2026-01-20T05:00:00Z" for moment in begins.values())
    for made, place.now in enumerate(sorted(begins.values()), start=1):
        assert place.run("apply").code == 0
        names = {
            path.name.rpartition("_daily")[0]
            for path in (place.root / "copies/local").rglob("*_2026-01-20T*.zst")
        }
        assert len(names) == made
