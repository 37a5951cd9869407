"""SIGTERM and Ctrl-C in every state of ``run`` and ``apply``: the end within 30 s, and nothing left half made.

The suite has the states that differ most, and little patience with what does not answer. With CAMPAIGN=all it has all of them,
for both commands and both signals, with the patience that people get.
"""

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path
from signal import SIGINT, SIGTERM
from subprocess import DEVNULL, PIPE, STDOUT, Popen, TimeoutExpired

import pytest

from tests.cli.place import PROGRAM
from tests.parts.process import until
from tests.service.stage import Stage, staged
from tests.service.states import BOTH, RUN

ALL = os.environ.get("CAMPAIGN") == "all"
SECONDS = 30
GRACE = 20.0 if ALL else 2.0
CODES = {("apply", SIGTERM): 143, ("apply", SIGINT): 130, ("run", SIGTERM): 0, ("run", SIGINT): 0}
CASES = [
    ("push", "run", SIGTERM),
    ("late", "apply", SIGINT),
    ("recovering", "apply", SIGTERM),
    ("engine-held", "run", SIGTERM),
    ("write-sftp-held", "apply", SIGTERM),
    ("page", "run", SIGINT),
]
EVERY = [
    (state, command, number)
    for state in (*RUN, *BOTH)
    for command, number in CODES
    if command == "run" or state in BOTH
]


@pytest.mark.parametrize(
    ("state", "command", "number"),
    [pytest.param(*case, id=f"{case[0]}-{case[1]}-{case[2].name}") for case in (EVERY if ALL else CASES)],
)
def test_it_ends_in_time_with_nothing_half_made(
    state: str, command: str, number: signal.Signals, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with staged(tmp_path, request) as stage:
        stage.env["RECONCILER_GRACE"] = str(GRACE)
        (RUN | BOTH)[state](stage)
        child = stage.start(command)
        stage.reached()
        begun = time.monotonic()
        for _ in range(random.Random(state).choice((2, 5))):
            child.send_signal(number)
        assert child.wait(SECONDS) == CODES[command, number], stage.log
        assert time.monotonic() - begun < GRACE + 5
        assert "Traceback" not in stage.log
        until(lambda: not stage.strays(), "something that it has started goes on", 2)
        assert bool(stage.copies()) is stage.done
        if not stage.left:
            assert (stage.down(), stage.records()) == ([], [])
        if stage.arguments[0] != "--repo":
            the_next_start_puts_the_rest_right(stage)


def the_next_start_puts_the_rest_right(stage: Stage) -> None:
    """Nothing is left to do after it, nothing is held, and the journal is empty."""
    stage.mend()
    stage.run("apply")
    stage.run("plan")
    assert (stage.down(), stage.records()) == ([], [])
    assert not list((stage.root / "copies").glob("*ly/*.part"))


@pytest.mark.parametrize("delay", [0.02 * step for step in range(50)] if ALL else [0.02, 0.15, 0.3])
def test_while_it_starts(delay: float, tmp_path: Path) -> None:
    """As long as it has done nothing it may end by the signal itself: without a word."""
    command = [PROGRAM, "run", str(tmp_path), "--state-dir", str(tmp_path / "state")]
    with Popen(command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, text=True) as child:
        with suppress(TimeoutExpired):
            child.wait(delay)
        child.send_signal(SIGTERM)
        child.send_signal(SIGTERM)
        said, _ = child.communicate(timeout=SECONDS)
    assert child.returncode in (0, 143, -SIGTERM)
    assert "Traceback" not in said
