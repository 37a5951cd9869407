"""Files that try to break the reader: each gives at least one line of the right form, quickly, and never a traceback."""

import re
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.spec import Problem, check
from reconciler.spec.reader import read

LINE = re.compile(r"[^\n:]+:[1-9][0-9]*:[1-9][0-9]*: [^\n]+")
HEAD = "apiVersion: reconciler/v1\nkind: Backup\nmetadata: {name: a}\n"


def _bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    return "\n".join(lines)


HOSTILE: dict[str, str | bytes] = {
    "empty": "",
    "comment only": "# nothing\n",
    "empty documents": "---\n---\n...\n",
    "null": "null\n",
    "text": "hello\n",
    "number": "42\n",
    "list": "- a\n- b\n",
    "list of documents": f"- {HEAD.splitlines()[0]}\n",
    "alias bomb": _bomb(),
    "alias to itself": "a: &a [*a]\n",
    "alias as key": "a: &x b\n*x : c\n",
    "undefined alias": "a: *nowhere\n",
    "merge key": "a: {<<: {b: c}}\n",
    "merge key with list": "<<: [{a: b}, {c: d}]\n",
    "python object": "a: !!python/object/apply:os.system [id]\n",
    "python name": "a: !!python/name:os.system\n",
    "binary tag": "a: !!binary R0lGODlhDAAMAIQAAP\n",
    "int tag on text": "a: !!int abc\n",
    "timestamp tag on text": "a: !!timestamp x\n",
    "set tag": "a: !!set {b, c}\n",
    "own tag": "a: !secret b\n",
    "verbatim tag": "a: !<tag:example.com,2000:x> b\n",
    "bare tag": "a: ! b\n",
    "tag directive": "%TAG ! tag:example.com,2000:\n---\na: b\n",
    "yaml 1.1 directive": "%YAML 1.1\n---\na: b\n",
    "yaml 9 directive": "%YAML 9.9\n---\na: b\n",
    "unknown directive": "%FOO bar\n---\na: b\n",
    "deep flow lists": "[" * 50_000,
    "deep flow mappings": "{a: " * 20_000,
    "deep block mappings": "".join(f"{' ' * n}a:\n" for n in range(300)),
    "deep block lists": "- " * 20_000,
    "deep explicit keys": "? " * 20_000,
    "deep and closed": "[" * 33 + "]" * 33,
    "many nodes": "a: [" + "b," * 20_000 + "]\n",
    "many documents": "---\na\n" * 11_000,
    "large": "a: " + "b" * (256 * 1024) + "\n",
    "several megabytes": "a: b\n" * 1_000_000,
    "huge line": "x" * 262_000,
    "long digits": f"a: {'9' * 5_000}\n",
    "longest digits": f"a: {'9' * 200_000}\n",
    "long digits with underscores": f"a: {'9_' * 100_000}x\n",
    "long sexagesimal": f"a: {'1:' * 100_000}1\n",
    "long float": f"a: 1.{'0' * 200_000}\n",
    "infinity": "a: .inf\n",
    "huge exponent": "a: 1.0e+999\n",
    "impossible date": "a: 2024-02-30\n",
    "duplicate keys": "a: 1\na: 2\n",
    "many duplicate keys": "a: 1\n" * 4_000,
    "duplicate document keys": "kind: Backup\nkind: Policy\n",
    "list as key": "? [a, b]\n: c\n",
    "mapping as key": "{{a: b}: c}\n",
    "null key": ": a\n",
    "number key": "1: a\n",
    "tab indentation": "a:\n\tb: c\n",
    "tab before list": "a:\n\t- b\n",
    "unclosed list": "a: [b, c\n",
    "unclosed mapping": "a: {b: c\n",
    "unclosed quote": 'a: "b\n',
    "unclosed single quote": "a: 'b\n",
    "unknown escape": 'a: "\\q"\n',
    "bad unicode escape": 'a: "\\uD800"\n',
    "huge unicode escape": 'a: "\\UFFFFFFFF"\n',
    "star": "a: *\n",
    "at sign": "a: @daily\n",
    "back tick": "a: `x`\n",
    "per cent": "a: %x\n",
    "colon in value": "a: b: c\n",
    "bad indentation": "a:\n    b: c\n  d: e\n",
    "closing bracket": "]\n",
    "nul": b"a: b\x00c\n",
    "nul at start": b"\x00\x00\x00\x00",
    "bell": b"a: \x07\n",
    "escape sequence": b"a: \x1b[31mred\n",
    "utf-8 bom": b"\xef\xbb\xbfa: b\n",
    "bom inside": "a: \ufeffb\n",
    "utf-16 le": "a: b\n".encode("utf-16"),
    "utf-16 be without bom": "a: b\n".encode("utf-16-be"),
    "utf-32": "a: b\n".encode("utf-32"),
    "latin-1": "a: größe\n".encode("latin-1"),
    "cut utf-8": "a: ö".encode()[:-1],
    "surrogate in utf-8": b"a: \xed\xa0\x80\n",
    "overlong utf-8": b"a: \xc0\xaf\n",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    "random bytes": bytes(range(256)) * 16,
    "line separator": "a: b\u2028c: d\n",
    "next line": "a: b\u0085c: d\n",
    "right-to-left override": "a: \u202egpj.exe\n",
    "json with comments": '{"a": 1, /* b */ "c": 2}\n',
    "xml": "<a><b/></a>\n",
    "kind is a list": "apiVersion: reconciler/v1\nkind: [Backup]\n",
    "kind is a mapping": "apiVersion: reconciler/v1\nkind: {a: b}\n",
    "kind is null": "apiVersion: reconciler/v1\nkind:\n",
    "metadata is a list": "apiVersion: reconciler/v1\nkind: Policy\nmetadata: []\nspec: {}\n",
    "spec is a list": HEAD + "spec: []\n",
    "spec is text": HEAD + "spec: none\n",
    "targets is a mapping": HEAD + "spec: {targets: {a: b}}\n",
    "targets of nulls": HEAD + "spec: {targets: [~, ~]}\n",
    "targets nested": HEAD + "spec: {targets: [[[]]]}\n",
    "kind of target is a list": HEAD + "spec: {targets: [{name: a, kind: [path]}]}\n",
    "destinations of mappings": HEAD + "spec: {destinations: [{a: b}]}\n",
    "name with line break": 'apiVersion: reconciler/v1\nkind: Policy\nmetadata: {name: "a\\n"}\nspec: {}\n',
    "name with escape": 'apiVersion: reconciler/v1\nkind: Policy\nmetadata: {name: "\\e[31m"}\nspec: {}\n',
    "name that climbs": "apiVersion: reconciler/v1\nkind: Policy\nmetadata: {name: ../x}\nspec: {}\n",
    "key with line break": '"a\\nb": c\n' + HEAD,
    "thousands of bad targets": HEAD + f"spec: {{targets: [{'~,' * 9_000}]}}\n",
    "thousands of bad kinds": HEAD + f"spec: {{targets: [{'{kind: q},' * 2_500}]}}\n",
    "thousands of wrong targets": HEAD + f"spec: {{targets: [{'{kind: path},' * 3_000}]}}\n",
    "thousands of equal destinations": HEAD + f"spec: {{destinations: [{'a,' * 9_000}]}}\n",
    "thousands of unknown keys": HEAD + "spec:\n" + "".join(f"  key{n}: x\n" for n in range(4_900)),
    "thousands of bad names": HEAD + f"spec: {{destinations: [{'A,' * 9_000}]}}\n",
    "thousands of documents": "---\n{kind: Backup}\n" * 3_000,
    "huge schedule": HEAD + f"spec: {{schedule: '{'* ' * 5_000}'}}\n",
    "costly schedule": HEAD + "spec: {schedule: '*/7,1-59/3 * 29 2 *', targets: []}\n",
    "zone that climbs": HEAD + "spec: {timezone: ../../../etc/passwd}\n",
    "zone with nul": HEAD + 'spec: {timezone: "a\\0b"}\n',
    "home of nobody": HEAD + "spec: {targets: [{name: a, kind: path, path: ~nobody-at-all/x}]}\n",
}


def _judge(path: Path) -> tuple[Problem, ...]:
    started = time.process_time()
    problems = check([path]).problems
    assert time.process_time() - started < 1
    assert problems
    assert all(LINE.fullmatch(str(problem)) for problem in problems)
    return problems


@pytest.fixture(scope="session", autouse=True)
def _warm() -> None:
    """The one second is for the file, not for the first import of the validator."""
    list(read("x", "a: b"))
    check([Path("/nonexistent")])
    check([Path(__file__).parent / "cases" / "good.yaml"])


def test_there_are_enough() -> None:
    assert len(HOSTILE) >= 60


@pytest.mark.parametrize("name", HOSTILE)
def test_every_hostile_file_gives_clear_lines(name: str, tmp_path: Path) -> None:
    content = HOSTILE[name]
    (tmp_path / "x.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    _judge(tmp_path / "x.yaml")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("several megabytes", "1:1: larger than 256 KiB: split it into several files"),
        ("deep flow lists", "1:33: nested deeper than 32 levels"),
        ("many nodes", "1:19999: more than 10,000 values in one file: split it"),
        ("utf-8 bom", "1:1: starts with a byte order mark: save it as UTF-8 without one"),
        ("latin-1", "1:6: not UTF-8: byte 0xf6; save it as UTF-8"),
        ("nul", "1:5: the invisible character U+0000: remove it"),
        ("tab indentation", "2:1: a tab in the indentation: use spaces"),
        ("at sign", "1:4: a value cannot start with @: put it in quotes"),
    ],
)
def test_a_file_that_cannot_be_read_gives_one_line(name: str, expected: str, tmp_path: Path) -> None:
    content = HOSTILE[name]
    (tmp_path / "x.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert [str(problem) for problem in _judge(tmp_path / "x.yaml")] == [f"{tmp_path}/x.yaml:{expected}"]


def test_an_alias_bomb_is_one_line() -> None:
    _, problems, _ = read("x.yaml", _bomb())
    assert [str(problem) for problem in problems] == [
        "x.yaml:1:5: a0: anchors and aliases (&a0) are not supported: write the value out"
    ]


_WORDS = st.sampled_from(
    [
        *(
            "a",
            "kind",
            "spec",
            ": ",
            "- ",
            "? ",
            "[",
            "]",
            "{",
            "}",
            "&a ",
            "*a",
            "!!int ",
            "'",
            '"',
            "#",
            "<<: ",
        ),
        *(
            "no",
            "22:30",
            "1_0",
            "0o7",
            "~",
            "=",
            "\\",
            "é",
            "\x00",
            "\t",
            "\n",
            "\n  ",
            "\n    ",
            ", ",
            "|\n",
            ">-\n",
        ),
        *("---\n", "...\n", "%YAML 1.2\n", "\ud800"),
    ]
)


@given(st.one_of(st.text(), st.lists(_WORDS, max_size=60).map("".join)))
@example("a: *a\n*a : b")
def test_no_text_makes_the_reader_raise(text: str) -> None:
    documents, problems, whole = read("x.yaml", text)
    assert whole or problems
    assert all(LINE.fullmatch(str(problem)) for problem in problems)
    assert all(isinstance(document.values, dict) for document in documents)


_PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-10, 10),
        st.text(max_size=8),
        st.sampled_from(["Backup", "path", "@daily"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["kind", "name", "spec", "targets", "metadata", "url", "options", "retention", "key", "x"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(st.sampled_from(["Backup", "Destination", "Policy"]), _PLAIN, _PLAIN)
def test_no_data_makes_the_check_raise(
    tmp_path_factory: pytest.TempPathFactory, kind: str, metadata: object, spec: object
) -> None:
    import json

    path = tmp_path_factory.getbasetemp() / "any.yaml"
    document = {"apiVersion": "reconciler/v1", "kind": kind, "metadata": metadata, "spec": spec}
    path.write_text(json.dumps(document), encoding="utf-8")
    report = check([path])
    assert report.fleet is not None or report.problems
    assert all(LINE.fullmatch(str(problem)) for problem in report.problems)
