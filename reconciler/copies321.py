"""The 3-2-1 rule: three copies, on two kinds of media, one of them off-site. Pure; used by spec and report.

The original is one of the three copies and lies on a disk. ``hdd``, ``ssd`` and ``nvme`` are disks too: two of them in one
house are one kind of media.
"""

from __future__ import annotations

from reconciler.model import Backup, Destination, Fleet

_DISKS = frozenset({"disk", "hdd", "ssd", "nvme"})


def rule321(fleet: Fleet) -> list[tuple[str, str]]:
    """(backup name, what is missing) for each backup that breaks the rule, whatever the Policy makes of it.

    Destinations that the fleet does not know are left out of the count.
    """
    known = {destination.name: destination for destination in fleet.destinations}
    findings = []
    for backup in fleet.backups:
        missing = _missing(
            backup, [known[name] for name in dict.fromkeys(backup.destinations) if name in known]
        )
        if missing:
            findings.append((backup.name, f"the 3-2-1 rule is broken: {'; '.join(missing)}"))
    return findings


def _missing(backup: Backup, destinations: list[Destination]) -> list[str]:
    missing = []
    copies = 1 + len(destinations)
    if copies < 3:
        missing.append(f"{copies} copies (the original and {_named(backup.destinations)}), 3 are needed")
    media = {"disk"} | {_medium(destination) for destination in destinations}
    if len(media) < 2:
        missing.append("every copy is on disk, 2 kinds of media are needed")
    if not any(destination.offsite for destination in destinations):
        missing.append("no copy is off-site, 1 is needed")
    return missing


def _named(names: tuple[str, ...]) -> str:
    return ", ".join(names) if names else "no destination"


def _medium(destination: Destination) -> str:
    word = destination.media.lower()
    return "disk" if word in _DISKS else word
