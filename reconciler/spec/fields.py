"""Fields whose form no schema can tell: schedules, time zones, URLs, retentions, compression. Used by check.

Works on the plain data, so that these errors are reported beside structural ones. A value of a wrong type is none of its
business.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

import msgspec

from reconciler import schedule, sizes
from reconciler.model import TIERS
from reconciler.spec.around import around_findings
from reconciler.spec.keys import key_findings, missing_key_files
from reconciler.spec.notified import notifier_findings
from reconciler.spec.problems import Path, Problem, quote
from reconciler.spec.reader import Document
from reconciler.spec.suggest import closest, did_you_mean
from reconciler.spec.timing import blackout_findings, suspension_findings
from reconciler.spec.urls import complaint

Finding = tuple[Path, str]

_LEVELS = {"zstd": (1, 19), "gzip": (1, 9)}
_LEAST_BANDWIDTH = 100_000
_USER_AND_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]*@")
_SCHEDULES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def field_problems(document: Document) -> Iterator[Problem]:
    """What is wrong with single fields of ``document``."""
    spec = document.data.get("spec")
    if not isinstance(spec, dict):
        return
    for path, block in (("spec",), spec), (("spec", "defaults"), spec.get("defaults")):
        if isinstance(block, dict):
            folder = File(document.file).absolute().parent
            keys = key_findings(block, path, folder)
            around = around_findings(document.data.get("kind"), block, path)
            told = notifier_findings(block, path)
            for where, message in (*_in_block(block, path), *_homes(block, path), *keys, *around, *told):
                if where not in document.refused:
                    yield document.problem(where, message)
            for where, message in missing_key_files(block, path, folder):
                yield msgspec.structs.replace(document.problem(where, message), severity="warning")


def _in_block(block: dict[str, Any], path: Path) -> Iterator[Finding]:
    yield from _schedule(block, path)
    yield from _zone(block, path)
    yield from suspension_findings(block, path)
    yield from blackout_findings(block, path)
    yield from _retention(block, path)
    yield from _compression(block, path)
    yield from _repeated(block, path)
    yield from _credentials(block, path)
    yield from _bandwidth(block, path)
    url = block.get("url")
    if isinstance(url, str) and url and (message := complaint(url)):
        yield (*path, "url"), message
    elif isinstance(url, str) and url.startswith("sftp://"):
        yield from _host_key(block, path)


def _host_key(block: dict[str, Any], path: Path) -> Iterator[Finding]:
    """An SFTP server is known by its key and by nothing else."""
    options = block.get("options", {})
    if not isinstance(options, dict):
        return
    given = [key for key in ("host_key", "known_hosts") if key in options]
    if not given:
        yield (
            (*path, "url"),
            "sftp:// needs the server's public key: set host_key or known_hosts in options; ssh-keyscan prints it",
        )
    elif len(given) == 2:
        yield (*path, "options", "known_hosts"), "host_key is set too: remove one of them"


def _homes(block: dict[str, Any], path: Path) -> Iterator[Finding]:
    """Paths below the home folder of nobody."""
    targets = block.get("targets")
    for position, target in enumerate(targets if isinstance(targets, list) else []):
        place = target.get("path") if isinstance(target, dict) else None
        if isinstance(place, str) and place.startswith("~") and os.path.expanduser(place) == place:
            yield (
                (*path, "targets", position, "path"),
                f"{quote(place.split('/')[0])} is the home folder of nobody",
            )


def _schedule(block: dict[str, Any], path: Path) -> Iterator[Finding]:
    text = block.get("schedule")
    if isinstance(text, str) and 0 < len(text) <= 200 and (message := _cron_complaint(text)):
        yield (*path, "schedule"), message


def _cron_complaint(text: str) -> str:
    try:
        schedule.parse(text, "UTC")
    except ValueError as error:
        return f"{error}{_meant(text)}"
    except Exception:  # noqa: BLE001 - whatever an expression does to the cron library, it is no schedule
        return f"{quote(text)} is not a cron expression"
    return ""


def _meant(text: str) -> str:
    """A suggestion for the first word of a schedule that is near to a name."""
    if text.startswith("@") or " " not in text.strip():
        return did_you_mean(text if text.startswith("@") else f"@{text}", _SCHEDULES)
    names = {*_WEEKDAYS, *_MONTHS}
    for field in text.lower().split():
        for word in field.replace("-", ",").split(","):
            if word.isalpha() and word not in names and (near := closest(word, names)):
                return f' (did you mean "{near}"?)'
    return ""


def _zone(block: dict[str, Any], path: Path) -> Iterator[Finding]:
    zone = block.get("timezone")
    if not isinstance(zone, str) or not 0 < len(zone) <= 64:
        return
    if zone == "localtime":
        yield (
            (*path, "timezone"),
            '"localtime" is another zone on every machine; use an IANA name such as Europe/Berlin',
        )
        return
    try:
        schedule.parse("@daily", zone)
    except ValueError as error:
        from zoneinfo import available_timezones

        yield (*path, "timezone"), f"{error}{did_you_mean(zone, available_timezones())}"


def _retention(block: dict[str, Any], path: Path) -> Iterator[Finding]:
    retention = block.get("retention")
    if not isinstance(retention, dict) or retention.keys() - {*TIERS, "minimum"}:
        return
    counts = [retention.get(tier, 0) for tier in TIERS]
    if all(count == 0 and isinstance(count, int) for count in counts):
        yield (*path, "retention"), f"keeps nothing: give a count to one of {', '.join(TIERS)}"


def _compression(block: dict[str, Any], path: Path) -> Iterator[Finding]:
    compression = block.get("compression")
    if not isinstance(compression, dict):
        return
    level, codec = compression.get("level"), compression.get("codec", "zstd")
    if not isinstance(level, int) or isinstance(level, bool):
        return
    if codec == "none":
        yield (*path, "compression", "level"), "codec none has no level: remove it"
    elif codec in _LEVELS and not _LEVELS[codec][0] <= level <= _LEVELS[codec][1]:
        least, most = _LEVELS[codec]
        yield (
            (*path, "compression", "level"),
            f"expected a level of {least} to {most} for {codec}, got {level}",
        )


def _credentials(block: dict[str, Any], path: Path) -> Iterator[Finding]:
    options = block.get("options")
    for key, value in options.items() if isinstance(options, dict) else ():
        if isinstance(value, str) and _USER_AND_PASSWORD.search(value):
            yield (
                (*path, "options", key),
                "a password in the URL: remove it, and put a reference to it into its own option",
            )


def _bandwidth(block: dict[str, Any], path: Path) -> Iterator[Finding]:
    """Less than this backs up nothing in time, and one chunk would hold up the end of the process."""
    written = block.get("bandwidth")
    if (
        isinstance(written, str)
        and re.match(sizes.PATTERN, written)
        and sizes.size_of(written) < _LEAST_BANDWIDTH
    ):
        yield (*path, "bandwidth"), f"expected at least 100kB (a second), got {written}"


def _repeated(block: dict[str, Any], path: Path) -> Iterator[Finding]:
    names = block.get("destinations")
    seen: set[str] = set()
    for position, name in enumerate(names if isinstance(names, list) else []):
        if isinstance(name, str) and name in seen:
            yield (*path, "destinations", position), f"{quote(name)} is in the list twice"
        elif isinstance(name, str):
            seen.add(name)
