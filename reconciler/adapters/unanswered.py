"""Why a server gave no answer over HTTP, in plain words. Used by http hooks.

Each library wraps the error of the one below; what tells is the innermost one.
"""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
import zlib
from collections.abc import Iterator

_TYPES: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "the server's name is not known here: look at how it is spelt, and at name resolution"),
    (ssl.SSLError, "no TLS connection came about: does that port speak https?"),
    (ConnectionRefusedError, "the connection was refused: look whether the server runs, and at the port"),
    (TimeoutError, "it took too long; raise the timeout if it needs more"),
    (http.client.RemoteDisconnected, "the server closed the connection without a word"),
    (http.client.IncompleteRead, "it broke off before its end"),
    (ConnectionError, "the connection broke off"),
    (http.client.BadStatusLine, "what came is no HTTP: look at the port"),
    (zlib.error, "it is not packed as it says"),
)
_NUMBERS = {
    errno.EHOSTUNREACH: "there is no route to the server: look whether it is on, and at the network",
    errno.ENETUNREACH: "there is no route to the server's network: look at this machine's connection",
}


def reason(error: BaseException, url: str) -> str:
    """Why, without the address ``url``, which may be secret as a whole."""
    causes = list(_causes(error))
    proxy = "through the proxy that the environment names: " if _is_of_proxy(causes) else ""
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"{proxy}the server's certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.errno in _NUMBERS:
            return proxy + _NUMBERS[cause.errno]
    for kind, words in _TYPES:
        if any(isinstance(cause, kind) for cause in causes):
            return proxy + words
    return proxy + str(causes[-1]).replace(url, "[url]")[:300]


def _is_of_proxy(causes: list[BaseException]) -> bool:
    from urllib3.exceptions import ProxyError

    return any(isinstance(cause, ProxyError) for cause in causes)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and all that it came from."""
    seen: list[BaseException] = []
    found: list[object] = [error]
    while found:
        cause = found.pop(0)
        if isinstance(cause, BaseException) and not any(cause is other for other in seen):
            seen.append(cause)
            found += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
    yield from seen
