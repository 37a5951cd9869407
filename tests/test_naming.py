"""Names at a destination: every name that is made is read back, and nothing else is taken for one."""

import string
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model import (
    TIERS,
    AgeEncryption,
    Artifact,
    Codec,
    Encryption,
    GpgEncryption,
    Target,
    TargetId,
    Tier,
)
from reconciler.naming import (
    INTENT_FOLDER,
    MARKER,
    PART,
    artifact_key,
    intent_key,
    is_encrypted,
    manifest_key,
    parse,
    parse_intent,
)

KEY = "daily/grafana_data_2026-01-20T030000Z_daily.tar.zst"
CODECS: tuple[Codec, ...] = ("zstd", "gzip", "none")
ENCRYPTIONS = (None, Encryption(age=AgeEncryption()), Encryption(gpg=GpgEncryption()))
quick = settings(max_examples=200, deadline=None, derandomize=True)

words = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=1).flatmap(
    lambda first: st.text(string.ascii_lowercase + string.digits + ".-", max_size=62).map(
        lambda rest: first + rest
    )
)
times = st.datetimes(datetime(1970, 1, 1), datetime(9990, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0)
)


class Thing(Target, frozen=True, kw_only=True, tag="thing"):
    """A target whose folder and extension a test chooses."""

    folder: str = ""
    extension: str = "tar"

    @property
    def in_images(self) -> bool:
        return self.folder == "images"

    @property
    def stem_extension(self) -> str:
        return self.extension


things = st.builds(
    Thing,
    name=words,
    type=words,
    folder=st.sampled_from(("", "images")),
    extension=st.sampled_from(("tar", "sql", "json", "rdb", "archive")),
)


@quick
@given(
    things,
    times,
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(TIERS),
    st.sampled_from(CODECS),
    st.sampled_from(ENCRYPTIONS),
)
def test_what_is_made_is_read_back(
    thing: Thing, utc: datetime, offset: int, tier: Tier, codec: Codec, encryption: Encryption | None
) -> None:
    moment = utc.replace(tzinfo=UTC)
    elsewhere = moment.astimezone(timezone(timedelta(minutes=offset)))
    key = artifact_key(thing, elsewhere, tier, codec, encryption)
    found = parse(key)
    assert is_encrypted(key) == (encryption is not None)
    assert found == Artifact(key, thing.id, f"{moment:%Y-%m-%dT%H%M%SZ}", tier)
    assert found.time == moment
    assert parse(manifest_key(key)) is None
    assert parse(key + PART) is None
    assert parse(manifest_key(key) + PART) is None
    assert parse_intent(intent_key("node-1", key)) == ("node-1", key)
    assert parse(intent_key("node-1", key)) is None
    assert parse_intent(key) is None


@quick
@given(things, things, times, st.sampled_from(TIERS), st.sampled_from(CODECS))
def test_no_name_is_that_of_another_or_of_its_manifest(
    one: Thing, other: Thing, utc: datetime, tier: Tier, codec: Codec
) -> None:
    mine = artifact_key(one, utc.replace(tzinfo=UTC), tier, codec)
    theirs = artifact_key(other, utc.replace(tzinfo=UTC), tier, codec)
    assert (mine == theirs) == (
        (one.id, one.folder, one.extension) == (other.id, other.folder, other.extension)
    )
    assert mine != manifest_key(theirs)


def test_an_image_and_its_version() -> None:
    key = "images/myapp_v1.2.3_2026-01-20T030000Z_monthly.tar.zst"
    assert parse(key) == Artifact(key, TargetId("myapp", "v1.2.3"), "2026-01-20T030000Z", "monthly")


def test_names_sort_by_time() -> None:
    hours = [datetime(2025, 12, 31, 20, tzinfo=UTC) + timedelta(hours=hour) for hour in range(9)]
    keys = [artifact_key(Thing(name="app", type="data"), hour, "hourly", "zstd") for hour in hours]
    assert sorted(keys) == keys


def test_an_artifact_that_is_json_is_not_a_manifest() -> None:
    key = "daily/app_dump_2026-01-20T030000Z_daily.json"
    assert parse(key) is not None
    assert parse(manifest_key(key)) is None
    assert parse(key.removesuffix(".json")) is None


@pytest.mark.parametrize(
    "key",
    [
        "",
        MARKER,
        KEY + "\n",
        "\n" + KEY,
        KEY.replace("grafana", "gra\nfana"),
        KEY.replace("grafana", "Grafana"),
        KEY.replace("grafana", "gra_fana"),
        KEY.replace("grafana", "-grafana"),
        KEY.replace("grafana", ".grafana"),
        KEY.replace("grafana", ""),
        KEY.replace("grafana", "gra*"),
        KEY.replace("grafana", "gra[f]ana"),
        KEY.replace("grafana", "gra?ana"),
        KEY.replace("grafana", "gra fana"),
        KEY.replace("grafana", "gr\u0430fana"),  # a Cyrillic a
        KEY.replace("grafana", "grafana\u200b"),
        KEY.replace("grafana", "../grafana"),
        KEY.replace("grafana", "a/b"),
        KEY.replace("data", "da\0ta"),
        "../" + KEY,
        "/" + KEY,
        "./" + KEY,
        "daily/../" + KEY,
        "x/" + KEY,
        KEY.replace("daily/", "daily//"),
        KEY.replace("daily/", "daily\\"),
        KEY.replace("daily/", "weekly/"),
        KEY.replace("_daily", "_weekly"),
        KEY.replace("daily", "fortnightly"),
        KEY.replace("daily/", "Daily/"),
        KEY.replace("2026", "0000"),
        KEY.replace("2026-01-20", "2026-02-31"),
        KEY.replace("2026-01-20", "2025-02-29"),
        KEY.replace("2026-01-20", "2026-13-20"),
        KEY.replace("2026-01-20", "2026-1-20"),
        KEY.replace("2026-01-20", "2026-01-2\u0660"),  # an Arabic zero
        KEY.replace("T030000Z", "T03\u06600000Z"),
        KEY.replace("T030000Z", "T0300\uff100Z"),  # a full-width zero
        KEY.replace("T030000Z", "T240000Z"),
        KEY.replace("T030000Z", "T030060Z"),
        KEY.replace("T030000Z", "T030000"),
        KEY.replace("T030000Z", "T03:00:00Z"),
        KEY.replace("T030000Z", "T030000Z.from-2026-01-19T030000Z"),
        KEY.replace("_daily.tar", "_daily.from-2026-01-19T030000Z.tar"),
        KEY.replace(".tar.zst", ""),
        KEY.replace(".tar.zst", "."),
        KEY.replace(".tar.zst", ".tar."),
        KEY.replace(".tar.zst", "..tar"),
        KEY.replace(".tar.zst", ".TAR"),
        KEY + ".json",
        KEY + ".part",
        KEY + ".json.json",
        KEY + ".json.part",
        KEY + "/",
        KEY + "/x",
    ],
)
def test_anything_else_is_no_artifact(key: str) -> None:
    assert parse(key) is None


@quick
@given(st.text(max_size=80) | st.text(KEY + "/\n*[]?.", max_size=80))
def test_no_text_raises_and_what_parses_is_plain(text: str) -> None:
    for key in (text, KEY[:6] + text, KEY + text, KEY.replace("grafana", text), KEY.replace("zst", text)):
        found = parse(key)
        if found:
            assert found.key == key
            assert set(key) <= set(string.ascii_letters + string.digits + "/_.-")
            assert ".." not in key.split("/")
            assert key.count("/") == 1
            assert key.count("_") == 3


@pytest.mark.parametrize(
    "key",
    [
        INTENT_FOLDER,
        INTENT_FOLDER + KEY.replace("daily/", ""),
        INTENT_FOLDER + "/" + KEY,
        INTENT_FOLDER + "node",
        INTENT_FOLDER + "node/",
        INTENT_FOLDER + "node/notes.txt",
        INTENT_FOLDER + "node/../" + KEY,
        INTENT_FOLDER + "node/" + KEY + ".json",
        "intents/node/" + KEY,
        KEY,
    ],
)
def test_anything_else_is_no_intent(key: str) -> None:
    assert parse_intent(key) is None
