import subprocess

import pytest

from tests.cli.place import PROGRAM, Place


def completed(place: Place, *words: str) -> list[str]:
    """What bash would offer after these words, the last of which is being typed."""
    asked = {
        "_RECONCILER_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["reconciler", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [PROGRAM], cwd=place.root, env=place.environment() | asked, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.split()]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["re"], ["restore"]),
        (["sq"], ["squash"]),
        (["squash", "--k"], ["--keep", "--known-hosts"]),
        (["apply", "--on"], ["--only"]),
        (["restore", "sh"], ["shop/config", "shop/uploads"]),
        (["apply", "--only", "w"], ["wiki/files"]),
        (["list", "--only", "shop/u"], ["shop/uploads"]),
        (["restore", "wiki", "--from", ""], ["local", "offsite"]),
        (["restore", "--specs", "nowhere", "w"], []),
        (["init", "new", "--destination", "s"], ["s3://", "sftp://"]),
    ],
)
def test_completion(place: Place, words: list[str], offered: list[str]) -> None:
    assert completed(place, *words) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_the_shell(place: Place, shell: str) -> None:
    place.env["_RECONCILER_COMPLETE"] = f"{shell}_source"
    ran = place.process()
    assert (ran.code, ran.err) == (0, "")
    assert "_RECONCILER_COMPLETE" in ran.out


def test_bash_reads_it(place: Place) -> None:
    script = f'eval "$(_RECONCILER_COMPLETE=bash_source {PROGRAM})" && complete -p reconciler'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert "_reconciler_completion reconciler" in done.stdout
