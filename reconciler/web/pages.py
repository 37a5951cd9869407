"""The pages as HTML: templates filled with what is ``Seen``; every text is escaped by the template engine. Called by ``site``.

The only module that imports jinja2, when the first page is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from reconciler import __version__
from reconciler.adapters.secrets import redact
from reconciler.errors import ReconcilerError
from reconciler.model import Outcome
from reconciler.model.status import Status, TargetStatus
from reconciler.report import actions
from reconciler.report.headline import headline
from reconciler.report.markup import visible
from reconciler.report.picture import described
from reconciler.web import words
from reconciler.web.live import MOST_RUNS
from reconciler.web.messages import Refusal
from reconciler.web.seen import Log, Run, Seen

if TYPE_CHECKING:
    from jinja2 import Environment

UPCOMING = 8
_ELSEWHERE = ("destination", "rule321", "orphan")
"""Topics of notes that have a part of their own."""
_BLANKS = re.compile(r"([\n\t])")


def overview(seen: Seen, digest: str) -> bytes:
    """Everything at a glance. ``digest`` changes with the picture."""
    status = seen.status
    return _page(
        "overview.html",
        seen,
        "/",
        headline=headline(status) if status else "nothing is known yet",
        tone=_tone(seen),
        run=next((run for run in seen.runs if run.ended is None), None),
        digest=digest,
        described=described(status) if status else "",
        wrong=list(_wrong(status)) if status else [],
        upcoming=_upcoming(status) if status else [],
        remarks=list(_remarks(status)) if status else [],
    )


def target(seen: Seen, service: str, type_: str) -> bytes:
    """One target: its copies and what was done about it. Raises Refusal when there is none of that name."""
    found = next((item for item in _targets(seen) if (item.service, item.type) == (service, type_)), None)
    if found is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "No spec names a target like this.")
    history = [(run, outcomes) for run in seen.runs if (outcomes := _about(run, found.name))]
    return _page("target.html", seen, target=found, history=history)


def plan(seen: Seen) -> bytes:
    """What the last tick was about to do."""
    return _page("plan.html", seen, "/plan", plan=seen.plan)


def runs(seen: Seen) -> bytes:
    """The runs that are remembered."""
    return _page("runs.html", seen, "/runs", most=MOST_RUNS)


def run(seen: Seen, name: str, log: Log | None) -> bytes:
    """One run with its log. Raises Refusal when it is not remembered."""
    found = next((item for item in seen.runs if item.id == name), None)
    if found is None or log is None:
        raise Refusal(
            HTTPStatus.NOT_FOUND,
            f"No such run is remembered: only the newest {MOST_RUNS} since the service began are.",
        )
    return _page("run.html", seen, run=found, log=log)


def login(said: str) -> bytes:
    """The form for the token; ``said`` is what was wrong with the last one."""
    return _render("login.html", said=said, seen=None)


def failure(status: HTTPStatus, text: str) -> bytes:
    """A refusal."""
    return _render("failure.html", status=status, words=text, seen=None)


@cache
def asset(name: str) -> bytes:
    """A file that a page refers to, of a fixed name."""
    return files("reconciler.web").joinpath("templates", name).read_bytes()


def prepare() -> None:
    """Make ready, so that a missing package is told at the start. Raises ReconcilerError."""
    try:
        _environment()
    except ImportError:
        raise ReconcilerError(
            "the page needs the Python package jinja2; install it with pip install 'reconciler[web]'"
        ) from None


def _page(template: str, seen: Seen, here: str = "", **more: Any) -> bytes:
    return _render(template, seen=seen, here=here, live=True, **more)


def _render(template: str, **values: Any) -> bytes:
    text = _environment().get_template(template).render(version=__version__, **values)
    return text.encode("utf-8", "backslashreplace")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("reconciler.web"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
    )
    made.globals.update(live=False, here="")
    made.filters.update(words.FILTERS)
    for name in ("sign", "verb", "subject", "details"):
        made.filters[name] = getattr(actions, name)
    return made


def _shown(value: Any) -> Any:
    """Text without secrets, and without characters that nobody sees or that turn around what follows; markup stays."""
    if type(value) is not str:
        return value
    return "".join(part if part in ("\n", "\t") else visible(part) for part in _BLANKS.split(redact(value)))


def _tone(seen: Seen) -> str:
    if seen.problem or seen.overdue:
        return "bad"
    truths = {item.status for item in seen.status.conditions} if seen.status else {"Unknown"}
    if truths == {"True"}:
        return "good"
    return "bad" if "False" in truths else "warn"


def _targets(seen: Seen) -> tuple[TargetStatus, ...]:
    return seen.status.targets if seen.status else ()


def _upcoming(status: Status) -> list[TargetStatus]:
    planned = [item for item in status.targets if item.next_run and item.state != "suspended"]
    return sorted(planned, key=lambda item: (str(item.next_run), item.name))[:UPCOMING]


def _wrong(status: Status) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """What needs somebody: a page to follow, the subject, and what is wrong with it."""
    ready = status.condition("Ready")
    if ready.reason in ("SpecsInvalid", "RevisionRejected"):
        yield "", "specs", (ready.message,)
    for item in status.destinations:
        if item.why:
            yield "", item.name, (item.why,)
    for target in status.targets:
        if target.problems:
            yield f"/targets/{target.name}", target.name, target.problems
    told = {target.name for target in status.targets}
    for note in status.notes:
        if note.severity == "error" and note.topic != "destination" and note.subject not in told:
            yield "", note.subject, (note.message,)


def _remarks(status: Status) -> Iterator[tuple[str, str, str]]:
    """What there is to know beside targets and destinations: how bad, about what, and what."""
    for finding in status.rule321:
        yield "warning", finding.backup, finding.message
    for orphan in status.orphans:
        where = ", ".join(orphan.destinations)
        yield (
            "info",
            f"{orphan.service}/{orphan.type}",
            f"no spec names it any more; {orphan.copies} of its copies are at {where}",
        )
    for note in status.notes:
        if note.severity != "error" and note.topic not in _ELSEWHERE:
            yield note.severity, note.subject, note.message


def _about(run: Run, name: str) -> list[Outcome]:
    return [outcome for outcome in run.outcomes if actions.subject(outcome.action) == name]
