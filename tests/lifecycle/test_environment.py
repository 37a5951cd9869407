"""The table of variables in docs/hooks.md is what hooks get."""

import re
from pathlib import Path
from typing import get_args

import pytest

from reconciler.lifecycle.environment import Facts, environment
from reconciler.model import Phase

PAGE = (Path(__file__).parents[2] / "docs/hooks.md").read_text()
FACTS = Facts(
    node="nas",
    service="shop",
    type="data",
    kind="volume",
    key="daily/shop_data_2026-01-20T030000Z_daily.tar.zst",
    destinations=("local", "offsite"),
    size=120,
    source_size=1000,
    sha256="ab" * 32,
    error="it broke",
)


@pytest.mark.parametrize("phase", get_args(Phase))
def test_every_variable_is_documented(phase: str) -> None:
    names = environment(phase, FACTS)
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_every_documented_variable_and_phase_exists() -> None:
    documented = set(re.findall("`((?:RECONCILER|BACKUP|RESTORE|COMMAND)_[A-Z0-9_]+)`", PAGE))
    given = environment("success", FACTS).keys() | environment("restore-post", FACTS).keys()
    assert documented == given
    assert [phase for phase in get_args(Phase) if f"`{phase}`" not in PAGE] == []


def test_the_values() -> None:
    backup = environment("success", FACTS)
    assert backup["BACKUP_FILENAME"] == backup["COMMAND_RUNTIME_ARCHIVE_FILEPATH"]
    assert backup["BACKUP_FILENAME"] == "shop_data_2026-01-20T030000Z_daily.tar.zst"
    assert (backup["BACKUP_FILE_SIZE"], backup["BACKUP_CHECKSUM"]) == ("120", "ab" * 32)
    assert (backup["BACKUP_SERVER_ID"], backup["BACKUP_SERVER_NAME"]) == ("nas", "shop")
    assert (backup["BACKUP_VOLUME_NAME"], backup["RECONCILER_ERROR"]) == ("local,offsite", "it broke")
    assert (
        environment("archive-pre", Facts(node="n", service="s", type="t", kind="k"))["BACKUP_FILE_SIZE"] == ""
    )
    assert environment("restore-pre", FACTS)["RESTORE_SERVER_NAME"] == "shop"
