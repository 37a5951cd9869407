"""The docs are true: their commands run, their YAML validates, their links lead somewhere, and nothing is left out."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest
import yaml

from reconciler import spec
from reconciler.cli import cli
from tests.cli.place import PROGRAM, Place
from tests.parts.engine import EngineHost
from tests.parts.keys import KeyRing
from tests.parts.s3 import S3Server

REPOSITORY = Path(__file__).parent.parent
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("tests/plan/*.md")])
BLOCK = re.compile(
    r"(?:^<!-- (?:(?P<run>runnable)(?:: exit code (?P<code>\d+))?|needs: (?P<needs>[^>\n]+)) -->\n)?"
    r"^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
SHELL = ("sh", "bash", "shell", "console")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HOUSE = re.compile(r"https?://(?!.*\bexample\.com)\S*(?:pypi|index|mirror)|/tmp/", re.IGNORECASE)
IDENTITY = {
    f"GIT_{who}_{what}": "you@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}


class Block(NamedTuple):
    """A fenced block of a page.

    ``code`` is the exit code that it must end with, None when it is not to be run; ``needs`` is why not, as the page
    says it in a comment above; ``section`` is the heading that it stands below.
    """

    page: Path
    line: int
    language: str
    text: str
    code: int | None
    needs: str
    section: str

    def __str__(self) -> str:
        """Page and line, as the test's name."""
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Every fenced block."""
    text = page.read_text()
    for match in BLOCK.finditer(text):
        code = int(match["code"] or 0) if match["run"] else None
        above = text[: match.start()]
        titles = re.findall(
            r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", above, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
        )
        section = titles[-1] if titles else ""
        line = above.count("\n") + 1
        yield Block(page, line, match["language"], match["text"], code, match["needs"] or "", section)


def run_all(page: Path, folder: Path, *, section: str | None = None, **environment: str) -> list[str]:
    """Run the runnable blocks of a page, or of a section of it, one after the other; their output.

    It is as in one shell that starts in ``folder``. In a console block what follows ``$ `` is run, and must say what
    stands below it, where ``…`` is any text, and a line of it alone any number of lines.
    """
    env = {**os.environ, **IDENTITY, **environment, "XDG_STATE_HOME": str(folder / "state")}
    env["PATH"] = f"{Path(PROGRAM).parent}:{env['PATH']}"
    place = folder / ".place"
    place.write_text(str(folder))
    outputs = []
    for block in [
        block for block in blocks(page) if block.code is not None and section in (None, block.section)
    ]:
        text = block.text
        if block.language == "console":
            text = "\n".join(f"{command} && code=0 || code=$?; echo {END}" for command, _ in dialogue(block))
            text += "\nexit $code"
        script = f"cd \"$(cat '{place}')\"\ntrap \"pwd >'{place}'\" EXIT\nset -e -o pipefail\n{text}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == block.code, f"{block}: {done.stdout}"
        outputs.append(done.stdout)
        if block.language == "console":
            for (command, expected), said in zip(
                dialogue(block), done.stdout.split(f"{END}\n"), strict=False
            ):
                assert re.fullmatch(expected, said), f"{block}: {command}\n{said}\nis not\n{expected}"
    return outputs


END = "-- end of output --"


def dialogue(block: Block) -> list[tuple[str, str]]:
    """The commands of a console block, each with a pattern of what it says."""
    found = []
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command = re.match(r"(?:.*\\\n)*.*\n", part)
        assert command
        said = re.escape(part[command.end() :])
        found.append((command[0].strip(), re.sub(r"(?m)^…\\\n", r"(?:.*\n)*", said).replace("…", ".*")))
    return found


def test_the_first_backup_of_the_readme(tmp_path: Path) -> None:
    """In a clone of this repository in an empty folder, with the command that is installed here."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", REPOSITORY, clone], check=True)
    _, planned, applied, restored, status = run_all(clone / "README.md", tmp_path)
    assert "Plan: 1 to adopt, 1 to create." in planned
    assert "Applied: 2 done." in applied
    assert "Nothing to do: the backups are as the specs want them." in applied
    assert restored.endswith("equal\n")
    assert status.startswith("# Backups: ")
    assert (tmp_path / "restored/shopping.txt").read_bytes() == (tmp_path / "notes/shopping.txt").read_bytes()


SPECS = """\
apiVersion: reconciler/v1
kind: Destination
metadata: {name: nas}
spec: {url: "file://../copies"}
---
apiVersion: reconciler/v1
kind: Policy
metadata: {name: fleet}
spec:
  rule321: "off"
  defaults: {schedule: "@daily", destinations: [nas], retention: {daily: 7}}
---
apiVersion: reconciler/v1
kind: Backup
metadata: {name: monitoring}
spec:
  targets:
    - {name: grafana, kind: path, path: ../config, type: config}
    - {name: grafana, kind: volume, volume: grafana_data}
    - {name: myapp, kind: image, image: "myapp:v1.2.3"}
    - {name: shop, kind: command, backup: "echo 'select 1;'", extension: sql}
---
apiVersion: reconciler/v1
kind: Backup
metadata: {name: small}
spec: {compression: gzip, targets: [{name: small, kind: path, path: ../config}]}
---
apiVersion: reconciler/v1
kind: Backup
metadata: {name: plain}
spec: {compression: none, targets: [{name: plain, kind: path, path: ../config}]}
"""


@pytest.fixture
def engine_with_data(engine_host: EngineHost) -> Iterator[Path]:
    """The volume and the image of the page; the volume's folder."""
    client = engine_host.client()
    client.images.get(engine_host.image).tag("myapp", "v1.2.3")
    volume = client.volumes.create("grafana_data")
    folder = Path(volume.attrs["Mountpoint"])
    (folder / "grafana.db").write_bytes(os.urandom(100_000))
    yield folder
    client.images.remove("myapp:v1.2.3")
    for name in ("grafana_data", "grafana_restored"):
        client.volumes.get(name).remove(force=True)
    client.close()


def test_the_restores(tmp_path: Path, engine_host: EngineHost, engine_with_data: Path) -> None:
    (tmp_path / "backup.d").mkdir()
    (tmp_path / "backup.d/all.yaml").write_text(SPECS)
    (tmp_path / "config/empty").mkdir(parents=True)
    (tmp_path / "config/grafana.ini").write_text("[server]\n")
    original = tmp_path / "original"
    shutil.copytree(tmp_path / "config", original)
    env = {"RECONCILER_NOW": "2026-01-20T03:00:00Z", "DOCKER_HOST": engine_host.url}
    subprocess.run([PROGRAM, "apply"], cwd=tmp_path, env={**os.environ, **env}, check=True)
    (tmp_path / "config/grafana.ini").write_text("changed since\n")

    page = REPOSITORY / "docs/restore.md"
    sections = [
        name for name in dict.fromkeys(block.section for block in blocks(page)) if name != BUCKET_ALONE
    ]
    outputs = "".join(said for name in sections for said in run_all(page, tmp_path, section=name, **env))

    for folder in ("config", "look", "rescued", "by-hand", "from-gzip", "from-plain"):
        same(original, tmp_path / folder)
    same(engine_with_data, engine_with_data.parent.parent / "grafana_restored/_data")
    assert "grafana_config_2026-01-20T030000Z_daily.tar.zst: OK" in outputs
    assert "Loaded image: myapp:v1.2.3" in outputs
    assert (tmp_path / "shop.sql").read_text() == "select 1;\n"


BUCKET_ALONE = "Only the bucket and the key are left"


def test_a_restore_from_the_bucket_with_the_key_alone(
    tmp_path: Path, rclone_s3: S3Server, keys: KeyRing
) -> None:
    """Neither the machine, the specs nor the program: what follows has no more than the bucket and the key."""
    bucket, gone, rescue = rclone_s3.new_bucket(), tmp_path / "gone", tmp_path / "rescue"
    for path in (gone / "backup.d", gone / "wiki", rescue):
        path.mkdir(parents=True)
    (gone / "wiki/home.txt").write_text("hello\n")
    (gone / "wiki/photo.jpg").write_bytes(os.urandom(100_000))
    subprocess.run(["age-keygen", "-o", rescue / "paper.key"], check=True, capture_output=True)
    public = subprocess.run(
        ["age-keygen", "-y", rescue / "paper.key"], check=True, capture_output=True, text=True
    )
    (gone / "backup.d/all.yaml").write_text(IN_A_BUCKET % (bucket, rclone_s3.endpoint, public.stdout.strip()))
    access = {"S3_ACCESS_KEY": rclone_s3.key, "S3_SECRET": rclone_s3.secret}
    env = {**os.environ, **access, "RECONCILER_NOW": "2026-01-20T03:00:00Z", "XDG_STATE_HOME": str(gone)}
    subprocess.run([PROGRAM, "apply"], cwd=gone, env=env, check=True)
    access |= {"S3_ENDPOINT": rclone_s3.endpoint, "BUCKET": bucket}
    page = REPOSITORY / "docs/restore.md"
    _, listed, fetched, _ = run_all(page, rescue, section=BUCKET_ALONE, **access)
    assert "docker/daily/wiki_files_2026-01-20T030000Z_daily.tar.zst.age.json\n" in listed
    assert "daily.tar.zst.age: OK" in fetched
    assert public.stdout.strip() in fetched
    same(gone / "wiki", rescue / "wiki")


IN_A_BUCKET = """\
apiVersion: reconciler/v1
kind: Destination
metadata: {name: bucket}
spec:
  url: s3://%s/docker
  media: object-storage
  offsite: true
  options: {endpoint_url: "%s", region: us-east-1, key: {fromEnv: S3_ACCESS_KEY}, secret: {fromEnv: S3_SECRET}}
---
apiVersion: reconciler/v1
kind: Backup
metadata: {name: wiki}
spec:
  schedule: "@daily"
  destinations: [bucket]
  retention: {daily: 7}
  encryption: {age: {recipients: [%s]}}
  targets:
    - {name: wiki, kind: path, path: ../wiki}
"""


def test_the_page_of_encryption(tmp_path: Path, keys: KeyRing) -> None:
    """With the real age, which ``keys`` insists on."""
    _, made, restored, refused, _ = run_all(REPOSITORY / "docs/encryption.md", tmp_path)
    first, second = (
        subprocess.run(
            ["age-keygen", "-y", tmp_path / name], capture_output=True, text=True, check=True
        ).stdout
        for name in ("backup.key", "paper.key")
    )
    assert f"{first[:12]}…" in made
    assert "restored notes/files" in restored
    assert f"needs {first.strip()} or {second.strip()}; at hand: age1" in refused
    for folder in ("restored", "by-hand"):
        same(tmp_path / "notes", tmp_path / folder)


def test_a_repository_to_begin_with(tmp_path: Path) -> None:
    (made,) = run_all(REPOSITORY / "docs/init.md", tmp_path, DOCKER_HOST=f"unix://{tmp_path}/nothing.sock")
    assert made.endswith("3 files, 0 errors, 1 warning\n")
    page = (REPOSITORY / "docs/init.md").read_text()
    unnamed = [
        path
        for path in (tmp_path / "backups").rglob("*")
        if path.is_file() and ".git" not in path.parts
        if f"`{path.relative_to(tmp_path / 'backups')}`" not in page
    ]
    assert [path.name for path in unnamed] == [".gitignore"]


def same(one: Path, other: Path) -> None:
    """Both trees hold the same names and bytes."""
    subprocess.run(["diff", "--recursive", "--no-dereference", one, other], check=True)


def yaml_blocks() -> list[Block]:
    """Every YAML block that holds specs, and those that shell blocks write."""
    found = []
    for block in (block for page in PAGES for block in blocks(page)):
        texts = (
            [block.text]
            if block.language == "yaml"
            else re.findall(r"<<'YAML'\n(.*?)^YAML$", block.text, re.MULTILINE | re.DOTALL)
        )
        found += [block._replace(text=text) for text in texts if "apiVersion: reconciler/v1" in text]
    return found


@pytest.mark.parametrize("block", yaml_blocks(), ids=str)
def test_every_yaml_example_validates(block: Block, tmp_path: Path) -> None:
    """Destinations that an example names and another page defines are added."""
    documents = list(yaml.safe_load_all(block.text))
    defined = {item["metadata"]["name"] for item in documents if item["kind"] == "Destination"}
    named = {name for item in documents for name in item["spec"].get("destinations", ())}
    stubs = "".join(
        f"---\napiVersion: reconciler/v1\nkind: Destination\nmetadata: {{name: {name}}}\nspec: {{url: 'file:///srv/{name}'}}\n"
        for name in sorted(named - defined)
    )
    (tmp_path / "example.yaml").write_text(block.text + stubs)
    report = spec.check([tmp_path / "example.yaml"])
    assert [str(problem) for problem in report.problems if problem.severity == "error"] == []


def test_every_command_of_a_page_is_run_or_says_what_it_needs() -> None:
    """What is neither run here nor by another test says why not, in a comment above it: ``<!-- needs: … -->``."""
    bare = [block for page in PAGES for block in blocks(page) if block.language in SHELL]
    bare = [block for block in bare if block.code is None and not block.needs]
    assert [str(block) for block in bare] == []


NEEDS = {
    "a forge": "a repository on a server of yours, and its credentials",
    "a terminal": "it changes the shell that you type in",
    "an Engine": "containers, volumes or images that are named as in the example",
    "another program": "one that this project has nothing to do with, or another system's file",
    "a machine of its own": "it installs, or starts a service",
    "the network": "a package index or a server elsewhere",
    "your own files": "a word in capitals stands for something of yours",
    "an example": "what it would say, and no more; the tests of the command hold its form",
}
"""What a block that is not run may need, and why that is not to be had in a test of the page."""


def test_every_need_is_one_that_is_known() -> None:
    named = {block.needs for page in PAGES for block in blocks(page) if block.needs}
    assert named - set(NEEDS) == set()


def written_commands() -> list[tuple[Block, list[str]]]:
    """Every line of a block that is not run which calls reconciler, in words."""
    found = []
    for block in [
        block for page in PAGES for block in blocks(page) if block.language in SHELL and block.needs
    ]:
        for line in block.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True) if "reconciler " in line else []
            if words[:1] == ["reconciler"]:
                found.append((block, words[1:]))
    return found


@pytest.mark.parametrize(("block", "words"), written_commands(), ids=str)
def test_commands_that_are_not_run_are_written_right(block: Block, words: list[str]) -> None:
    """They name commands and options that there are."""
    command: click.Command = cli
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None, str(block)
        command = found
    options = {name for parameter in command.params for name in parameter.opts}
    assert {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"} <= options


def test_there_are_examples_to_check() -> None:
    assert len(yaml_blocks()) >= 3
    assert {block.page.name for page in PAGES for block in blocks(page) if block.code is not None} >= {
        "README.md",
        "restore.md",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not link.startswith(("http://", "https://")) and not (
            target.exists() and (not anchor or anchor in anchors(target))
        ):
            broken.append(link)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links, as forges do it."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_place_of_one_machine_is_named(page: Path) -> None:
    assert HOUSE.findall(page.read_text()) == []


def test_every_page_is_in_the_table_of_contents() -> None:
    index = REPOSITORY / "docs/index.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text())}
    pages = {page.resolve() for page in PAGES if page.parent.name == "docs"} - {index.resolve()}
    assert sorted(page.name for page in pages - linked) == []
    assert "(docs/index.md)" in (REPOSITORY / "README.md").read_text()


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_every_command_is_documented(command: str) -> None:
    assert f"\n## reconciler {command}\n" in (REPOSITORY / "docs/cli.md").read_text()


def test_the_reference_is_what_the_code_makes(tmp_path: Path) -> None:
    for name in ("specs.md", "cli.md"):
        shutil.copy(REPOSITORY / "docs" / name, tmp_path)
    subprocess.run([sys.executable, REPOSITORY / "scripts/reference.py", tmp_path], check=True)
    for name in ("specs.md", "cli.md"):
        assert (tmp_path / name).read_text() == (REPOSITORY / "docs" / name).read_text(), (
            f"{name} drifted: make docs"
        )


def test_every_make_command_that_is_named_exists() -> None:
    targets = set(re.findall(r"^(\w+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"(?:`|\$ )make (\w+)", page.read_text())}
    assert named - targets == set()


def scripts(node: object) -> Iterator[str]:
    """Every script of a CI file: `run` on GitHub, the items of `script` on GitLab."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "run":
                yield value
            elif key == "script":
                yield "\n".join(value)
            else:
                yield from scripts(value)
    elif isinstance(node, list):
        for item in node:
            yield from scripts(item)


@pytest.mark.parametrize("name", ["github.yaml", "gitlab.yaml"])
def test_the_ci_examples_pass_good_specs_and_fail_bad_ones(name: str, tmp_path: Path) -> None:
    """Their scripts as they are, without those that install."""
    place = Place(tmp_path / "specs")
    summary = tmp_path / "summary"
    place.env = {"GITHUB_STEP_SUMMARY": str(summary), "PATH": f"{Path(PROGRAM).parent}:{os.environ['PATH']}"}
    place.into_git()
    whole = yaml.safe_load((REPOSITORY / "examples/ci" / name).read_text())
    texts = [re.sub(r"^.*pip install.*$", "", text, flags=re.MULTILINE) for text in scripts(whole)]
    assert [run(place, text) for text in texts] == [0] * len(texts)
    assert "Plan: 2 to adopt, 3 to create." in (place.root / "plan.txt").read_text()
    assert name != "github.yaml" or "Plan: 2 to adopt" in summary.read_text()
    place.write("backup.d/wrong.yaml", "kind: Backup\n")
    failing = [text for text, code in ((text, run(place, text)) for text in texts) if code]
    assert len(failing) == 2, "validate and plan"


def run(place: Place, script: str) -> int:
    """The exit code of a script, run as a CI runner does."""
    command = ["bash", "-e", "-o", "pipefail", "-c", script]
    return subprocess.run(
        command, cwd=place.root, env=place.environment(), capture_output=True, check=False
    ).returncode
