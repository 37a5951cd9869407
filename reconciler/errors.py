"""Every error that people may see. Each says what happened, to what, why, and what to do next.

Raised everywhere, caught by the phases (which turn them into outcomes) and at last by the command line (which
turns them into one line on stderr and an exit code). Anything else that escapes is a bug.
"""

from __future__ import annotations


class ReconcilerError(Exception):
    """Base of all expected errors; its text is shown to people as it is."""


class SpecError(ReconcilerError):
    """The committed specs cannot be used; ``problems`` holds every finding, one line each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SecretError(ReconcilerError):
    """A secret reference cannot be resolved (no such variable, no such file)."""


class SourceError(ReconcilerError):
    """A target could not be read whole: nothing of it may be committed."""


class EngineError(ReconcilerError):
    """The Docker Engine cannot be reached, or refused a call."""


class NoEngine(EngineError):
    """No Docker Engine listens on this machine, or none that this user may ask: nothing of it is in the way."""


class StoreError(ReconcilerError):
    """A destination failed. Its other objects, and the other destinations, are not concerned."""


class Unreachable(StoreError):
    """The destination cannot be reached or used at all: it is unknown, not empty."""


class Missing(StoreError):
    """The destination answered, and holds no such object."""


class Fenced(StoreError):
    """Another run took over at a destination, or has it: this one writes nothing there."""


class Corrupt(ReconcilerError):
    """Stored bytes are not what their manifest says (size, sha256, cut stream), or the manifest is unreadable."""


class Refused(ReconcilerError):
    """An action that might destroy data was refused before anything was touched."""


class GitError(ReconcilerError):
    """A git repository could not be read or written."""


class Locked(ReconcilerError):
    """Another run works on the same specs."""


class CipherError(ReconcilerError):
    """Encrypting or decrypting failed, or cannot be done here: nothing of what came out counts."""


class WrongKey(ReconcilerError):
    """No key that is at hand opens an artifact; nothing was touched."""
