"""A folder of specs, the program as a process on them, and a state that it is to be in when a signal comes."""

import io
import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from reconciler import cli
from tests.cli.place import PROGRAM
from tests.descent import is_dead
from tests.faults.project import backup, destination, policy
from tests.lifecycle.yard import Yard
from tests.parts.engine import EngineHost
from tests.parts.process import until
from tests.parts.relay import Relay, relay


class Stage:
    """One Backup, ``shop``, whose target is a command; ``copies`` is its destination unless a state has another."""

    def __init__(self, root: Path, request: pytest.FixtureRequest, open_: ExitStack) -> None:
        self.root = root
        self.open = open_
        self.mark = uuid.uuid4().hex
        self.env = {
            "RECONCILER_NODE": "node-1",
            "RECONCILER_STATE_DIR": str(root / "state"),
            "XDG_STATE_HOME": str(root / "home"),
            "STAGE": self.mark,
        }
        self.arguments: tuple[str, ...] = (str(self.specs),)
        self.reached: Callable[[], object] = lambda: None
        """Waits until it is in the state."""
        self.mend: Callable[[], object] = self.write
        """Lets the next start come to a good end."""
        self.left = False
        """Whether what is held stays so until the next start: the Engine does not answer."""
        self.done = False
        """Whether the copy was committed before."""
        self._request = request
        self._yard: Yard | None = None
        (root / "copies").mkdir()
        self.specs.mkdir()

    @property
    def specs(self) -> Path:
        """The folder of the specs."""
        return self.root / "backup.d"

    @property
    def log(self) -> str:
        """What the program has said."""
        path = self.root / "log"
        return path.read_text() if path.exists() else ""

    def part(self, name: str) -> Any:
        """A server that the tests share."""
        return self._request.getfixturevalue(name)

    def write(
        self,
        command: str = "echo some",
        *more: Mapping[str, Any],
        places: tuple[str, ...] = ("disk",),
        rules: Mapping[str, Any] | None = None,
        **spec: Any,
    ) -> None:
        """Replace the specs. ``more`` are documents, ``rules`` the Policy's, ``spec`` the Backup's."""
        target = {"name": "shop", "kind": "command", "extension": "txt", "backup": command}
        documents = [
            policy(**(rules or {})),
            destination("disk", f"file://{self.root}/copies"),
            backup("shop", [target], places, **spec),
            *more,
        ]
        text = "---\n".join(json.dumps(document) + "\n" for document in documents)
        (self.specs / "all.yaml").write_text(text)

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Begin it; what it says goes to the log. It ends with the test."""
        with (self.root / "log").open("w") as output:
            child = subprocess.Popen(
                [PROGRAM, command, *self.arguments],
                cwd=self.root,
                env=os.environ | self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        self.open.callback(child.wait)
        self.open.callback(child.kill)
        return child

    def run(self, *arguments: str) -> None:
        """Run a command on the specs to its good end, in this process."""
        held, told = io.BytesIO(), io.StringIO()
        out = io.TextIOWrapper(held, write_through=True)
        with mock.patch.dict(os.environ, self.env), redirect_stdout(out), redirect_stderr(told):
            code = cli.main([*arguments, str(self.specs)])
        assert code == 0, (arguments, held.getvalue(), told.getvalue())

    def await_(self, ready: Callable[[], object]) -> None:
        """Wait until it is true."""
        try:
            until(lambda: bool(ready()), "it does not come so far")
        except TimeoutError:
            raise AssertionError(self.log) from None

    def begins(self, more: str = "sleep 300") -> str:
        """A command that says that it runs, and then goes on; the state is reached then."""
        begun = self.root / "begun"
        self.reached = lambda: self.await_(begun.exists)
        return f"echo $$ >{begun}.part; mv {begun}.part {begun}; {more}"

    def silent(self) -> Relay:
        """A server that says nothing; the state is reached when somebody asks it."""
        opened = self.open.enter_context(relay())
        self.reached = lambda: self.await_(lambda: opened.connections)
        return opened

    @property
    def yard(self) -> Yard:
        """Containers on the Engine of all tests."""
        if self._yard is None:
            host: EngineHost = self.part("engine_host")
            self._yard = self.open.enter_context(closing(Yard(host, self.root)))
            self.env["DOCKER_HOST"] = host.url
        return self._yard

    def stops(self, *shorts: str, **more: Any) -> dict[str, Any]:
        """The ``quiesce`` that stops these."""
        return {"mode": "stop", "containers": [self.yard.name(short) for short in shorts], **more}

    def strays(self) -> list[str]:
        """Command lines of what it has started and that still runs."""
        found = []
        for folder in Path("/proc").iterdir():
            with suppress(OSError):
                if folder.name.isdigit() and self.mark.encode() in (folder / "environ").read_bytes():
                    found += [] if is_dead(int(folder.name)) else [(folder / "cmdline").read_text()]
        return found

    def copies(self) -> list[Path]:
        """Artifacts and manifests at ``disk``."""
        return [path for path in (self.root / "copies").glob("*ly/*_*") if path.suffix != ".part"]

    def records(self) -> list[Path]:
        """What the journal has."""
        return list((self.root / "state").glob("*.held"))

    def down(self) -> list[str]:
        """The containers that do not run."""
        if self._yard is None:
            return []
        found = self._yard.client.containers.list(all=True, ignore_removed=True)
        return [str(one.name) for one in found if self._yard.tag in str(one.name) and one.status != "running"]


@contextmanager
def staged(root: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A stage for the block."""
    with ExitStack() as opened:
        yield Stage(root, request, opened)
