"""``apprise:`` notifiers: mail, chats and webhooks, through the library of that name.

What the library writes into its log may hold parts of the address, so it goes nowhere: a code or a kind of failure is all that
is taken from it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from reconciler.errors import ReconcilerError
from reconciler.model.notifications import Transition
from reconciler.notifiers import Hears, Message

if TYPE_CHECKING:
    from apprise import NotifyType

HEARS: Final[Hears] = "changes"

_CODE = re.compile(r"\berror=(\d{3})\b")


def tell(url: str, message: Message) -> None:
    """Deliver it, in this thread: the library's own would keep the process from ending. Raises ReconcilerError."""
    try:
        from apprise import Apprise, AppriseAsset, NotifyFormat, OverflowMode
    except ImportError:
        raise ReconcilerError(
            "it needs the Python package apprise; install it with pip install 'reconciler[notify]'"
        ) from None
    service = Apprise.instantiate(url, AppriseAsset(app_id="reconciler", service_timeout=0))
    if service is None:
        raise ReconcilerError(
            "its url is no address that apprise knows, or one whose service needs another Python package"
        )
    if service.overflow_mode == OverflowMode.UPSTREAM:
        # A chat would refuse a message that is too long for it, at each try again.
        service.overflow_mode = OverflowMode.TRUNCATE
    # Only the collection changes plain text to what the service shows: HTML for mail, say.
    told = Apprise(service).notify(
        message.body, title=message.title, notify_type=_kind(message.worst), body_format=NotifyFormat.TEXT
    )
    if not told:
        raise ReconcilerError(_why("\n".join(entry.message for entry in told.logs())))


def _kind(worst: Transition) -> NotifyType:
    from apprise import NotifyType

    kinds = {
        "failure": NotifyType.FAILURE,
        "stale": NotifyType.FAILURE,
        "recovery": NotifyType.SUCCESS,
        "drift": NotifyType.WARNING,
    }
    return kinds[worst]


def _why(text: str) -> str:
    if code := _CODE.search(text):
        return f"the service did not take the message: it answered with {code[1]}"
    if "onnection error" in text:
        return "the service cannot be reached"
    return "the service did not take the message"
