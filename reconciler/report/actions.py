"""Actions in words: a sign as in Terraform, a verb, and what it is about. Pure; used by the command line and the page."""

from __future__ import annotations

from reconciler.model import Action, Adopt, Create, Prune, Recover, Replicate, Restore
from reconciler.naming import parse
from reconciler.wording import size_text


def sign(action: Action) -> str:
    """``+`` makes something, ``~`` makes it again, ``-`` deletes it."""
    match action:
        case Create() | Adopt():
            return "+"
        case Prune():
            return "-"
        case _:
            return "~"


def verb(action: Action) -> str:
    """``create``, ``replicate``, ``prune`` …: the action's type in JSON, too."""
    return type(action).__name__.lower()


def subject(action: Action) -> str:
    """The target; of an action that has none, the destination or the key."""
    match action:
        case Adopt():
            return action.destination
        case Recover():
            return action.key
        case _:
            return str(action.target)


def details(action: Action) -> str:
    """Which artifact, from where to where, how large; empty where there is no more to say."""
    match action:
        case Create():
            held = f"; {', '.join(action.holds)}" if action.holds else ""
            return f"{action.tier} → {', '.join(action.destinations)}{held}"
        case Replicate():
            way = f"{action.sources[0]} → {action.destination}"
            return f"{_which(action.key)}  {way}, {size_text(action.size)}"
        case Prune():
            return f"{_which(action.key)}  at {action.destination}, {size_text(action.size)}"
        case Restore():
            place = action.to or "where it came from"
            return f"{_which(action.key)}  to {place}, {size_text(action.size)}"
        case Recover():
            return f"at {action.destination}"
        case Adopt():
            return ""


def _which(key: str) -> str:
    artifact = parse(key)
    return f"{artifact.tier} {artifact.time:%Y-%m-%d %H:%M}Z" if artifact else key
