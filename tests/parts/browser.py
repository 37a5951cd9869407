"""A real browser without a window: it opens a page that a test wrote, and hands over what the page found out."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any, Literal

from tests.parts.process import own_folder, program

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SECONDS = 60
Scheme = Literal["light", "dark"]
"""What the person likes who looks at it."""


@dataclass(frozen=True)
class Browser:
    """Each page gets a process of its own."""

    binary: str
    folder: Path
    version: str

    def ask(self, page: str, scheme: Scheme) -> Any:
        """Open ``page``, of which a script writes JSON into the element ``answer``; what that says."""
        path = self.folder / "page.html"
        path.write_text(page)
        command = [
            self.binary,
            *OPTIONS,
            f"--user-data-dir={self.folder / 'profile'}",
            f"--blink-settings=preferredColorScheme={1 if scheme == 'light' else 0}",
            "--virtual-time-budget=5000",
            "--dump-dom",
            path.as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
        _, _, rest = done.stdout.partition('<pre id="answer">')
        return json.loads(unescape(rest.partition("</pre>")[0]))


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with an empty profile.

    Raises:
        MissingPart: it is not installed.
    """
    binary = program("chromium", "chromium")
    about = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    with own_folder("browser") as folder:
        yield Browser(binary, folder, " ".join(about.stdout.split()[:2]))
