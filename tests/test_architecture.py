"""The rules of the code's structure: layers, one place for each effect, short modules and functions."""

import ast
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

REPOSITORY = Path(__file__).parent.parent
PACKAGE = REPOSITORY / "reconciler"
MODULES = sorted(PACKAGE.rglob("*.py"))
CLOCK = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}
WRITING = frozenset("wax+")
N = TypeVar("N", bound=ast.AST)


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of pyproject.toml on the package in `folder`."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_import_contracts_hold() -> None:
    checked = lint_imports(REPOSITORY)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("module", "line", "reported"),
    [
        ("plan/__init__.py", "import subprocess", "reconciler.plan -> subprocess"),
        (
            "plan/__init__.py",
            "import reconciler.adapters.clock",
            "reconciler.plan -> reconciler.adapters.clock",
        ),
        ("retention.py", "import logging", "reconciler.retention -> logging"),
        ("registry.py", "import fsspec", "reconciler.registry -> fsspec"),
        ("model/__init__.py", "import reconciler.naming", "reconciler.model -> reconciler.naming"),
        ("adapters/clock.py", "import rich", "reconciler.adapters.clock -> rich"),
        ("nowhere.py", "", "- reconciler.nowhere"),
    ],
)
def test_a_forbidden_import_is_reported(tmp_path: Path, module: str, line: str, reported: str) -> None:
    shutil.copytree(PACKAGE, tmp_path / "reconciler", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    with (tmp_path / "reconciler" / module).open("a") as file:
        file.write(f"\n{line}\n")
    checked = lint_imports(tmp_path)
    assert checked.returncode == 1
    assert reported in checked.stdout


def nodes(module: Path, kind: type[N]) -> Iterator[N]:
    """Every node of one kind in a module."""
    return (node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, kind))


def name_of(module: Path) -> str:
    """The module's path in the package, for messages and exceptions to a rule."""
    return str(module.relative_to(PACKAGE))


def test_one_place_reads_the_clock() -> None:
    found = [
        f"{name_of(module)}:{call.lineno}"
        for module in MODULES
        if name_of(module) != "adapters/clock.py"
        for call in nodes(module, ast.Call)
        if ast.unparse(call.func).endswith(tuple(CLOCK))
    ]
    assert found == []


def opens_to_write(call: ast.expr) -> bool:
    """Whether this is `x.open(something, "wb")`: how fsspec publishes half a file when its block raises.

    A pathlib path is opened as `path.open("wb")`: its first argument is the mode, not a name.
    """
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "open"):
        return False
    modes = [argument for argument in call.args[1:2] if isinstance(argument, ast.Constant)]
    modes += [
        word.value for word in call.keywords if word.arg == "mode" and isinstance(word.value, ast.Constant)
    ]
    module = ast.unparse(call.func.value) in ("os", "tarfile", "gzip", "zstd", "io")
    return not module and any(WRITING & set(str(mode.value)) for mode in modes)


def test_no_block_publishes_half_a_file() -> None:
    """`with fs.open(name, "wb")` commits what was written when the block raises: see the commit protocol."""
    found = [
        f"{name_of(module)}:{block.lineno}"
        for module in MODULES
        for block in nodes(module, ast.With)
        if any(opens_to_write(item.context_expr) for item in block.items)
    ]
    assert found == []


def test_the_rule_about_half_files_sees_them() -> None:
    def sees(code: str) -> bool:
        block = ast.parse(code).body[0]
        assert isinstance(block, ast.With)
        return any(opens_to_write(item.context_expr) for item in block.items)

    assert sees("with fs.open(name, 'wb') as file: pass")
    assert sees("with store.open(name, mode='ab'): pass")
    assert not sees("with fs.open(name, 'rb'): pass")
    assert not sees("with path.open('wb'): pass")
    assert not sees("with os.open(path, flags): pass")


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_modules_and_functions_are_short(module: Path) -> None:
    module_length = len(module.read_text().splitlines())
    assert module_length <= 400
    functions: list[ast.FunctionDef | ast.AsyncFunctionDef] = [
        *nodes(module, ast.FunctionDef),
        *nodes(module, ast.AsyncFunctionDef),
    ]
    lengths = {function.name: (function.end_lineno or 0) - function.lineno + 1 for function in functions}
    assert {name: length for name, length in lengths.items() if length > 60} == {}


def test_tests_wait_for_something_and_not_for_a_time() -> None:
    allowed = {"parts/process.py"}  # it polls with a deadline
    tests = REPOSITORY / "tests"
    found = [
        f"{module.relative_to(tests)}:{call.lineno}"
        for module in sorted(tests.rglob("*.py"))
        if str(module.relative_to(tests)) not in allowed
        for call in nodes(module, ast.Call)
        if ast.unparse(call.func).endswith("sleep")
    ]
    assert found == []


def test_help_loads_no_heavy_library() -> None:
    heavy = (
        "docker",
        "fsspec",
        "s3fs",
        "git",
        "paramiko",
        "prometheus_client",
        "webdav4",
        "jsonschema",
        "rich.progress",
    )
    code = f"import sys, reconciler.cli; print([name for name in {heavy} if name in sys.modules])"
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "[]"


def test_help_takes_at_most_a_quarter_of_a_second() -> None:
    """Processor time of the whole process, so that a busy machine makes no difference."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "reconciler", "--help"], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime <= 0.25
