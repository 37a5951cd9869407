"""Which containers could change what is read."""

from pathlib import Path

import pytest

from reconciler.holders import holders
from reconciler.model import Uses
from reconciler.ports import Container, Mount, Volume

VOLUME = Mount("volume", "/d", "data", "/var/lib/docker/volumes/data/_data")
BIND = Mount("bind", "/d", "", "/srv/app/files")


@pytest.mark.parametrize(
    ("mount", "uses", "holds"),
    [
        (VOLUME, Uses(volumes=("data",)), True),
        (VOLUME, Uses(volumes=("data2", "dat")), False),
        (VOLUME, Uses(paths=("/var/lib/docker/volumes/data/_data/sub",)), True),
        (VOLUME, Uses(paths=("/var/lib/docker/volumes",)), True),
        (VOLUME, Uses(paths=("/var/lib/docker/volumes/data2",)), False),
        (BIND, Uses(paths=("/srv/app/files",)), True),
        (BIND, Uses(paths=("/srv/app",)), True),
        (BIND, Uses(paths=("/srv/app/files/deep/down",)), True),
        (BIND, Uses(paths=("/srv/app/files2",)), False),
        (BIND, Uses(paths=("/srv/app/file",)), False),
        (BIND, Uses(), False),
        (Mount("bind", "/d", "", "/"), Uses(paths=("/srv",)), True),
        (Mount("tmpfs", "/d"), Uses(paths=("/",), volumes=("",)), False),
        (Mount("volume", "/d", "data", "/x", writable=False), Uses(volumes=("data",)), False),
        (Mount("bind", "/d", "", "/srv", writable=False), Uses(paths=("/srv",)), False),
    ],
)
def test_holders(mount: Mount, uses: Uses, holds: bool) -> None:
    container = Container(id="1", name="app", state="running", mounts=(mount,))
    assert bool(holders([container], uses)) is holds


def test_they_come_by_name_and_stopped_ones_too() -> None:
    containers = [
        Container(id=name, name=name, state=state, mounts=(VOLUME,))
        for name, state in (("web", "running"), ("db", "exited"))
    ]
    assert [item.name for item in holders(containers, Uses(volumes=("data",)))] == ["db", "web"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    mount = Mount("bind", "/d", "", str(tmp_path / "real"))
    container = Container(id="1", name="app", state="running", mounts=(mount,))
    assert holders([container], Uses(paths=(str(tmp_path / "link" / "below"),)))


def test_a_volume_may_be_a_name_for_a_folder() -> None:
    named = Volume(
        "media", "/var/lib/docker/volumes/media/_data", options={"o": "rw,bind", "device": "/srv/media"}
    )
    by_name = Container(
        id="1", name="name", state="running", mounts=(Mount("volume", "/m", "media", named.mountpoint),)
    )
    by_path = Container(
        id="2", name="path", state="running", mounts=(Mount("bind", "/m", "", "/srv/media/films"),)
    )
    both = [by_name, by_path]
    assert holders(both, Uses(volumes=("media",)), [named]) == (by_name, by_path)
    assert holders(both, Uses(paths=("/srv",)), [named]) == (by_name, by_path)
    other = Volume(
        "media", named.mountpoint, options={"type": "nfs", "device": ":/srv/media", "o": "addr=10.0.0.1"}
    )
    assert holders(both, Uses(paths=("/srv",)), [other]) == (by_path,)
