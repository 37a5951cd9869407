"""One fleet on several machines: each carries out the Backups that name it, and those that name none."""

from tests.cli.place import Place

ON_NAS = """\
apiVersion: reconciler/v1
kind: Backup
metadata: {{name: on-nas}}
spec:
  node: nas
  schedule: "@daily"
  destinations: [local]
  targets:
    - {{name: nas, kind: path, path: '{data}'}}
"""


def test_another_machine_leaves_it_alone_and_calls_nothing_an_orphan(place: Place) -> None:
    data = place.root / "nas"
    data.mkdir()
    (data / "file").write_text("of the nas")
    place.write("backup.d/nas.yaml", ON_NAS.format(data=data))
    place.env["RECONCILER_NODE"] = "laptop"
    assert "nas/files" not in place.run("apply").out
    place.env["RECONCILER_NODE"] = "nas"
    assert "+ create    nas/files" in place.run("apply").out
    (copy,) = place.copies("local", "nas_files_*")
    place.env["RECONCILER_NODE"] = "laptop"
    status = place.run("status")
    assert "orphan" not in status.out + place.run("plan").out
    assert copy.exists()


def test_the_one_that_made_it_restores_it(place: Place) -> None:
    data = place.root / "nas"
    data.mkdir()
    (data / "file").write_text("of the nas")
    place.write("backup.d/nas.yaml", ON_NAS.format(data=data))
    place.env["RECONCILER_NODE"] = "nas"
    assert place.run("apply").code == 0
    assert place.run("restore", "nas", "--to", f"path:{place.root}/back").code == 0
    assert (place.root / "back" / "file").read_text() == "of the nas"
