"""A followed branch, in this process: what its remote and its clone go through, and what stays in force."""

import os
import shutil
import subprocess
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.adapters import git, specstree
from reconciler.adapters.ledger import BRANCH
from reconciler.adapters.remote import remote
from reconciler.errors import SpecError
from reconciler.loop import session
from reconciler.pipeline.gpg_home import Home
from reconciler.sources import Followed, Origin
from tests.service.site import SPECS, Site

TIME = datetime(2026, 1, 20, 3, 10, tzinfo=UTC)


def state(site: Site, name: str = "one") -> Path:
    folder = site.root / "state" / "followed" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def followed(site: Site, *signers: Path, name: str = "one") -> Followed:
    return Followed(remote(str(site.remote)), "main", "backup.d", state(site, name), signers)


def clone(site: Site) -> Path:
    return state(site) / "repository.git"


def problems(origin: Origin) -> str:
    assert origin.rejected is not None
    return "\n".join(origin.rejected.problems)


@pytest.fixture
def source(site: Site) -> Followed:
    """One good commit is in force."""
    site.backup("shop")
    commit = site.push()
    source = followed(site)
    assert source.origin().commit == commit
    return source


def test_the_files_are_those_of_the_commit(site: Site, source: Followed) -> None:
    site.write("keys/backup.asc", "a key\r\n")
    site.write("hook.sh", "#!/bin/sh\n")
    (site.work / "backup.d/hook.sh").chmod(0o755)
    (site.work / "backup.d/link.sh").symlink_to("hook.sh")
    (site.work / ".gitattributes").write_text("* text eol=crlf filter=evil ident\n")
    (site.work / "README").write_text("not specs")
    commit = site.push()
    specs = source.origin().specs
    assert (specs / "keys/backup.asc").read_bytes() == _blob(site, commit, "backup.d/keys/backup.asc")
    assert os.access(specs / "hook.sh", os.X_OK)
    assert (specs / "link.sh").read_text() == "#!/bin/sh\n"
    assert not (specs.parent / "README").exists()
    assert not list(specs.rglob(".git*"))
    assert specs.parent.stat().st_mode & 0o077 == 0


def test_the_clone_is_bare_and_has_the_newest_commit_alone(site: Site, source: Followed) -> None:
    for _ in range(2):
        commit = site.push("--allow-empty")
        assert source.origin().commit == commit
        assert site.git("rev-list", "refs/remotes/origin/main", at=clone(site)).split() == [commit]
    assert site.git("rev-parse", "--is-bare-repository", at=clone(site)) == "true"
    assert not (clone(site) / "index").exists()


def test_warnings_name_files_as_the_repository_does(site: Site, source: Followed) -> None:
    site.write("destinations.yaml", SPECS.format(root=site.root).replace('rule321: "off"', "rule321: warn"))
    site.push()
    with session(Path("backup.d"), source) as opened:
        assert [(problem.severity, problem.file) for problem in opened.warnings] == [
            ("warning", "backup.d/shop.yaml")
        ]


def _blob(site: Site, commit: str, path: str) -> bytes:
    ran = subprocess.run(
        ["git", "cat-file", "blob", f"{commit}:{path}"], cwd=site.remote, check=True, capture_output=True
    )
    return ran.stdout


def test_a_submodule_is_left_out(site: Site, source: Followed) -> None:
    head = site.git("rev-parse", "HEAD")
    (site.work / "backup.d/module").mkdir()
    site.git("update-index", "--add", "--cacheinfo", f"160000,{head},backup.d/module")
    commit = site.push()
    origin = source.origin()
    assert (origin.commit, origin.rejected) == (commit, None)
    assert not (origin.specs / "module").exists()


@pytest.mark.parametrize("to", ["/etc/passwd", "../../../outside", "../README", "loop.yaml"])
def test_a_link_that_leaves_the_folder_is_no_spec(site: Site, source: Followed, to: str) -> None:
    (site.work / "README").write_text("not specs")
    (site.work / "backup.d/loop.yaml").symlink_to(to)
    site.push()
    assert "backup.d/loop.yaml:" in problems(source.origin())


@pytest.mark.parametrize(
    "to",
    [
        "{state}/specs.next/files/backup.d/real.txt",
        "../../../specs.next/files/backup.d/real.txt",
        "s/s/s/../../../specs.next/files/backup.d/real.txt",
        "gone.txt",
    ],
)
def test_a_link_leads_to_the_same_when_it_is_in_force(site: Site, source: Followed, to: str) -> None:
    """The folder of the specs has another name while they are judged."""
    good = source.origin()
    specs = site.work / "backup.d"
    (specs / "real.txt").write_text((specs / "shop.yaml").read_text())
    (specs / "s").symlink_to(".")
    (specs / "shop.yaml").unlink()
    (specs / "shop.yaml").symlink_to(to.format(state=state(site)))
    site.push()
    origin = source.origin()
    assert "backup.d/shop.yaml:" in problems(origin)
    assert origin.commit == good.commit
    assert (origin.specs / "shop.yaml").read_text().startswith("apiVersion")

    (specs / "shop.yaml").unlink()
    (specs / "shop.yaml").symlink_to("s/s/real.txt")
    site.push()
    origin = source.origin()
    assert origin.rejected is None
    assert (origin.specs / "shop.yaml").read_text().startswith("apiVersion")


def test_a_tree_made_by_hand_writes_nothing_through_a_link(site: Site, source: Followed) -> None:
    """One name twice, as a link to a folder elsewhere and as a folder: git itself never makes such a tree."""
    outside = site.root / "outside"
    outside.mkdir()
    good = site.git("rev-parse", "HEAD")
    specs = _tree(site, *_entries(site, f"{good}:backup.d"))
    inside = _tree(site, ("120000", "planted", _stored(site, b"/etc/passwd")))
    link = _stored(site, os.fsencode(outside))
    twice = _tree(site, *_entries(site, specs), ("120000", "x", link), ("40000", "x", inside))
    root = _tree(site, ("40000", "backup.d", twice))
    bad = site.git("commit-tree", root, "-p", good, "-m", "Evil")
    site.git("push", "--quiet", "--force", "origin", f"{bad}:main")
    origin = source.origin()
    assert (origin.commit, problems(origin)) == (good, "backup.d/x: is a file and a folder at once")
    assert list(outside.iterdir()) == []


def _stored(site: Site, data: bytes, kind: str = "blob") -> str:
    command = ["git", "hash-object", "-w", "-t", kind, "--literally", "--stdin"]
    ran = subprocess.run(command, cwd=site.work, input=data, check=True, capture_output=True)
    return ran.stdout.decode().strip()


def _tree(site: Site, *entries: tuple[str, str, str]) -> str:
    """A tree of modes, names and objects, whatever they are."""
    raw = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(named) for mode, name, named in entries)
    return _stored(site, raw, "tree")


def _entries(site: Site, tree: str) -> list[tuple[str, str, str]]:
    listed = (line.split() for line in site.git("ls-tree", tree).splitlines())
    return [(mode.lstrip("0"), name, named) for mode, _, named, name in listed]


def test_folders_without_end_are_no_specs(site: Site, source: Followed) -> None:
    good = site.git("rev-parse", "HEAD")
    deep = f"100644,{_stored(site, b'x')},backup.d/{1500 * 'a/'}file"
    site.git("update-index", "--add", "--cacheinfo", deep)
    bad = site.git("commit-tree", site.git("write-tree"), "-p", good, "-m", "Evil")
    site.git("push", "--quiet", "--force", "origin", f"{bad}:main")
    origin = source.origin()
    assert (origin.commit, problems(origin)) == (good, f"backup.d/{45 * 'a/'}a…: lies deeper than 50 folders")


def bomb(site: Site) -> str:
    """A tree of a few hundred bytes that names a hundred million files."""
    one = _stored(site, b"x")
    tree = _tree(site, *(("100644", f"f{number}", one) for number in range(10)))
    for _ in range(7):
        tree = _tree(site, *(("40000", f"d{number}", tree) for number in range(10)))
    return tree


def test_more_files_than_can_be_listed_are_no_specs(site: Site, source: Followed) -> None:
    good = site.git("rev-parse", "HEAD")
    root = _tree(site, ("40000", "backup.d", bomb(site)))
    bad = site.git("commit-tree", root, "-p", good, "-m", "Evil")
    site.git("push", "--quiet", "--force", "origin", f"{bad}:main")
    origin = source.origin()
    assert origin.commit == good
    assert problems(origin) == "backup.d: holds so many files that they cannot be listed"


@pytest.mark.parametrize("evil", ["files", "bytes"])
def test_a_status_of_any_size_stops_nothing_and_is_told(
    site: Site, source: Followed, monkeypatch: pytest.MonkeyPatch, evil: str
) -> None:
    source.origin().ledger.write({"status.json": b"{}"}, "ours", TIME)
    assert source.share() == ""
    if evil == "files":
        root = _tree(site, ("40000", "nodes", bomb(site)))
    else:
        monkeypatch.setattr(git, "MOST_BYTES", 10_000)
        root = _tree(site, ("100644", "other", _stored(site, bytes(10_001))))
    bad = site.git("commit-tree", root, "-m", "Evil")
    site.git("push", "--quiet", "--force", "origin", f"{bad}:{BRANCH}")
    origin = source.origin()
    origin.ledger.write({"status.json": b'{"x": 1}'}, "ours again", TIME)
    assert "of the status holds more than any status does" in source.share()
    assert source.origin().rejected is None
    site.git("push", "--quiet", "origin", f":{BRANCH}")
    source.origin()
    assert source.share() == "", "deleted as it says, it begins afresh"


def test_too_much_is_no_folder_of_specs(
    site: Site, source: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.write("big.bin", "x" * 5000)
    site.push()
    monkeypatch.setattr(specstree, "MOST_BYTES", 4096)
    assert "backup.d: holds 3 files of " in problems(source.origin())
    monkeypatch.undo()
    monkeypatch.setattr(specstree, "MOST_FILES", 2)
    assert "backup.d: holds 3 files of " in problems(source.origin())
    monkeypatch.undo()
    assert source.origin().rejected is None


def test_the_folder_has_gone(site: Site, source: Followed) -> None:
    before = source.origin().commit
    site.git("mv", "backup.d", "elsewhere")
    site.push()
    origin = source.origin()
    assert origin.commit == before
    assert "backup.d: there is no such folder in this commit" in problems(origin)


def test_a_relative_path_is_an_error(site: Site, source: Followed) -> None:
    site.backup("shop", "kind: path, path: ../data")
    site.push()
    said = problems(source.origin())
    assert "shop.yaml:1: target shop/files: its path is relative; the repository is not checked out" in said
    assert str(site.root) not in said


def delete_branch(site: Site) -> None:
    site.git("update-ref", "-d", "refs/heads/main", at=site.remote)


def delete_remote(site: Site) -> None:
    shutil.rmtree(site.remote)


def break_remote(site: Site) -> None:
    site.backup("new")
    site.push()
    for path in (site.remote / "objects").rglob("*"):
        if path.is_file():
            path.unlink()


@pytest.mark.parametrize("do", [delete_branch, delete_remote, break_remote])
def test_what_is_in_force_needs_no_remote(site: Site, source: Followed, do: Callable[[Site], None]) -> None:
    before = source.origin()
    do(site)
    for again in (source, followed(site)):
        after = again.origin()
        assert (after.commit, after.rejected) == (before.commit, None)
        assert (after.specs / "shop.yaml").exists()
        assert f"commit {str(before.commit)[:12]} stays in force" in after.notes[0].message
    shutil.rmtree(clone(site))
    assert followed(site).origin().commit == before.commit
    shutil.rmtree(site.remote, ignore_errors=True)
    site.git("init", "--quiet", "--bare", "--initial-branch=main", str(site.remote), at=site.root)
    site.backup("later")
    commit = site.push()
    after = followed(site).origin()
    assert (after.commit, after.notes) == (commit, ())


def damage_objects(folder: Path) -> None:
    for path in (folder / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"rubbish")


def empty_head(folder: Path) -> None:
    (folder / "HEAD").write_text("")


def bad_config(folder: Path) -> None:
    (folder / "config").write_text("[core\n")


def locks(folder: Path) -> None:
    for name in (
        "shallow.lock",
        "config.lock",
        "HEAD.lock",
        "packed-refs.lock",
        "refs/heads/backup-status.lock",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "refs/remotes/origin/main.lock").touch()


@pytest.mark.parametrize("do", [shutil.rmtree, damage_objects, empty_head, bad_config, locks])
def test_a_damaged_or_locked_clone_is_mended(
    site: Site, source: Followed, do: Callable[[Path], None]
) -> None:
    source.origin().ledger.write({"status.json": b"{}"}, "one", TIME)
    assert source.share() == ""
    do(clone(site))
    site.backup("wiki")
    commit = site.push()
    origin = source.origin()
    assert (origin.commit, origin.rejected, origin.notes) == (commit, None, ())
    origin.ledger.write({"status.json": b"[]"}, "two", TIME)
    assert source.share() == ""
    assert site.git("log", "--format=%s", "backup-status", at=site.remote).splitlines() == ["two", "one"]


def test_a_push_by_force_is_taken(site: Site, source: Followed) -> None:
    site.backup("wiki")
    source.origin()
    commit = site.push("--amend")
    assert source.origin().commit == commit


def test_the_last_good_one_is_remembered(site: Site, source: Followed) -> None:
    before = source.origin().commit
    site.backup("shop", "kind: pth, path: /x")
    bad = site.push()
    for again in (source, followed(site)):
        origin = again.origin()
        assert origin.commit == before
        assert origin.rejected is not None
        assert (origin.rejected.commit, origin.rejected.in_force) == (bad, before)
        assert 'backup.d/shop.yaml:9:26: spec.targets[0].kind: unknown kind "pth"' in problems(origin)


@pytest.mark.parametrize("left", ["specs.next", "specs.old"])
def test_a_kill_while_specs_are_replaced(site: Site, source: Followed, left: str) -> None:
    folder, before = state(site), source.origin().commit
    if left == "specs.old":  # between the two renames
        (folder / "specs").rename(folder / "specs.old")
    (folder / "specs.next/files").mkdir(parents=True)
    (folder / "specs.next/files/half").write_text("")
    site.remote.rename(site.root / "away")
    assert source.origin().commit == before
    (site.root / "away").rename(site.remote)
    site.backup("wiki")
    commit = site.push()
    assert source.origin().commit == commit
    assert sorted(path.name for path in folder.glob("specs*")) == ["specs"]


def test_without_any_good_commit_there_is_nothing_to_do(site: Site) -> None:
    with pytest.raises(SpecError, match="has no branch main; no specs are in force yet"):
        followed(site).origin()
    site.backup("shop", "kind: pth, path: /x")
    site.push()
    with pytest.raises(SpecError, match="and none was in force before") as error:
        followed(site).origin()
    assert "backup.d/shop.yaml:9:26" in str(error.value)


def test_a_look_sees_the_branch_alone(site: Site, source: Followed) -> None:
    before = source.look()
    source.origin().ledger.write({"status.json": b"{}"}, "one", TIME)
    assert source.share() == ""
    assert source.look() == before == site.git("rev-parse", "HEAD")
    site.backup("wiki")
    site.push()
    assert source.look() != before


def test_two_services_write_on_one_branch(site: Site, source: Followed) -> None:
    other = followed(site, name="other")
    for number in range(3):
        source.origin().ledger.write({"status.json": b"a%d" % number}, f"one {number}", TIME)
        other.origin().ledger.write({"status.json": b"b%d" % number}, f"other {number}", TIME)
        assert (source.share(), other.share()) == ("", "")
    told = site.git("log", "--format=%s", "--reverse", "backup-status", at=site.remote).splitlines()
    assert told == [f"{who} {number}" for number in range(3) for who in ("one", "other")]


def test_the_clone_packs_itself_although_nothing_is_ever_fetched(site: Site, source: Followed) -> None:
    repository = clone(site)
    site.git("config", "gc.auto", "1", at=repository)
    for number in range(1000):  # git estimates how many there are
        (site.root / "data" / f"{number}").write_text(f"{number}")
    names = "\n".join(str(path) for path in (site.root / "data").iterdir())
    command = ["git", "-C", str(repository), "hash-object", "-w", "--stdin-paths"]
    subprocess.run(command, input=names.encode(), check=True, capture_output=True)
    source.origin().ledger.write({"status.json": b"{}"}, "one", TIME)
    assert source.share() == ""
    assert "in-pack: 0\n" not in site.git("count-objects", "-v", at=repository)
    assert source.origin().notes == ()
    assert source.origin().ledger.read("status.json") == b"{}"


def test_a_remote_that_takes_no_push_is_told(site: Site, source: Followed) -> None:
    hook = site.remote / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho this branch is protected >&2\nexit 1\n")
    hook.chmod(0o755)
    source.origin().ledger.write({"status.json": b"{}"}, "one", TIME)
    assert "cannot take the branch backup-status: " in source.share()
    hook.unlink()
    assert source.share() == ""
    assert site.git("show", "backup-status:status.json", at=site.remote) == "{}"


def test_their_branch_was_deleted_or_rewritten(site: Site, source: Followed) -> None:
    source.origin().ledger.write({"status.json": b"1"}, "one", TIME)
    assert source.share() == ""
    site.git("update-ref", "-d", "refs/heads/backup-status", at=site.remote)
    source.origin().ledger.write({"status.json": b"2"}, "two", TIME)
    assert source.share() == ""
    assert site.git("show", "backup-status:status.json", at=site.remote) == "2"
    head = site.git("commit-tree", "-m", "theirs", "HEAD^{tree}")
    site.git("push", "--quiet", "--force", "origin", f"{head}:refs/heads/backup-status")
    source.origin().ledger.write({"status.json": b"3"}, "three", TIME)
    assert source.share() == ""
    assert _told(site) == ["three", "theirs"], "what they had is not brought again"
    assert site.git("show", "backup-status:status.json", at=site.remote) == "3"
    site.git("push", "--quiet", "--force", "origin", f"{head}:refs/heads/backup-status")
    source.origin()
    assert source.share() == ""
    assert _told(site) == ["three", "theirs"], "but what was said last is, if they have left it out"


def _told(site: Site) -> list[str]:
    return site.git("log", "--format=%s", "backup-status", at=site.remote).splitlines()


@pytest.fixture
def signers(site: Site) -> Path:
    """Two keys, ``anna`` and ``eve``, and the file that lists anna's alone."""
    for name in ("anna", "eve"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(site.root / name)],
            check=True,
        )
    listed = site.root / "allowed_signers"
    key = (site.root / "anna.pub").read_text()
    listed.write_text(f'anna@example.com namespaces="git" {key}')
    return listed


def signed(site: Site, who: str, *options: str) -> str:
    """Commit and push, signed by ``who``; the commit."""
    site.git("config", "gpg.format", "ssh")
    site.git("config", "user.signingKey", str(site.root / who))
    return site.push("--gpg-sign", *options)


def test_only_listed_keys_count(site: Site, signers: Path) -> None:
    source = followed(site, signers)
    site.backup("shop")
    site.push()
    with pytest.raises(SpecError, match="it is not signed by a key that is listed"):
        source.origin()
    site.backup("wiki")
    signed(site, "eve")
    with pytest.raises(SpecError, match="it is not signed by a key that is listed"):
        source.origin()
    site.backup("blog")
    good = signed(site, "anna")
    assert source.origin().commit == good
    site.backup("evil")
    for bad in (site.push(), signed(site, "eve", "--amend"), signed(site, "eve", "--allow-empty")):
        assert bad
        origin = source.origin()
        assert (origin.commit, problems(origin).startswith("it is ")) == (good, True)
    site.backup("evil")
    better = signed(site, "anna", "--allow-empty")
    assert source.origin().commit == better, "who signs answers for what is below"


def test_a_commit_of_any_size_is_not_signed(site: Site, signers: Path) -> None:
    source = followed(site, signers)
    site.backup("shop")
    good = signed(site, "anna")
    source.origin()
    raw = site.git("cat-file", "commit", signed(site, "eve", "--allow-empty")).encode()
    bad = _stored(site, raw + (32 << 20) * b"x" + b"\n", "commit")
    site.git("push", "--quiet", "--force", "origin", f"{bad}:main")
    tracemalloc.start()
    try:
        origin = source.origin()
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert (origin.commit, problems(origin).startswith("it is not signed")) == (good, True)


def test_it_never_goes_back(site: Site, signers: Path) -> None:
    source = followed(site, signers)
    site.backup("shop")
    old = signed(site, "anna")
    source.origin()
    site.backup("wiki")
    new = signed(site, "anna")
    assert source.origin().commit == new
    site.git("push", "--quiet", "--force", "origin", f"{old}:main")
    shutil.rmtree(clone(site))
    for again in (source, followed(site, signers)):
        origin = again.origin()
        assert (origin.commit, origin.rejected and origin.rejected.commit) == (new, old)
        assert "it does not build on the commit in force" in problems(origin)
    site.git("reset", "--quiet", "--hard", old)
    site.backup("other")
    signed(site, "anna")
    assert source.origin().commit == new, "nor to another line"
    site.git("reset", "--quiet", "--hard", new)
    site.backup("next")
    after = signed(site, "anna")
    assert source.origin().commit == after


def test_what_was_taken_without_a_signature_does_not_count_once_they_are_asked_for(
    site: Site, source: Followed, signers: Path
) -> None:
    with pytest.raises(SpecError, match="it is not signed by a key that is listed"):
        followed(site, signers).origin()
    site.backup("wiki")
    commit = signed(site, "anna")
    assert followed(site, signers).origin().commit == commit


@pytest.mark.parametrize("content", ["", "rubbish\n", None])
def test_a_file_of_signers_that_says_nothing_lets_nobody_in(
    site: Site, signers: Path, content: str | None
) -> None:
    site.backup("shop")
    good = signed(site, "anna")
    source = followed(site, signers)
    source.origin()
    if content is None:
        signers.unlink()
    else:
        signers.write_text(content)
    site.backup("wiki")
    signed(site, "anna")
    origin = source.origin()
    assert (origin.commit, origin.rejected is None) == (good, False)


@pytest.fixture
def pgp(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A keyring with the private keys ``paul`` and ``mallory``; the file with the public key of paul."""
    with closing(Home()) as home:
        monkeypatch.setenv("GNUPGHOME", str(home.path))
        for name in ("paul", "mallory"):
            _gpg("--passphrase", "", "--quick-generate-key", name, "ed25519", "sign", "never")
        public = site.root / "paul.asc"
        public.write_bytes(_gpg("--armor", "--export", "paul"))
        yield public


def _gpg(*arguments: str) -> bytes:
    return subprocess.run(["gpg", "--batch", *arguments], check=True, capture_output=True).stdout


def test_openpgp_keys_count_as_well(site: Site, signers: Path, pgp: Path) -> None:
    source = followed(site, signers, pgp)

    def by(name: str) -> str:
        site.git("config", "gpg.format", "openpgp")
        site.git("config", "user.signingKey", name)
        return site.push("--gpg-sign", "--allow-empty")

    site.backup("shop")
    good = by("paul")
    assert source.origin().commit == good
    by("mallory")
    assert source.origin().commit == good
    better = signed(site, "anna", "--allow-empty")
    assert source.origin().commit == better
    by("paul")
    pgp.write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
    assert "it cannot be verified: " in problems(followed(site, pgp).origin())


def test_a_commit_with_two_signatures_is_judged_by_the_kind_that_is_asked_for(
    site: Site, signers: Path, pgp: Path
) -> None:
    """This user's own keyring trusts mallory's key; the list of signers does not know it."""
    site.backup("shop")
    good = signed(site, "anna")
    source = followed(site, signers)
    assert source.origin().commit == good
    site.backup("evil")
    site.git("config", "gpg.format", "openpgp")
    site.git("config", "user.signingKey", "mallory")
    made = site.git("cat-file", "commit", site.push("--gpg-sign"))
    other = "gpgsig-sha256 -----BEGIN SSH SIGNATURE-----\n -----END SSH SIGNATURE-----\n"
    bad = _stored(site, made.replace("gpgsig ", f"{other}gpgsig ", 1).encode() + b"\n", "commit")
    assert subprocess.run(["git", "verify-commit", bad], cwd=site.work, check=False).returncode == 0
    site.git("push", "--quiet", "--force", "origin", f"{bad}:main")
    origin = source.origin()
    assert (origin.commit, problems(origin).startswith("it is not signed")) == (good, True)
