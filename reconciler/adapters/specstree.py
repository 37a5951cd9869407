"""The specs of the commit in force, as files in a private folder: always at the same path. Used by ``sources``.

It is replaced as a whole, so a kill leaves the old specs or the new ones. Hostile trees cost an error: names are checked,
links stay inside, and sizes have limits.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from reconciler.adapters.clone import Clone
from reconciler.adapters.objects import Blob, TooMuchError
from reconciler.errors import SpecError

MOST_FILES = 2000
MOST_BYTES = 16 * 1024 * 1024
DEEPEST = 50
_LINK = "120000"
_HOPS = 40  # as Linux has it
_COMMIT = "commit"
_VERIFIED = "verified"
_FILES = "files"


class SpecsTree:
    """The folder ``specs`` below ``folder``: the commit's name, and the files of one path in it."""

    def __init__(self, folder: Path, path: str) -> None:
        self._now = folder / "specs"
        self._next = folder / "specs.next"
        self._old = folder / "specs.old"
        self._path = path

    @property
    def path(self) -> str:
        """The path in the repository."""
        return self._path

    @property
    def root(self) -> Path:
        """What stands for the repository's top folder."""
        return self._now / _FILES

    @property
    def specs(self) -> Path:
        """Where the specs in force are."""
        return self.root / self._path

    @property
    def candidate(self) -> Path:
        """Where those are that ``write`` wrote."""
        return self._next / _FILES / self._path

    def commit(self, *, verified: bool) -> str | None:
        """The commit in force; None before the first one. ``verified``: one whose signature nobody looked at does not count."""
        if not self._now.exists() and self._old.exists():
            self._old.rename(self._now)  # a kill between the two renames of ``enforce``
        if verified and not (self._now / _VERIFIED).exists():
            return None
        try:
            return (self._now / _COMMIT).read_text(encoding="ascii")
        except FileNotFoundError:
            return None

    def write(self, clone: Clone, commit: str, *, verified: bool) -> None:
        """Write the files of a commit beside those in force. Raises SpecError when they cannot be, GitError when git fails."""
        self.discard()
        files = self._next / _FILES
        files.mkdir(parents=True, mode=0o700)
        for blob in (blobs := _bounded(clone, commit, self._path)):
            try:
                _put(clone, blob, files / _checked(blob))
            except (OSError, ValueError) as error:
                raise SpecError((f"{blob.path}: cannot be written: {error}",)) from None
        _check_links(files, [_checked(blob) for blob in blobs if blob.mode == _LINK], self._path)
        (self._next / _COMMIT).write_text(commit, encoding="ascii")
        if verified:
            (self._next / _VERIFIED).touch()

    def enforce(self) -> None:
        """Let what ``write`` wrote be the specs in force."""
        shutil.rmtree(self._old, ignore_errors=True)
        _sync(self._next)
        if self._now.exists():
            self._now.rename(self._old)
        self._next.rename(self._now)
        _sync_one(self._now.parent)
        shutil.rmtree(self._old, ignore_errors=True)

    def discard(self) -> None:
        """Remove what ``write`` wrote."""
        shutil.rmtree(self._next, ignore_errors=True)


def _put(clone: Clone, blob: Blob, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if blob.mode == _LINK:
        place.symlink_to(os.fsdecode(clone.content(blob)))
        return
    place.touch(mode=0o700 if blob.mode == "100755" else 0o600, exist_ok=False)
    place.write_bytes(clone.content(blob))


def _bounded(clone: Clone, commit: str, path: str) -> list[Blob]:
    try:
        blobs = list(clone.blobs(commit, path))
    except TooMuchError:
        raise SpecError((f"{path}: holds so many files that they cannot be listed",)) from None
    if not blobs:
        raise SpecError((f"{path}: there is no such folder in this commit",))
    _check_folders(blobs)  # so nothing is written through a link
    if len(blobs) > MOST_FILES or sum(blob.size for blob in blobs) > MOST_BYTES:
        size = sum(blob.size for blob in blobs)
        why = (
            f"{path}: holds {len(blobs)} files of {size} bytes, and a folder of specs has at most {MOST_FILES} files and "
            f"{MOST_BYTES // 2**20} MiB. Keep data elsewhere, or name a smaller folder with --path"
        )
        raise SpecError((why,))
    return blobs


def _check_folders(blobs: list[Blob]) -> None:
    """A tree that was made by hand can have one name twice, as a link and as a folder."""
    files = {PurePosixPath(blob.path) for blob in blobs}
    for folder in (folder for file in files for folder in file.parents):
        if folder in files:
            raise SpecError((f"{folder}: is a file and a folder at once",))


def _checked(blob: Blob) -> PurePosixPath:
    """The path of a file, relative and without ways out."""
    path = PurePosixPath(blob.path)
    if path.is_absolute() or {"..", ".git"} & {part.lower() for part in path.parts}:
        raise SpecError((f"{blob.path}: is no name that a repository may have",))
    if len(path.parts) > DEEPEST:
        raise SpecError((f"{blob.path[:100]}…: lies deeper than {DEEPEST} folders",))
    return path


def _check_links(files: Path, places: Sequence[PurePosixPath], path: str) -> None:
    """Follow them by hand, so that none counts on how the folder is called now: it gets another name when it is in force."""
    links = {place.parts: os.readlink(files / place).split("/") for place in places}
    base = PurePosixPath(os.path.normpath(path)).parts
    for place in links:
        if not _stays(place, links, base):
            why = f"{'/'.join(place)}: a link that leaves the folder of the specs, or leads to itself: put the file there itself"
            raise SpecError((why,))


def _stays(place: tuple[str, ...], links: Mapping[tuple[str, ...], list[str]], base: tuple[str, ...]) -> bool:
    """Whether what is at ``place`` lies below ``base``, and every step on the way there does."""
    todo, here, hops = list(reversed(place)), list[str](), 0
    while todo:
        if (part := todo.pop()) in ("", "."):
            continue
        if part == "..":
            if len(here) <= len(base):
                return False
            here.pop()
            continue
        here.append(part)
        if target := links.get(tuple(here)):
            here.pop()
            hops += 1
            if hops > _HOPS or not target[0]:  # the empty first part of an absolute one
                return False
            todo.extend(reversed(target))
    return tuple(here[: len(base)]) == base


def _sync(folder: Path) -> None:
    """Have everything below a folder on disk."""
    for here, _, names in os.walk(folder):
        for name in names:
            if not (Path(here) / name).is_symlink():
                _sync_one(Path(here) / name)
        _sync_one(Path(here))


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
