"""What is written is what the specs' own reader reads, whatever it holds."""

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.importers.emit import Noted, Off, comment, document
from reconciler.spec.reader import read

words = st.text(
    alphabet=st.characters(codec="utf-8", exclude_characters="\x85\ufeff\ufffe\uffff"), max_size=20
)
keys = st.from_regex(r"[a-z][a-zA-Z]{0,8}", fullmatch=True)
scalars = words | st.integers(-(10**9), 10**9) | st.booleans()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4) | st.dictionaries(keys, inner, min_size=1, max_size=4)
    ),
)


@settings(deadline=None)
@given(st.dictionaries(keys, values, min_size=1, max_size=4), words)
def test_what_is_written_is_read_again(spec: dict[str, object], why: str) -> None:
    noted = {key: Noted(value, why) for key, value in spec.items()}
    for written in (spec, noted):
        documents, problems, whole = read("x.yaml", document("Backup", "name", written))
        assert (problems, whole) == ([], True)
        assert documents[0].data["spec"] == spec


@settings(deadline=None)
@given(st.dictionaries(keys, values, min_size=1, max_size=3), words)
def test_a_proposal_is_a_comment(spec: dict[str, object], why: str) -> None:
    written = document(
        "Backup", "name", {"a": 1, **{f"off{key}": Off(value, why) for key, value in spec.items()}}
    )
    documents, problems, _ = read("x.yaml", written)
    assert problems == []
    assert documents[0].data["spec"] == {"a": 1}


@settings(deadline=None)
@given(words)
def test_a_comment_is_nothing_else(text: str) -> None:
    assert read("x.yaml", comment(text)) == ([], [], True)


def test_how_it_looks() -> None:
    spec = {
        "url": Noted("s3://bucket/path", "short"),
        "list": ["a b", "c,d", "@daily", "0755", "it's"],
        "targets": [
            {"name": "shop", "kind": "path"},
            Noted({"name": "db", "backup": 'pg_dump "$DB"'}, "The dump of db."),
            Off({"name": "old"}, "No more."),
        ],
    }
    assert document("Backup", "shop", spec) == (
        "apiVersion: reconciler/v1\n"
        "kind: Backup\n"
        "metadata: {name: shop}\n"
        "spec:\n"
        "  url: s3://bucket/path # short\n"
        '  list: [a b, "c,d", "@daily", "0755", "it\'s"]\n'
        "  targets:\n"
        "    - {name: shop, kind: path}\n"
        "    - {name: db, backup: 'pg_dump \"$DB\"'} # The dump of db.\n"
        "    # No more.\n"
        "    # - {name: old}\n"
    )
