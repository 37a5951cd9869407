"""A specs repository can lint itself: real pre-commit runs the hook that this repository exports."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parent.parent
IDENTITY = ["-c", "user.name=Tests", "-c", "user.email=tests@example.invalid"]
CONFIG = """\
repos:
  - repo: {hooks}
    rev: {commit}
    hooks:
      - id: reconciler-validate
"""
# The first run makes the hook's environment: it downloads and installs the packages that the product needs.
pytestmark = pytest.mark.timeout(300)


def git(folder: Path, *arguments: str) -> str:
    """Run git in a repository; what it says."""
    command = ["git", *IDENTITY, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit_all(folder: Path) -> str:
    """Commit everything in `folder` as a new commit; its id."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "test")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A specs repository whose configuration names this product, as it lies on the disk now, by path and commit."""
    hooks = tmp_path_factory.mktemp("hooks")
    for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(REPOSITORY / name, hooks)
    shutil.copytree(
        REPOSITORY / "reconciler", hooks / "reconciler", ignore=shutil.ignore_patterns("__pycache__")
    )
    specs = tmp_path_factory.mktemp("specs")
    shutil.copytree(REPOSITORY / "examples" / "backup.d", specs / "backup.d")
    (specs / ".pre-commit-config.yaml").write_text(CONFIG.format(hooks=hooks, commit=commit_all(hooks)))
    commit_all(specs)
    return specs


def run_hooks(specs: Path, home: Path) -> tuple[int, str]:
    """`pre-commit run --all-files` as a user types it: (exit code, output)."""
    git(specs, "add", "--all")
    command = [str(Path(sys.executable).parent / "pre-commit"), "run", "--all-files", "--color=never"]
    env = {**os.environ, "PRE_COMMIT_HOME": str(home)}
    run = subprocess.run(command, cwd=specs, env=env, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout + run.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pre-commit keeps the environments of hooks."""
    return tmp_path_factory.mktemp("home")


def test_good_specs_pass_and_a_bad_one_is_named(specs: Path, home: Path) -> None:
    code, output = run_hooks(specs, home)
    assert code == 0, output
    assert "Passed" in output
    spec = min((specs / "backup.d").glob("*.yaml"))
    spec.write_text(re.sub(r"(?m)^metadata:", "metadatum:", spec.read_text(), count=1))
    code, output = run_hooks(specs, home)
    assert code == 1
    assert re.search(rf"backup\.d/{re.escape(spec.name)}:\d+:\d+: .*metadatum", output), output
    assert "Traceback" not in output


def test_a_commit_without_specs_needs_no_hook(specs: Path, home: Path, tmp_path: Path) -> None:
    """The hook's files are the specs alone: a repository without them runs nothing."""
    shutil.copy(specs / ".pre-commit-config.yaml", tmp_path)
    commit_all(tmp_path)
    code, output = run_hooks(tmp_path, home)
    assert (code, "no files to check" in output) == (0, True), output


def test_the_pins_of_our_own_hooks_are_those_of_the_tests() -> None:
    pinned = set(re.findall(r"(?m)^([\w.-]+==[^\s;]+)", (REPOSITORY / "requirements-dev.txt").read_text()))
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    named = {pin for hook in hooks for pin in hook["additional_dependencies"]}
    assert named - pinned == set()
