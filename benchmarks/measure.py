"""Runs a command as a whole and takes its wall-clock time and the peak memory of its largest process."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple


class Run(NamedTuple):
    """Seconds of wall-clock time, and the peak resident memory of the largest process in bytes."""

    seconds: float
    memory: int


def run(command: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> Run:
    """Run ``command`` once. Raises RuntimeError with the end of its output when it fails."""
    with log.open("wb") as output:
        begun = time.perf_counter()
        child = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | (environment or {}))
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(
            f"{command[0]} ended with {child.returncode}:\n{log.read_text(errors='replace')[-2000:]}"
        )
    return Run(seconds, usage.ru_maxrss * 1024)


class Contest(NamedTuple):
    """One contestant: what is run before each time, unmeasured, and the command, which reads ``source``."""

    name: str
    prepare: Callable[[], object]
    command: Sequence[str]
    environment: dict[str, str]
    source: Path


def warm(source: Path) -> None:
    """Read every file once, so that no contestant pays for a page cache that was cold."""
    for file in source.rglob("*"):
        if file.is_file() and not file.is_symlink():
            with file.open("rb", buffering=0) as content:
                while content.read(1 << 20):
                    pass


def compare(contestants: Sequence[Contest], rounds: int, log: Path) -> dict[str, list[Run]]:
    """The runs of each, in turn so that a machine that drifts drifts for all; one round more, not counted, warms up."""
    results: dict[str, list[Run]] = {contestant.name: [] for contestant in contestants}
    for number in range(rounds + 1):
        for contestant in contestants:
            contestant.prepare()
            os.sync()
            warm(contestant.source)
            result = run(contestant.command, log, contestant.environment)
            if number:
                results[contestant.name].append(result)
    return results
