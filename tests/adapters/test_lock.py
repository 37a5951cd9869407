"""The lock of the specs: what is let go of within a second is waited for."""

import subprocess
import threading
from pathlib import Path

from reconciler.adapters import lock


def test_a_lock_that_outlives_its_holder_by_a_moment_is_waited_for(tmp_path: Path) -> None:
    """As that of a run which was killed while it started a program: the child has the lock until that program runs."""
    with subprocess.Popen(
        ["flock", tmp_path, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin
        assert holder.stdout
        holder.stdin.write(b"it is held\n")
        holder.stdin.flush()
        holder.stdout.readline()
        soon = threading.Timer(0.05, holder.stdin.close)
        soon.start()
        with lock.hold(tmp_path):
            soon.join()
            assert holder.wait() == 0
