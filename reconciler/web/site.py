"""Which answer belongs to which request. Reads nothing but ``Live``, changes nothing, touches no file. Called by ``server``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import parse_qs

from reconciler.errors import ReconcilerError
from reconciler.model.status import Status
from reconciler.report import encode
from reconciler.web import pages, probes
from reconciler.web.access import Access, same
from reconciler.web.live import Live
from reconciler.web.messages import HTML, JSON, SVG, TEXT, Answer, Refusal, Request, text
from reconciler.web.views import metrics, picture
from reconciler.web.webhook import LARGEST, Webhook

Handler = Callable[[Request], Answer]

LOGIN = 4096
"""Bytes of the form with the token."""
_OPEN = (("healthz",), ("readyz",), ("login",), ("style.css",), ("page.js",), ("icon.svg",), ("hooks", "git"))
"""What needs no token: it tells nothing, or has a check of its own."""
_ASSETS = {
    "style.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": SVG,
}
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class _TokenWanted(Exception):
    """A browser asks without the token: it gets a form."""


class Site:
    """Everything that can be asked for."""

    def __init__(self, live: Live, access: Access, webhook: Webhook | None) -> None:
        self._live = live
        self._access = access
        self._webhook = webhook
        self._drawn = _Drawn()
        self._gets: dict[str, Handler] = {
            "": self._overview,
            "plan": lambda _: _page(pages.plan(live.seen())),
            "runs": lambda _: _page(pages.runs(live.seen())),
            "status.svg": lambda _: Answer(self._drawn.of(self._status())[0], SVG),
            "status.json": lambda _: Answer(encode(self._status()), JSON),
            "metrics": self._metrics,
            "healthz": self._healthz,
            "readyz": self._readyz,
        }

    def answer(self, request: Request) -> Answer:
        """The answer, whatever was asked."""
        try:
            self._admit(request)
            return self._route(request)(request)
        except _TokenWanted:
            return Answer(pages.login(""), HTML, HTTPStatus.UNAUTHORIZED)
        except Refusal as refusal:
            return self.failure(refusal, page=request.wants_page)

    def failure(self, refusal: Refusal, *, page: bool = False) -> Answer:
        """A refusal in plain words: a page for a browser, else a line."""
        if not page:
            return text(refusal.text, refusal.status, *refusal.extra)
        content = pages.failure(refusal.status, refusal.text)
        return Answer(content, HTML, refusal.status, refusal.extra)

    def _admit(self, request: Request) -> None:
        hosts = request.headers.get_all("Host", [])
        if request.parts == ("hooks", "git"):
            return  # it is signed, and may come through a proxy under any name
        if len(hosts) != 1 or not self._access.means_us(hosts[0]):
            raise Refusal(
                HTTPStatus.MISDIRECTED_REQUEST,
                "This page answers to localhost and 127.0.0.1 alone. Behind a proxy, have it send Host: localhost, "
                "or give the page a token.",
            )
        if request.parts not in _OPEN and not self._access.allows(request.headers):
            if request.wants_page and request.method in ("GET", "HEAD"):
                raise _TokenWanted
            raise Refusal(
                HTTPStatus.UNAUTHORIZED,
                "This needs the token: send Authorization: Bearer TOKEN.",
                ("WWW-Authenticate", 'Bearer realm="reconciler"'),
            )

    def _route(self, request: Request) -> Handler:
        handlers = self._handlers(request.parts)
        if not handlers:
            raise Refusal(HTTPStatus.NOT_FOUND, "There is no such page here. The overview is at /.")
        method = "GET" if request.method == "HEAD" else request.method
        if method not in handlers:
            allowed = ", ".join(["GET", "HEAD"] if "GET" in handlers else handlers)
            raise Refusal(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"{request.method} is not possible here, only {allowed}. The page shows; it changes nothing.",
                ("Allow", allowed),
            )
        return handlers[method]

    def _handlers(self, parts: tuple[str, ...]) -> dict[str, Handler]:
        match parts:
            case ("hooks", "git") if self._webhook:
                return {"POST": self._hook}
            case ("login",) if self._access.token:
                return {"GET": self._form, "POST": self._login}
            case ("targets", service, type_):
                return {"GET": lambda _: _page(pages.target(self._live.seen(), service, type_))}
            case ("runs", run):
                return {"GET": lambda _: _page(pages.run(self._live.seen(), run, self._live.log(run)))}
            case (name,) if name in _ASSETS:
                return {"GET": lambda _: Answer(pages.asset(name), _ASSETS[name])}
            case (name,) if name in self._gets:
                return {"GET": self._gets[name]}
            case _:
                return {}

    def _overview(self, _: Request) -> Answer:
        seen = self._live.seen()
        drawn = self._drawn.of(seen.status) if seen.status else None
        return _page(pages.overview(seen, drawn[1] if drawn else ""))

    def _metrics(self, _: Request) -> Answer:
        try:
            return Answer(metrics(self._status()), _PROMETHEUS)
        except ReconcilerError as error:
            raise Refusal(HTTPStatus.NOT_IMPLEMENTED, str(error)) from None

    def _status(self) -> Status:
        status = self._live.seen().status
        if status is None:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, "Nothing is known yet: the first tick has not ended."
            )
        return status

    def _healthz(self, _: Request) -> Answer:
        check = probes.healthy(self._live.seen())
        return text(str(check), HTTPStatus.OK if check.good else HTTPStatus.SERVICE_UNAVAILABLE)

    def _readyz(self, request: Request) -> Answer:
        checks = probes.ready(self._live.seen())
        good = all(check.good for check in checks)
        words = "\n".join(map(str, checks)) if self._access.allows(request.headers) else ""
        said = f"{'ready' if good else 'not ready'}\n{words}".strip()
        return text(said, HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE)

    def _form(self, _: Request) -> Answer:
        return _page(pages.login(""))

    def _login(self, request: Request) -> Answer:
        if not same(_token(request.read(LOGIN)), self._access.token):
            return Answer(pages.login("That is not the token."), HTML, HTTPStatus.UNAUTHORIZED)
        secure = request.headers.get("X-Forwarded-Proto", "") == "https"
        cookie = self._access.cookie(secure=secure)
        return Answer(b"", TEXT, HTTPStatus.SEE_OTHER, (("Location", "/"), ("Set-Cookie", cookie)))

    def _hook(self, request: Request) -> Answer:
        assert self._webhook
        match self._webhook.take(request.headers, request.read(LARGEST)):
            case "taken":
                return text("The repository is looked at now.", HTTPStatus.ACCEPTED)
            case "too often":
                raise Refusal(
                    HTTPStatus.TOO_MANY_REQUESTS,
                    "Too many triggers of late; the next look comes by itself.",
                    ("Retry-After", "60"),
                )
            case "unsigned":
                raise Refusal(
                    HTTPStatus.FORBIDDEN,
                    "The request is not signed with the secret that this service was given (--webhook-secret-from-env).",
                )


class _Drawn:
    """The picture of the last status, and its digest: drawn once for each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: Status | None = None
        self._made = b"", ""

    def of(self, status: Status) -> tuple[bytes, str]:
        with self._lock:
            if status is not self._of:
                self._made = picture(status)
                self._of = status
            return self._made


def _token(form: bytes) -> str:
    """What was filled in; empty where that is no form."""
    try:
        fields = parse_qs(form.decode("utf-8", "replace"), max_num_fields=4)
    except ValueError:
        return ""
    return fields.get("token", [""])[0].strip()


def _page(content: bytes) -> Answer:
    return Answer(content, HTML)
