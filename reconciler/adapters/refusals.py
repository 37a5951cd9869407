"""What git and ssh say when a remote refuses: in one line, with what to do about it. Pure; used by ``clone``."""

from __future__ import annotations

from collections.abc import Sequence

_TELLING = ("remote: ", "fatal: ", "error: ", "! ")
_SSH_FAILED = "fatal: Could not read from remote repository."
"""What git says after ssh has said why."""
_OF_THE_KEY = ("Warning: Identity file", "no such identity", "Permissions ", "Load key ")
"""How the lines begin in which ssh says, before that, why it did not even offer a key."""
_OWNER = (
    "it belongs to another user: run as that one, or trust it: git config --global --add safe.directory PATH"
)
_KEY = (
    "the file of --ssh-key has to be a private key without a passphrase that nobody else may read, and the forge has to know"
    " its public half"
)
_HOST = "--known-hosts lacks the host, or has another key of it: compare what ssh-keyscan prints with what your forge publishes"
_LOGIN = "it wants a token (--token-from-env NAME or --token-file FILE), or the one that it got is wrong or has expired"
_ADVICE = {
    "dubious ownership": _OWNER,
    "ermission denied (publickey": _KEY,
    "Host key verification failed": _HOST,
    "terminal prompts disabled": _LOGIN,
    "Authentication failed": _LOGIN,
}


def explained(said: str, code: int) -> str:
    """``said`` is standard error, ``code`` the exit code."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(_TELLING)]
    first = (telling or lines or [f"exit code {code}"])[0]
    before = lines[: lines.index(first)] if first == _SSH_FAILED else []
    text = _of_ssh(before) if before else first.partition(": ")[2] or first
    advice = next((advice for sign, advice in _ADVICE.items() if sign in text), "")
    return f"{text.strip().rstrip('.')}; {advice}" if advice else text.strip()


def _of_ssh(lines: Sequence[str]) -> str:
    """Its last word, and what it said of the key before."""
    key = next((line for line in lines[:-1] if line.startswith(_OF_THE_KEY)), "")
    return f"{lines[-1].rstrip('.')} ({key.rstrip('.')})" if key else lines[-1]
