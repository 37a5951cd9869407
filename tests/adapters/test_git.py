"""The git port against real repositories of every shape; each one must pass ``git fsck`` afterwards."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.adapters import git
from reconciler.adapters.git import GitRepository
from reconciler.errors import GitError

BRANCH = "backup-status"
TIME = datetime(2026, 1, 20, 3, 0, tzinfo=UTC)
FILES = {"STATUS.md": b"# Good\n", "status.json": b'{"a": "\xc3\xa9\\r\\n"}\r\n'}


def run(folder: Path, *arguments: str) -> str:
    identity = (
        "-c",
        "user.name=Ann",
        "-c",
        "user.email=ann@example.org",
        "-c",
        "i18n.logOutputEncoding=UTF-8",
    )
    done = subprocess.run(
        ["git", "-C", folder, *identity, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def make(folder: Path, *options: str) -> Path:
    folder.mkdir()
    run(folder, "init", "-q", "-b", "main", *options)
    (folder / "backup.d").mkdir()
    (folder / "backup.d" / "a.yaml").write_text("kind: Backup\n")
    return folder


def with_commit(folder: Path, *options: str) -> Path:
    make(folder, *options)
    run(folder, "add", ".")
    run(folder, "commit", "-q", "-m", "Specs")
    return folder


def plain(folder: Path) -> Path:
    return with_commit(folder)


def empty(folder: Path) -> Path:
    return make(folder)


def dirty(folder: Path) -> Path:
    with_commit(folder)
    (folder / "staged").write_text("staged\n")
    run(folder, "add", "staged")
    (folder / "backup.d" / "a.yaml").write_text("kind: Changed\n")
    (folder / "untracked").write_text("untracked\n")
    return folder


def detached(folder: Path) -> Path:
    with_commit(folder)
    run(folder, "checkout", "-q", "--detach")
    return folder


def linked(folder: Path) -> Path:
    main = with_commit(folder.with_name("main-tree"))
    run(main, "worktree", "add", "-q", "-b", "side", str(folder))
    return folder


def sha256(folder: Path) -> Path:
    return with_commit(folder, "--object-format=sha256")


def bare_with_work_tree(folder: Path) -> Path:
    """As people keep their home in git: the repository says that it is bare."""
    with_commit(folder)
    run(folder, "config", "core.bare", "true")
    return folder


def inside_bare(folder: Path) -> Path:
    folder.mkdir()
    run(folder, "init", "-q", "--bare", "-b", "main")
    return folder


def nasty_settings(folder: Path) -> Path:
    with_commit(folder)
    settings = {
        "commit.gpgSign": "true",
        "gpg.program": "/bin/false",
        "core.autocrlf": "true",
        "i18n.commitEncoding": "ISO-8859-1",
        "user.useConfigOnly": "true",
        "core.logAllRefUpdates": "false",
    }
    for key, value in settings.items():
        run(folder, "config", key, value)
    (folder / ".git" / "info" / "attributes").write_text("* text eol=crlf filter=gone\n")
    hook = folder / ".git" / "hooks" / "reference-transaction"
    hook.write_text(f"#!/bin/sh\ntouch {folder}/hook-ran\nexit 1\n")
    hook.chmod(0o755)
    return folder


SHAPES: list[Callable[[Path], Path]] = [
    plain,
    empty,
    dirty,
    detached,
    linked,
    sha256,
    bare_with_work_tree,
    inside_bare,
    nasty_settings,
]


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[Path]:
    folder = with_commit(tmp_path / "repo")
    yield folder
    fsck(folder)


def fsck(folder: Path) -> None:
    done = subprocess.run(
        ["git", "-C", folder, "fsck", "--strict", "--full"], capture_output=True, text=True, check=True
    )
    assert "missing" not in done.stdout + done.stderr
    assert "broken" not in done.stdout + done.stderr


def opened(path: Path) -> GitRepository:
    found = git.find(path)
    assert found is not None
    return found


def tree_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of the work tree and git's own view of it (HEAD, index), with modification times."""
    kept = [
        path for path in folder.rglob("*") if path.is_file() and ".git" not in path.relative_to(folder).parts
    ]
    dot = folder / ".git"
    own = Path(run(folder, "rev-parse", "--absolute-git-dir"))
    kept += [path for path in (dot, own / "HEAD", own / "index") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in kept}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_commits_touch_the_branch_and_nothing_else(shape: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = shape(tmp_path / "repo")
    objects_only = shape is inside_bare
    before = None if objects_only else tree_of(folder)
    repository = opened(folder / "backup.d")
    head = repository.head()
    assert repository.read(BRANCH, "STATUS.md") is None

    first = repository.commit(BRANCH, FILES, "One: é", TIME)
    again = repository.commit(BRANCH, dict(reversed(FILES.items())), "Same files", TIME)
    second = repository.commit(BRANCH, {"status.json": b"2"}, "Two", TIME)

    assert again is None
    assert run(folder, "log", "--format=%H %P|%s|%an|%at|%ct", BRANCH).splitlines() == [
        f"{second} {first}|Two|reconciler|{TIME.timestamp():.0f}|{TIME.timestamp():.0f}",
        f"{first} |One: é|reconciler|{TIME.timestamp():.0f}|{TIME.timestamp():.0f}",
    ]
    raw = subprocess.run(
        ["git", "-C", folder, "cat-file", "blob", f"{first}:status.json"], capture_output=True, check=True
    )
    assert raw.stdout == FILES["status.json"]
    assert repository.read(BRANCH, "status.json") == b"2"
    assert repository.read(BRANCH, "STATUS.md") is None
    assert repository.head() == head
    assert before is None or tree_of(folder) == before
    fsck(folder)


def test_head_is_the_commit_that_is_checked_out(tmp_path: Path) -> None:
    assert opened(empty(tmp_path / "empty")).head() is None
    folder = linked(tmp_path / "linked")
    assert opened(folder / "backup.d").head() == run(folder, "rev-parse", "HEAD")
    assert len(opened(sha256(tmp_path / "sha256")).head() or "") == 64


def test_the_configured_name_signs(repo: Path) -> None:
    run(repo, "config", "user.name", "Ops Team")
    run(repo, "config", "user.email", "ops@example.org")
    opened(repo).commit(BRANCH, FILES, "One", TIME)
    assert run(repo, "log", "--format=%an <%ae> %cn <%ce>", BRANCH) == (
        "Ops Team <ops@example.org> Ops Team <ops@example.org>"
    )


# --- finding ---------------------------------------------------------------------------------------------------------


def test_find_looks_upwards_from_files_and_folders_that_do_not_exist(repo: Path) -> None:
    head = run(repo, "rev-parse", "HEAD")
    for path in (
        repo,
        repo / "backup.d",
        repo / "backup.d" / "a.yaml",
        repo / "backup.d" / "gone" / "b.yaml",
    ):
        assert opened(path).head() == head


def test_outside_a_repository_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()  # git takes an empty one for nothing too
    monkeypatch.setenv("PATH", "")
    assert git.find(tmp_path) is None


def test_without_the_git_program_a_repository_is_an_error(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/nonexistent")
        with pytest.raises(GitError, match="no git program in PATH; install git"):
            git.find(repo)


def test_a_broken_repository_is_not_taken_for_none(tmp_path: Path) -> None:
    folder = plain(tmp_path / "repo")
    (folder / ".git" / "HEAD").write_text("garbage\n")
    with pytest.raises(GitError, match="not a git repository"):
        git.find(folder)


def test_a_work_tree_whose_repository_is_gone_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "orphan"
    folder.mkdir()
    (folder / ".git").write_text(f"gitdir: {tmp_path}/gone\n")
    with pytest.raises(GitError, match="not a git repository"):
        git.find(folder)


def test_what_a_hook_hands_down_points_nowhere_else(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = with_commit(tmp_path / "other")
    with monkeypatch.context() as patch:
        patch.setenv("GIT_DIR", str(other / ".git"))
        patch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
        patch.setenv("GIT_OBJECT_DIRECTORY", str(other / ".git" / "objects"))
        patch.setenv("GIT_WORK_TREE", str(other))
        opened(repo).commit(BRANCH, FILES, "One", TIME)
    assert run(repo, "log", "--format=%s", BRANCH) == "One"
    assert run(other, "branch", "--list", BRANCH) == ""


def test_a_folder_that_vanished_does_not_become_the_current_one(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = GitRepository(repo / "gone")
    monkeypatch.chdir(repo)
    with pytest.raises(GitError, match="No such file or directory"):
        gone.commit(BRANCH, FILES, "One", TIME)
    assert run(repo, "branch", "--list", BRANCH) == ""


def test_dubious_ownership_says_what_to_do(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        with pytest.raises(GitError, match=r"dubious ownership .*safe\.directory"):
            git.find(repo)


# --- refusals and failures -------------------------------------------------------------------------------------------


def test_a_checked_out_branch_is_refused(tmp_path: Path) -> None:
    folder = plain(tmp_path / "repo")
    run(folder, "worktree", "add", "-q", "-b", BRANCH, str(tmp_path / "second"))
    before = tree_of(folder), tree_of(tmp_path / "second")
    with pytest.raises(GitError, match="branch backup-status is checked out in a work tree"):
        opened(folder).commit(BRANCH, FILES, "One", TIME)
    assert (tree_of(folder), tree_of(tmp_path / "second")) == before
    run(folder, "worktree", "remove", str(tmp_path / "second"))
    run(folder, "checkout", "-q", BRANCH)
    with pytest.raises(GitError, match="is checked out"):
        opened(folder).commit(BRANCH, FILES, "One", TIME)


def test_a_locked_branch_names_the_lock(repo: Path) -> None:
    repository = opened(repo)
    first = repository.commit(BRANCH, FILES, "One", TIME)
    lock = repo / ".git" / "refs" / "heads" / f"{BRANCH}.lock"
    lock.touch()
    with pytest.raises(GitError, match=r"backup-status\.lock.*delete that lock file"):
        repository.commit(BRANCH, {"a": b"2"}, "Two", TIME)
    assert run(repo, "rev-parse", BRANCH) == first
    lock.unlink()
    assert repository.commit(BRANCH, {"a": b"2"}, "Two", TIME)


def test_a_damaged_branch_is_an_error_and_not_absent(tmp_path: Path) -> None:
    folder = plain(tmp_path / "repo")
    repository = opened(folder)
    commit = repository.commit(BRANCH, FILES, "One", TIME)
    assert commit
    (folder / ".git" / "objects" / commit[:2] / commit[2:]).unlink()
    with pytest.raises(GitError, match=f"cannot list the status {commit[:12]}"):
        repository.read(BRANCH, "status.json")
    with pytest.raises(GitError):
        repository.commit(BRANCH, {"a": b"2"}, "Two", TIME)
    assert run(folder, "for-each-ref", "--format=%(objectname)", f"refs/heads/{BRANCH}") == commit


COMMIT = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from reconciler.adapters import git
from reconciler.errors import GitError
repository = git.find(Path(sys.argv[1]))
repository.head()
if os.geteuid() == 0:  # root may write anywhere
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
try:
    repository.commit("backup-status", {"a": b"1"}, "One", datetime(2026, 1, 20, tzinfo=UTC))
except GitError as error:
    print(error)
"""


def test_a_repository_that_may_not_be_written_says_so(tmp_path: Path) -> None:
    folder = plain(tmp_path / "repo")
    objects = folder / ".git" / "objects"
    for path in (objects, *(path for path in objects.iterdir() if path.is_dir())):
        path.chmod(0o555)
    trust = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    for parent in (tmp_path, *tmp_path.parents[:3]):  # pytest keeps them to itself
        parent.chmod(parent.stat().st_mode | 0o011)
    done = subprocess.run(
        [sys.executable, "-c", COMMIT, folder],
        check=False,
        env={**os.environ, **trust, "PYTHONPATH": os.getcwd(), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert "cannot store a: " in done.stdout, done.stderr
    assert "let this user write to the repository" in done.stdout
    fsck(folder)


# --- others at the same time -----------------------------------------------------------------------------------------


def test_commits_of_several_writers_all_land(repo: Path) -> None:
    def write(number: int) -> str | None:
        return opened(repo).commit(BRANCH, {"n": str(number).encode()}, str(number), TIME)

    with ThreadPoolExecutor(4) as pool:
        commits = list(pool.map(write, range(8)))
    assert sorted(run(repo, "log", "--format=%H", BRANCH).splitlines()) == sorted(filter(None, commits))
    assert sorted(run(repo, "log", "--format=%s", BRANCH).splitlines()) == [
        str(number) for number in range(8)
    ]


ENDLESS = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from reconciler.adapters import git
repository = git.find(Path(sys.argv[1]))
start = int(sys.argv[2])
for number in range(start, start + 1000):
    text = str(number).encode()
    repository.commit("backup-status", {"x": text, "y": text}, "n", datetime(2026, 1, 20, tzinfo=UTC))
    print(number, flush=True)
"""


def test_kill_9_leaves_the_old_branch_or_the_new_one(repo: Path) -> None:
    generator = random.Random(28)
    repository = opened(repo)
    killed_inside_git = 0
    for round_ in range(20):
        start = 1000 * (round_ + 1)
        with subprocess.Popen(
            [sys.executable, "-c", ENDLESS, repo, str(start)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        ) as child:
            assert child.stdout
            first = int(child.stdout.readline())
            try:  # a random moment within the next commit, which takes some tens of milliseconds
                child.wait(generator.uniform(0, 0.06))
            except subprocess.TimeoutExpired:
                killed_inside_git += kill_with_children(child.pid)
            told = [first, *map(int, child.stdout.read().split())]
        stored = {repository.read(BRANCH, "x"), repository.read(BRANCH, "y")}
        assert stored <= {str(told[-1]).encode(), str(told[-1] + 1).encode()}
        assert len(stored) == 1
        fsck(repo)
        # What git's own message asks people to do; only a kill inside update-ref leaves one.
        (repo / ".git" / "refs" / "heads" / f"{BRANCH}.lock").unlink(missing_ok=True)
    assert killed_inside_git > 5, "the kills came too late or too early to prove anything"


def kill_with_children(pid: int) -> int:
    """Kill a process that is ours and what it runs; how many children there were."""
    os.kill(pid, signal.SIGSTOP)
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    for victim in (*children, pid):
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return len(children)
