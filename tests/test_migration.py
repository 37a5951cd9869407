"""The pages for those who come from other systems: what they show is what the import makes, and what the program takes."""

import re
from pathlib import Path

import click
import pytest
import yaml

from reconciler.cli import cli
from reconciler.importers import imported
from tests.test_docs import REPOSITORY, blocks

FIRST = REPOSITORY / "docs/migrate.md"
PAGES = sorted((REPOSITORY / "docs").glob("migrate-*.md"))
COMPOSE = REPOSITORY / "docs/migrate-docker-volume-backup.md"
SYSTEMS = ("docker-volume-backup", "velero", "databasement", "cycle", "taskfile")


def marked(mark: str) -> str:
    """The block behind a mark on the page for docker-volume-backup."""
    found = re.search(rf"<!-- {mark} -->\n```yaml\n(.*?)^```$", COMPOSE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_each_system_has_a_page_that_the_first_one_names() -> None:
    assert [page.stem for page in PAGES] == sorted(f"migrate-{system}" for system in SYSTEMS)
    assert all(f"({page.name})" in FIRST.read_text() for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_page_has_what_people_look_for(page: Path) -> None:
    titles = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
    assert {"An example", "Differences that matter", "Traps"} <= set(titles)
    assert any("row by row" in title.lower() for title in titles)
    assert sum("apiVersion: reconciler/v1" in block.text for block in blocks(page)) >= 1


def test_what_the_page_shows_is_what_the_import_makes(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(marked("theirs"))
    found = imported(tmp_path / "compose.yaml", {})
    assert list(yaml.safe_load_all(found.text)) == list(yaml.safe_load_all(marked("ours")))
    assert found.text.partition("apiVersion")[2] == marked("ours").partition("apiVersion")[2]


def test_every_setting_of_docker_volume_backup_is_on_its_page() -> None:
    documented = (REPOSITORY / "tests/importers/documented.txt").read_text().split()
    named = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", COMPOSE.read_text()))
    assert sorted(set(documented) - named) == []


def commands() -> list[tuple[str, list[str]]]:
    """Every call of the program on the pages, with its page."""
    found = []
    for page in (FIRST, *PAGES):
        calls = re.findall(r"(?:^|`|: )reconciler ([a-z][^`\n|]*)", page.read_text(), re.MULTILINE)
        found += [(page.name, call.split()) for call in calls]
    return found


@pytest.mark.parametrize(
    ("page", "words"), commands(), ids=lambda value: value if isinstance(value, str) else "-".join(value)
)
def test_every_command_that_is_named_exists(page: str, words: list[str]) -> None:
    group: click.Command = cli
    while isinstance(group, click.Group):
        assert words[0] in group.commands, f"{page}: reconciler {' '.join(words)}"
        group, words = group.commands[words[0]], words[1:]
        if not words:
            break
    known = {option for parameter in group.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    given = group.make_parser(click.Context(group, resilient_parsing=True)).parse_args(list(words))[0]
    assert not isinstance(given.get("path"), str), f"{page}: {given['path']} is taken for a file of specs"


def test_there_are_commands_to_check() -> None:
    assert len(commands()) >= 8
