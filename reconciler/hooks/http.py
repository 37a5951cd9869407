"""``http:`` hooks: one request, maybe tried again."""

from __future__ import annotations

import string
from collections.abc import Mapping
from urllib.parse import urlsplit

from reconciler.adapters.secrets import redact, resolve
from reconciler.errors import ReconcilerError
from reconciler.hooks import HookCall
from reconciler.model import Hook, HttpHook, SecretRef

_HEARD = 4096  # bytes of an answer that are looked at
_WAIT = 1.0  # seconds before the second try; doubled each time


class _Unanswered(Exception):
    """No answer, or one that may be another the next time."""


def where(hook: Hook, container: str) -> str:
    """No container."""
    del hook, container
    return ""


def run(hook: Hook, call: HookCall) -> None:
    """Send it until the answer is as expected, as often and as long as the hook allows. Raises ReconcilerError."""
    import stamina

    assert hook.http is not None
    request = hook.http
    try:
        for attempt in stamina.retry_context(
            on=_Unanswered, attempts=request.retry + 1, timeout=call.timeout, wait_initial=_WAIT
        ):
            with attempt:
                _send(request, call)
    except _Unanswered as error:
        raise ReconcilerError(str(error)) from None


def _send(request: HttpHook, call: HookCall) -> None:
    """One try. Raises _Unanswered where another one may help, else ReconcilerError."""
    import requests

    url = resolve(request.url) if isinstance(request.url, SecretRef) else request.url
    place = f"{request.method} to {urlsplit(url).hostname}"
    try:
        with requests.request(
            request.method,
            url,
            headers=_headers(request),
            data=_body(request, call.environment),
            timeout=call.timeout,
            allow_redirects=False,
            stream=True,
        ) as answer:
            heard = answer.raw.read(_HEARD, decode_content=True).decode(errors="replace").strip()
            status = answer.status_code
    except requests.RequestException as error:
        raise _Unanswered(f"{place} got no answer: {_reason(error, url)}") from None
    for line in heard.splitlines():
        call.said(line)
    if status in request.expect or (not request.expect and 200 <= status < 300):
        return
    wanted = ", ".join(map(str, request.expect)) or "200 to 299"
    told = f"{place} was answered with {status}, not {wanted}: {redact(heard[:200]) or 'and no text'}"
    raise _Unanswered(told) if status >= 500 else ReconcilerError(told)


def _headers(request: HttpHook) -> dict[str, str]:
    return {
        name: resolve(value) if isinstance(value, SecretRef) else value
        for name, value in request.headers.items()
    }


def _body(request: HttpHook, environment: Mapping[str, str]) -> bytes | None:
    return (
        None if request.body is None else string.Template(request.body).safe_substitute(environment).encode()
    )


def _reason(error: Exception, url: str) -> str:
    """Why, without the address, which may be secret as a whole."""
    cause = error.args[0] if error.args else error
    reason = getattr(cause, "reason", cause)
    return str(reason).replace(url, "[url]")[:300]
