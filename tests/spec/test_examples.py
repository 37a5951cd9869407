"""The example specs: valid for us, for check-jsonschema as users' CI runs it, and for a validator written in Rust."""

import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import yaml

from reconciler.spec import check, load, schema

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples" / "backup.d").glob("*.yaml"))
EDITOR_LINE = "# yaml-language-server: $schema=../../schemas/reconciler.json"


def test_the_examples_have_no_problem_and_mean_what_they_say() -> None:
    fleet, warnings = load(ROOT / "examples" / "backup.d", commit="abc")
    assert warnings == ()
    assert fleet.commit == "abc"
    assert {str(target.id) for backup in fleet.backups for target in backup.targets} == {
        "prometheus/data",
        "grafana/data",
        "grafana/config",
        "myapp/v1.2.3",
        "shop/dump",
        "uploads/data",
    }
    assert {backup.destinations for backup in fleet.backups} == {("local", "offsite")}
    assert {backup.timezone for backup in fleet.backups} == {"Europe/Berlin"}


def test_every_example_tells_the_editor_its_schema() -> None:
    for path in EXAMPLES:
        line = path.read_text(encoding="utf-8").splitlines()[0]
        assert line == EDITOR_LINE
        assert (path.parent / line.partition("=")[2]).resolve() == ROOT / "schemas" / "reconciler.json"


def test_a_validator_in_rust_accepts_every_example() -> None:
    validator = jsonschema_rs.validator_for(schema())
    for path in EXAMPLES:
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            validator.validate(document)


def test_check_jsonschema_accepts_the_examples_and_rejects_a_broken_one(tmp_path: Path) -> None:
    files = []
    for path in EXAMPLES:  # it reads one document a file
        for number, text in enumerate(path.read_text(encoding="utf-8").split("\n---\n")):
            files.append(tmp_path / f"{path.stem}-{number}.yaml")
            files[-1].write_text(text, encoding="utf-8")
    run = _check_jsonschema(files)
    assert run.returncode == 0, run.stdout
    broken = files[0].read_text(encoding="utf-8").replace("schedule:", "shedule:")
    files[0].write_text(broken, encoding="utf-8")
    run = _check_jsonschema(files)
    assert run.returncode == 1
    assert "shedule" in run.stdout


def _check_jsonschema(files: list[Path]) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--schemafile",
        str(ROOT / "schemas" / "reconciler.json"),
    ]
    return subprocess.run(
        [*command, *map(str, files)], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_examples_are_found_as_one_folder() -> None:
    assert check([ROOT / "examples" / "backup.d"]).files == len(EXAMPLES) == 4
