"""``kind: Restore``: a restore as a commit, done once."""

from tests.cli.place import NEXT_DAY, Place
from tests.trees import snapshot

ORDER = """\
apiVersion: reconciler/v1
kind: Restore
metadata: {{name: {name}}}
spec:
  target: {{service: shop, type: uploads}}
  {more}
"""


def order(place: Place, more: str, name: str = "after-bad-upgrade") -> None:
    place.write("backup.d/restore.yaml", ORDER.format(name=name, more=more))


def test_it_is_planned_done_once_and_remembered(place: Place) -> None:
    place.into_git()
    applied = place
    assert applied.run("apply").code == 0
    before = snapshot(applied.root / "uploads")
    applied.write("uploads/photo.jpg", "damaged")
    order(applied, "overwrite: true")
    planned = applied.run("plan")
    assert planned.code == 2
    assert "~ restore   shop/uploads" in planned.out
    ran = applied.run("apply")
    assert ran.code == 0, ran.err
    assert snapshot(applied.root / "uploads") == before
    (told,) = applied.run("status", "--output", "json").json["restores"]
    assert (told["name"], told["state"], told["target"]) == ("after-bad-upgrade", "done", "shop/uploads")
    applied.write("uploads/photo.jpg", "newer work")
    assert "restore" not in applied.run("apply").out
    assert (applied.root / "uploads/photo.jpg").read_text() == "newer work"


def test_another_place_and_a_time(applied: Place) -> None:
    before = snapshot(applied.root / "uploads")
    applied.write("uploads/photo.jpg", "of the next day")
    applied.now = NEXT_DAY
    applied.run("apply")
    order(applied, 'at: "2026-01-20T12:00:00Z"\n  to: {path: ../look}')
    assert applied.run("apply").code == 0
    assert snapshot(applied.root / "look") == before
    assert (applied.root / "uploads/photo.jpg").read_text() == "of the next day"


def test_data_is_not_replaced_unasked_and_it_is_not_tried_again_by_itself(applied: Place) -> None:
    order(applied, "to: {path: ../uploads}")
    before = snapshot(applied.root / "uploads")
    failed = applied.run("apply")
    assert failed.code == 1
    assert "holds data" in failed.err
    again = applied.run("apply")
    assert again.code == 1
    assert "is not tried again by itself" in again.err
    assert snapshot(applied.root / "uploads") == before
    applied.write("uploads/photo.jpg", "damaged")
    order(applied, "overwrite: true")  # another document now
    assert applied.run("apply").code == 0
    assert snapshot(applied.root / "uploads") == before


def test_one_that_died_half_way_is_not_repeated(applied: Place) -> None:
    from reconciler.adapters.journal import FileJournal
    from reconciler.spec import load

    order(applied, "overwrite: true")
    fleet, _ = load(applied.root / "backup.d")
    note = f"restore-after-bad-upgrade-{fleet.restores[0].digest}"
    FileJournal(applied.root / "state").remember(note, b"begun")
    applied.write("uploads/photo.jpg", "newer work")
    ran = applied.run("apply")
    assert ran.code == 1
    assert "it was interrupted" in ran.err
    assert (applied.root / "uploads/photo.jpg").read_text() == "newer work"


def test_a_fresh_clone_does_not_repeat_an_old_restore_over_live_data(applied: Place) -> None:
    order(applied, "overwrite: true")
    applied.write("uploads/photo.jpg", "live")
    for path in (applied.root / "backup.d").rglob("status.json"):
        path.unlink()
    for path in applied.root.rglob("*status*"):
        if path.is_file():
            path.unlink()
    ran = applied.run("apply")
    assert ran.code == 1
    assert "nothing here remembers" in ran.err
    assert (applied.root / "uploads/photo.jpg").read_text() == "live"


def test_no_artifact_is_an_error_that_may_pass(applied: Place) -> None:
    order(applied, 'at: "2020-01-01T00:00:00Z"\n  overwrite: true')
    assert "there is no copy of shop/uploads made at or before" in applied.run("apply").err
