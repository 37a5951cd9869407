"""Runs a command as a whole and takes its wall-clock time and the peak memory of its largest process."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
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
    """One contestant: what is run before each time, unmeasured, and the command."""

    name: str
    prepare: Callable[[], object]
    command: Sequence[str]
    environment: dict[str, str]


def compare(contestants: Sequence[Contest], rounds: int, log: Path) -> dict[str, Run]:
    """The median of each, run in turn so that a machine that drifts drifts for all; one round more warms up."""
    results: dict[str, list[Run]] = {contestant.name: [] for contestant in contestants}
    for number in range(rounds + 1):
        for contestant in contestants:
            contestant.prepare()
            os.sync()
            result = run(contestant.command, log, contestant.environment)
            if number:
                results[contestant.name].append(result)
    return {
        name: Run(median(item.seconds for item in runs), max(item.memory for item in runs))
        for name, runs in results.items()
    }
