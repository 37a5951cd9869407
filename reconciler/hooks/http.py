"""``http:`` hooks: one request, maybe tried again."""

from __future__ import annotations

import string
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from urllib.parse import urlsplit

from reconciler.adapters.secrets import redact, resolve
from reconciler.adapters.unanswered import reason
from reconciler.errors import ReconcilerError
from reconciler.hooks import HookCall
from reconciler.model import Hook, HttpHook, SecretRef

_HEARD = 4096  # bytes of an answer that are looked at
_WAIT = 1.0  # seconds before the second try; doubled each time
_NO_ADDRESS = "its url is no http:// or https:// address of a server: look at its begin, host and port"


class _Unanswered(Exception):
    """No answer, or one that may be another the next time."""


def where(hook: Hook, container: str) -> str:
    """No container."""
    del hook, container
    return ""


def run(hook: Hook, call: HookCall) -> None:
    """Send it until the answer is as expected, as often and as long as the hook allows. Raises ReconcilerError."""
    assert hook.http is not None
    request = hook.http
    place = _place(request, _url(request))
    # The library's timeout is one of each read: only a thread can leave a server that sends a byte now and then.
    sent: Future[list[str]] = Future()
    threading.Thread(target=_settle, args=(sent, request, call), daemon=True).start()
    try:
        heard = sent.result(call.timeout)
    except TimeoutError:
        raise ReconcilerError(
            f"{place} got no answer: it took longer than {call.timeout:g} s; raise its timeout if it needs more"
        ) from None
    for line in heard:
        call.said(line)


def _settle(sent: Future[list[str]], request: HttpHook, call: HookCall) -> None:
    try:
        sent.set_result(_tried(request, call))
    except Exception as error:  # noqa: BLE001 - it is raised again in the thread that waits
        sent.set_exception(error)


def _tried(request: HttpHook, call: HookCall) -> list[str]:
    """Lines of the answer. Raises ReconcilerError."""
    import stamina

    try:
        for attempt in stamina.retry_context(
            on=_Unanswered, attempts=request.retry + 1, timeout=call.timeout, wait_initial=_WAIT
        ):
            with attempt:
                return _send(request, call)
    except _Unanswered as error:
        raise ReconcilerError(str(error)) from None
    return []


def _send(request: HttpHook, call: HookCall) -> list[str]:
    """One try: lines of the answer. Raises _Unanswered where another one may help, else ReconcilerError."""
    url = _url(request)
    place = _place(request, url)
    status, heard = _exchange(request, call, url, place)
    if status in request.expect or (not request.expect and 200 <= status < 300):
        return heard.splitlines()
    wanted = ", ".join(map(str, request.expect)) or "200 to 299"
    told = f"{place} was answered with {status}, not {wanted}: {redact(heard)[:200] or 'and no text'}"
    raise _Unanswered(told) if status >= 500 else ReconcilerError(told)


def _exchange(request: HttpHook, call: HookCall, url: str, place: str) -> tuple[int, str]:
    """The code and the begin of the answer, which has to come whole. What fails is told without a header or address."""
    import requests
    from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema
    from urllib3.exceptions import HTTPError

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
            return answer.status_code, heard
    except (requests.exceptions.InvalidHeader, UnicodeError):
        raise ReconcilerError(
            f"{place} cannot be sent: a header has characters that no header may have"
        ) from None
    except (InvalidSchema, InvalidURL, MissingSchema):
        raise ReconcilerError(_NO_ADDRESS) from None
    except requests.RequestException as error:
        raise _Unanswered(f"{place} got no answer: {reason(error, url)}") from None
    except (HTTPError, OSError) as error:
        raise _Unanswered(f"{place} got no answer that can be read: {reason(error, url)}") from None


def _url(request: HttpHook) -> str:
    return resolve(request.url) if isinstance(request.url, SecretRef) else request.url


def _place(request: HttpHook, url: str) -> str:
    """What is asked of whom, in words. Raises ReconcilerError."""
    try:
        return f"{request.method} to {urlsplit(url).hostname or 'no host'}"
    except ValueError:
        raise ReconcilerError(_NO_ADDRESS) from None


def _headers(request: HttpHook) -> dict[str, str]:
    return {
        name: resolve(value) if isinstance(value, SecretRef) else value
        for name, value in request.headers.items()
    }


def _body(request: HttpHook, environment: Mapping[str, str]) -> bytes | None:
    return (
        None if request.body is None else string.Template(request.body).safe_substitute(environment).encode()
    )
