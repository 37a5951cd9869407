"""Who is told what of the runs: the Policy's notifications, as users write them. Sent by ``notifiers``."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from reconciler.model.base import Name, SecretRef, SpecModel

Transition = Literal["failure", "stale", "recovery", "drift"]
TRANSITIONS: tuple[Transition, ...] = ("failure", "stale", "recovery", "drift")
"""The worst first."""

VARIABLES = ("COMMIT", "EVENTS", "HEADLINE", "NODE", "SUMMARY", "TIME")
"""What a template may name."""

TITLE = "Backups on ${NODE}: ${SUMMARY}"
BODY = "${EVENTS}\n\nBackups on ${NODE}: ${HEADLINE}. As of ${TIME}."

Template = Annotated[str, Meta(pattern=r"\S", max_length=4000)]


class Apprise(SpecModel, frozen=True, kw_only=True):
    """A mailbox, a chat or a web service, by its address as the library apprise writes it."""

    url: Annotated[
        SecretRef,
        Meta(
            title="URL",
            description="The address, by reference since it holds credentials, such as mailtos://…, discord://…, jsons://…",
            examples=[{"fromEnv": "NOTIFY_URL"}],
        ),
    ]


class Ping(SpecModel, frozen=True, kw_only=True):
    """A service that raises the alarm when no ping comes, such as healthchecks."""

    url: Annotated[
        SecretRef,
        Meta(
            title="URL",
            description="Its http:// or https:// address, by reference: asked as it is when a run went well, with /start before"
            " a run, and with /fail after one that failed.",
            examples=[{"fromEnv": "PING_URL"}],
        ),
    ]


class Notifier(SpecModel, frozen=True, kw_only=True):
    """Somebody to tell. Exactly one of apprise and ping."""

    name: Annotated[
        Name,
        Meta(
            title="Name",
            description="Names it in warnings and in the status; unique in the Policy.",
            examples=["team"],
        ),
    ]
    apprise: Annotated[
        Apprise | None,
        Meta(
            title="apprise",
            description="Sends a message when something changes: by mail, chat or webhook.",
            examples=[{"url": {"fromEnv": "NOTIFY_URL"}}],
        ),
    ] = None
    ping: Annotated[
        Ping | None,
        Meta(
            title="Ping",
            description="Asks an address at the begin and the end of every run, so that silence is noticed too.",
            examples=[{"url": {"fromEnv": "PING_URL"}}],
        ),
    ] = None
    tell: Annotated[
        Annotated[tuple[Transition, ...], Meta(min_length=1)],
        Meta(
            title="Tell",
            description="Which changes are told: failure, stale (maxAge is missed), recovery, drift. Default: all of them.",
            examples=[["failure", "recovery"]],
        ),
    ] = TRANSITIONS
    title: Annotated[
        Template,
        Meta(
            title="Title",
            description=f"Title of the message; {', '.join(f'${{{name}}}' for name in VARIABLES)} stand for what they say.",
            examples=["${NODE}: ${SUMMARY}"],
        ),
    ] = TITLE
    body: Annotated[
        Template,
        Meta(
            title="Body",
            description="Text of the message, with the same variables as the title.",
            examples=["${EVENTS}"],
        ),
    ] = BODY

    @property
    def kind(self) -> str:
        """``apprise`` or ``ping``: also the module's name in ``notifiers/``."""
        return "apprise" if self.apprise else "ping"

    @property
    def address(self) -> SecretRef:
        """Where it is reached."""
        found = self.apprise or self.ping
        assert found is not None
        return found.url


Notifications = Annotated[
    tuple[Notifier, ...],
    Meta(
        title="Notifications",
        description="Who is told when something fails, recovers or drifts, and who is pinged by every run. Default: nobody.",
        examples=[[{"name": "team", "apprise": {"url": {"fromEnv": "NOTIFY_URL"}}}]],
    ),
]
