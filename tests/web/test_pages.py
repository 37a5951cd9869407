"""What the pages say of a service, asked over HTTP."""

import re
import sys
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree as ET

import msgspec
import pytest

from reconciler.adapters.secrets import resolve
from reconciler.errors import ReconcilerError
from reconciler.model import Create, FromEnv, Outcome, Plan
from reconciler.model.status import Status
from reconciler.report import encode
from reconciler.web import Address, Listening, Live, pages, serving
from tests.report.example import MIB, NOW, PLANNED, actions, bad_day, outcomes
from tests.report.fleets import fleet_of
from tests.web.place import Hand, Served, a_bad_day, served

HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}\u202e\x07"


class Outline(HTMLParser):
    """Every element with its attributes, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_before_the_first_tick_nothing_is_known(site: Served) -> None:
    assert "Nothing is known yet" in site.page().words
    assert "The first tick has not ended." in site.page().words
    for path in ("/status.svg", "/status.json", "/metrics"):
        answer = site.ask(path)
        assert (answer.status, answer.text) == (
            503,
            "Nothing is known yet: the first tick has not ended.\n",
        )


def test_the_overview_says_what_is_wrong_and_what_comes_next(site: Served) -> None:
    a_bad_day(site.live)
    site.clock.turn(3600)
    words = site.page().words
    assert "2 of 4 targets need attention" in words
    assert "As of 2026-01-20 03:05Z (1 h ago)" in words
    assert "shop-db/dump its last backup failed: command in container shop-db exited with 1" in words
    assert "✕ Healthy: False 2 of 4 targets need attention" in words
    assert (
        "grafana/data ✓ good 2026-01-20 03:00Z (1 h ago) 18.0 MiB 2026-01-21 03:00Z (in 23 h) daily 7/7"
        in words
    )
    assert "offsite ✓ known object-storage, off-site 25 4.0 GiB s3://acme-backups/docker" in words
    assert "Next runs 2026-01-21 03:00Z (in 23 h) grafana/data" in words
    assert "gitea/data : no spec names it any more" in words
    assert "In progress" not in words
    assert "The next look is at 2026-01-20 03:06Z at the latest. The last tick ended 1 h ago." in words


def test_what_is_under_way_is_shown_with_bytes_and_rate(site: Served) -> None:
    site.live.began()
    wiki = actions()["wiki"]
    site.live.planned(Plan(now=PLANNED, actions=(wiki,)))
    site.live.ended(bad_day())
    site.live.began()
    site.live.planned(Plan(now=PLANNED, actions=(wiki,)))
    site.live.started(wiki)
    for _ in range(10):
        site.clock.turn(1)
        site.live.advanced(wiki.target, 2 * MIB)
    site.live.said("archive-pre in wiki", "locked")
    answer = site.page()
    assert "+ create wiki/data daily → local, offsite" in answer.words
    assert "20.0 MiB of about 412.0 MiB · 2.0 MiB/s · for 10 s · archive-pre in wiki" in answer.words
    (bar,) = Outline(answer.text).all("progress")
    assert (bar["value"], bar["max"]) == (str(20 * MIB), str(412 * MIB))
    site.live.finished(Outcome(wiki, size=20 * MIB, seconds=10))
    site.live.ended(bad_day())
    assert "In progress" not in site.page().words


def test_a_target_has_its_copies_and_what_was_done(site: Served) -> None:
    a_bad_day(site.live)
    words = site.page("/targets/shop-db/dump").words
    assert "shop-db/dump ✕ failing" in words
    assert "Schedule 0 3 * * * in UTC" in words
    assert "Last success 2026-01-19 03:00Z (1 d ago), 96.0 MiB" in words
    assert "daily 1 due now ✕ failed daily 2 2026-01-19 03:00Z (1 d ago) ✓ held" in words
    assert (
        "✕ failed + create shop-db/dump daily → local, offsite command in container shop-db exited" in words
    )
    assert "wiki" not in words
    for path in ("/targets/shop-db/nope", "/targets/shop-db", "/targets/../etc/passwd", "/targets/%2e%2e/x"):
        assert site.ask(path).status == 404, path


def test_a_target_that_misses_its_objective_says_so(site: Served) -> None:
    day = bad_day()
    late = [
        msgspec.structs.replace(item, max_age="26h", stale=item.service == "wiki") for item in day.targets
    ]
    site.live.ended(msgspec.structs.replace(day, targets=tuple(late)))
    kept = "Objective a good copy that is at most 26h old"
    assert f"{kept} ✕ missed" in site.page("/targets/wiki/data").words
    assert f"{kept} Last success" in site.page("/targets/grafana/data").words


def test_a_run_has_its_actions_and_its_log(site: Served) -> None:
    a_bad_day(site.live)
    (link,) = set(re.findall(r'href="(/runs/[^"]+)"', site.page("/runs").text))
    answer = site.page(link)
    assert "Run 20260120T030512Z ✕ failed" in answer.words
    assert "! done in part + create wiki/data daily → local, offsite · 412.0 MiB in 19 s" in answer.words
    assert "03:05:12Z create grafana/data daily → local, offsite: due since 2026-01-20 03:00Z" in answer.words
    assert "dumping &lt;b&gt;bold&lt;/b&gt; tables" in answer.text
    assert "03:05:12Z create grafana/data: done, 18.0 MiB in 1.4 s" in answer.words
    gone = site.ask("/runs/20000101T000000Z")
    assert gone.status == 404
    assert gone.text.startswith("No such run is remembered")


def test_the_plan_has_a_reason_for_each_action(site: Served) -> None:
    assert "None was made yet." in site.page("/plan").words
    a_bad_day(site.live)
    words = site.page("/plan").words
    assert "- prune grafana/data daily 2026-01-13 03:00Z at local, 18.0 MiB past daily 7" in words
    assert "! warning: old-mail : the 3-2-1 rule is broken" in words
    site.live.began()
    site.live.planned(Plan(now=NOW))
    assert "Nothing to do." in site.page("/plan").words


def test_a_tick_that_came_to_nothing_keeps_what_was_known_and_says_why(site: Served) -> None:
    a_bad_day(site.live)
    site.live.began()
    site.live.ended(None, "backup.d/shop.yaml:7:3: unknown key")
    words = site.page().words
    assert "The last tick came to nothing. backup.d/shop.yaml:7:3: unknown key" in words
    assert "grafana/data ✓ good" in words


def test_picture_json_and_metrics_are_those_of_the_status(site: Served) -> None:
    a_bad_day(site.live)
    drawn = site.ask("/status.svg")
    assert drawn.headers["Content-Type"] == "image/svg+xml"
    assert ET.fromstring(drawn.text).tag == "{http://www.w3.org/2000/svg}svg"
    told = site.ask("/status.json")
    assert told.headers["Content-Type"] == "application/json"
    assert msgspec.json.decode(told.body, type=Status) == bad_day()
    assert told.body == encode(bad_day())
    measured = site.ask("/metrics")
    assert measured.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'reconciler_condition{condition="Healthy",status="False"} 1.0' in measured.text


def test_the_picture_is_fetched_again_only_when_it_changed(site: Served) -> None:
    def address() -> str | None:
        return Outline(site.page().text).all("img")[0]["src"]

    a_bad_day(site.live)
    first = address()
    a_bad_day(site.live)
    assert address() == first
    a_bad_day(site.live, fleet_of(3))
    assert address() != first
    assert site.ask(first or "").status == 200


def test_texts_from_outside_stay_texts(site: Served) -> None:
    day = bad_day()
    targets = (msgspec.structs.replace(day.targets[0], problems=(HOSTILE,)), *day.targets[1:])
    places = (msgspec.structs.replace(day.destinations[0], url=HOSTILE), *day.destinations[1:])
    status = msgspec.structs.replace(day, node=HOSTILE, targets=targets, destinations=places)
    first = outcomes()[0]
    assert isinstance(first.action, Create)
    action = msgspec.structs.replace(first.action, reason=HOSTILE, holds=(HOSTILE,))
    site.live.began()
    site.live.planned(Plan(now=PLANNED, actions=(action,)))
    site.live.started(action)
    site.live.said(HOSTILE, HOSTILE)
    pages = [site.page()]
    site.live.finished(Outcome(action, error=HOSTILE, failures={HOSTILE: HOSTILE}, warnings=(HOSTILE,)))
    site.live.ended(status, HOSTILE)
    pages += [
        site.page(path) for path in ("/", "/plan", "/runs", "/runs/20260120T030512Z", "/targets/grafana/data")
    ]
    scripts = [Outline(page.text).all("script") for page in pages]
    assert scripts == [[{"src": "/page.js", "defer": None}]] * len(pages)
    for page in pages:
        assert page.status == 200
        assert "\u202e" not in page.text
        assert "\x07" not in page.text
        assert "alert(1)" not in page.text.replace("&lt;script&gt;alert(1)&lt;/script&gt;", "")
    assert r"{{ 7*7 }}\u202e\x07" in pages[1].words


def test_secrets_are_struck_out_of_plans_and_outcomes(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGE_SECRET", "hunter<2>hunter")
    resolve(FromEnv(from_env="PAGE_SECRET"))
    action = outcomes()[0].action
    assert isinstance(action, Create)
    action = msgspec.structs.replace(action, reason="with hunter<2>hunter")
    site.live.began()
    site.live.planned(Plan(now=PLANNED, actions=(action,)))
    site.live.finished(Outcome(action, error="hunter<2>hunter refused"))
    texts = [site.page(path).text for path in ("/plan", "/runs/20260120T030512Z")]
    assert [("[secret]" in text, "hunter" in text) for text in texts] == [(True, False)] * 2


def test_every_answer_has_the_headers_that_keep_it_safe(site: Served) -> None:
    a_bad_day(site.live)
    paths = (
        "/",
        "/plan",
        "/runs",
        "/status.svg",
        "/status.json",
        "/metrics",
        "/healthz",
        "/style.css",
        "/nope",
    )
    for answer in [site.page(path) for path in paths]:
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert (
            "unsafe" not in answer.headers["Content-Security-Policy"]
            or "svg" in answer.headers["Content-Type"]
        )
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Server"] == "reconciler"


def test_a_page_refers_to_nothing_outside_and_to_nothing_that_is_missing(site: Served) -> None:
    a_bad_day(site.live)
    for path in ("/", "/plan", "/runs", "/targets/grafana/data", "/runs/20260120T030512Z", "/nope"):
        outline = Outline(site.page(path).text)
        named = [attributes.get("href") or attributes.get("src") for _, attributes in outline.elements]
        for link in {name for name in named if name}:
            assert link.startswith(("/", "#")), link
            assert not link.startswith("//")
            assert link.startswith("#") or site.page(link).status == 200, link
        anchors = {attributes.get("id") for _, attributes in outline.elements}
        assert {link[1:] for link in named if link and link.startswith("#")} <= anchors
        assert not [
            attributes
            for _, attributes in outline.elements
            if any(key.startswith("on") for key in attributes)
        ]


def test_a_page_says_what_a_screen_reader_needs(site: Served) -> None:
    a_bad_day(site.live)
    for path in ("/", "/plan", "/runs", "/targets/grafana/data", "/runs/20260120T030512Z"):
        outline = Outline(site.page(path).text)
        ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
        assert len(ids) == len(set(ids)), path
        assert outline.all("html") == [{"lang": "en"}]
        assert len(outline.all("h1")) == len(outline.all("main")) == 1
        assert outline.all("a")[0] == {"class": "skip", "href": "#main"}
        assert all(head.get("scope") in ("col", "row") for head in outline.all("th"))
        assert all(image.get("alt") for image in outline.all("img"))
        for region in [item for _, item in outline.elements if item.get("role") == "region"]:
            assert region["tabindex"] == "0"
            assert region.get("aria-label") or region["aria-labelledby"] in ids
        headings = [int(tag[1]) for tag, _ in outline.elements if re.fullmatch(r"h[1-6]", tag)]
        assert all(next_ <= one + 1 for one, next_ in pairwise(headings)), path


@pytest.mark.parametrize("number", [0, 1, 200])
def test_fleets_of_any_size(number: int) -> None:
    status = fleet_of(number)
    with served(status=status) as site:
        answer = site.page()
        rows = len(re.findall(r'<th scope="row"><a href="/targets/', answer.text))
        assert rows == number
        assert len(answer.body) < 400_000
        for target in status.targets[::50]:
            assert site.page(f"/targets/{target.name}").status == 200


def test_without_its_package_the_service_says_so_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    pages._environment.cache_clear()
    with (
        pytest.raises(
            ReconcilerError,
            match=r"needs the Python package jinja2; install it with pip install 'reconciler\[web\]'",
        ),
        serving(Listening(Address()), Live(Hand()), lambda: None),
    ):
        pass


def test_without_prometheus_client_the_metrics_say_so(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    a_bad_day(site.live)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    answer = site.ask("/metrics")
    assert answer.status == 501
    assert "pip install 'reconciler[metrics]'" in answer.text
