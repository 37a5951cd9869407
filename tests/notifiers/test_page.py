"""docs/notifications.md: its command works, its addresses are some, its variables are all."""

import re
from pathlib import Path

import pytest
from apprise import Apprise

from reconciler.model.notifications import VARIABLES
from tests.parts.mailbox import Mailbox
from tests.test_docs import REPOSITORY, run_all

PAGE = REPOSITORY / "docs/notifications.md"


def test_its_command(box: Mailbox, tmp_path: Path) -> None:
    run_all(PAGE, tmp_path, TEAM_URL=f"json://127.0.0.1:{box.port}/")
    (post,) = box.got
    assert post.json["message"] == "You will be told here."


@pytest.mark.parametrize(
    "address", re.findall(r"^\| [^|]* \| `(\w+://[^`]*)`", PAGE.read_text(), re.MULTILINE)
)
def test_its_addresses(address: str) -> None:
    assert Apprise.instantiate(address) is not None


def test_its_variables() -> None:
    assert sorted(re.findall(r"^\| `\$\{(\w+)\}`", PAGE.read_text(), re.MULTILINE)) == sorted(VARIABLES)
