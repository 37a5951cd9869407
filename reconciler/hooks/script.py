"""``script:`` hooks: a shell script on this machine, under ``/bin/sh``.

Its text stands in no process list and in no file; it has no stdin. It gets the environment of the reconciler and that of the
hook; its folder is that of the specs.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
from pathlib import Path

from reconciler.adapters import marked
from reconciler.adapters.secrets import guard
from reconciler.errors import ReconcilerError
from reconciler.hooks import HookCall
from reconciler.model import Hook, ScriptFile
from reconciler.pipeline.process import how_it_ended
from reconciler.tail import Lines


def where(hook: Hook, container: str) -> str:
    """No container."""
    del hook, container
    return ""


def run(hook: Hook, call: HookCall) -> None:
    """Run it to its end, or until its time is up. Raises ReconcilerError unless it ends with exit code 0."""
    guard(os.environ.items())
    mark = marked.new_mark()
    last: list[str] = []

    def said(line: str) -> None:
        last[:] = [*last[-4:], line]
        call.said(line)

    try:
        status = _ended(_started(hook, call, mark), mark, call.timeout, Lines(said))
    except KeyboardInterrupt:
        marked.end(mark)  # one that came just at the start left nobody who knows of the process
        raise
    if status:
        marked.end(mark)
        raise ReconcilerError(
            f"the script ended with {how_it_ended(status)}: {'; '.join(last) or 'it said nothing'}"
        )


def _ended(process: subprocess.Popen[bytes], mark: str, timeout: float, lines: Lines) -> int:
    """Its exit status, after all that it said. Raises ReconcilerError when it was ended after ``timeout`` seconds."""
    late = threading.Event()

    def expire() -> None:
        try:
            _end(process, mark)
        finally:
            late.set()

    timer = threading.Timer(timeout, expire)
    timer.daemon = True
    try:
        timer.start()
        _listen(process, lines, late)
        status = process.wait()
    except BaseException:
        _end(process, mark)
        process.wait()
        raise
    finally:
        timer.cancel()
        if timer.ident:
            timer.join()
    if late.is_set():
        raise ReconcilerError(
            f"the script took longer than {timeout:g} s and was ended: raise its timeout if it needs more"
        )
    return status


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    """End all of it; what cleared its environment carries no mark, and is found by its group."""
    marked.end(mark)
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _started(hook: Hook, call: HookCall, mark: str) -> subprocess.Popen[bytes]:
    """The shell, with its output on a pipe. Raises ReconcilerError."""
    if isinstance(hook.script, ScriptFile):
        if not Path(hook.script.file).is_file():
            raise ReconcilerError(f"{hook.script.file} is no file: it should be a shell script")
        return _shell(["/bin/sh", hook.script.file], call, mark)
    at = os.memfd_create("script", 0)
    try:
        os.write(at, (hook.script or "").encode())
        return _shell(["/bin/sh", "-c", f". /proc/self/fd/{at}", "script"], call, mark, at)
    finally:
        os.close(at)


def _shell(command: list[str], call: HookCall, mark: str, at: int | None = None) -> subprocess.Popen[bytes]:
    base = call.host.base if call.host.base.is_dir() else call.host.base.parent
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=base,
            env={**os.environ, **call.environment, marked.NAME: mark},
            process_group=0,
            pass_fds=() if at is None else (at,),
        )
    except OSError as error:
        raise ReconcilerError(f"/bin/sh cannot be run in {base}: {error.strerror}") from None


def _listen(process: subprocess.Popen[bytes], lines: Lines, late: threading.Event) -> None:
    """Give on what it says until it says no more, or is late: a stray child may hold the pipe for ever."""
    assert process.stdout is not None
    ready = select.poll()
    ready.register(process.stdout, select.POLLIN)
    with process.stdout as output:
        while not late.is_set():
            if not ready.poll(200):
                continue
            if not (data := os.read(output.fileno(), 1 << 16)):
                break
            lines.add(data)
    lines.end()
