"""examples/monitoring: promtool accepts it, each rule is tested, and a real Prometheus raises an alert when a backup fails."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations
from pathlib import Path

import yaml

from reconciler.report.metrics import families
from tests.cli.place import Place
from tests.conftest import Parts
from tests.parts.process import until
from tests.parts.prometheus import Prometheus, Promtool, prometheus
from tests.report.example import bad_day

FOLDER = Path(__file__).parent.parent / "examples" / "monitoring"
RULES = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
DUMP = """\
apiVersion: reconciler/v1
kind: Backup
metadata: {name: shop}
spec:
  schedule: "@hourly"
  retention: {hourly: 3, daily: 7}
  destinations: [local, offsite]
  targets: [{name: shop, kind: command, backup: "cat 'ROOT/dump.sql'", extension: sql}]
"""


def expressions() -> list[str]:
    """Every expression of the dashboard, with All chosen in each variable."""
    found = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [re.sub(r"\$\w+", ".*", expression) for expression in found]


def test_promtool_accepts_the_rules_and_the_configuration(promtool: Promtool) -> None:
    assert promtool.run("check", "rules", FOLDER / "alerts.yaml")[0] == 0
    code, said = promtool.run("check", "config", FOLDER / "prometheus.yaml")
    assert (code, f"{len(RULES)} rules found" in said) == (0, True), said


def test_promtool_runs_the_tests_of_the_rules(promtool: Promtool) -> None:
    code, said = promtool.run("test", "rules", FOLDER / "alerts_test.yaml")
    assert code == 0, said


def test_a_rule_that_never_fires_fails_its_test(promtool: Promtool, tmp_path: Path) -> None:
    (tmp_path / "alerts_test.yaml").write_text((FOLDER / "alerts_test.yaml").read_text())
    dead = [rule | {"expr": "vector(1) < 0"} for rule in RULES]
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dead", "rules": dead}]}))
    _, said = promtool.run("test", "rules", tmp_path / "alerts_test.yaml")
    assert {rule["alert"] for rule in RULES} == set(re.findall(r"alertname: (\w+),", said))


def test_rules_and_dashboard_name_only_metrics_that_exist() -> None:
    made = {family.name for family in families(bad_day())}
    queries = [variable["definition"] for variable in DASHBOARD["templating"]["list"][1:]]
    for expression in (*expressions(), *queries, *(rule["expr"] for rule in RULES)):
        named = set(re.findall(r"\breconciler_\w+", expression))
        assert named, expression
        assert named <= made


def test_every_rule_says_how_bad_it_is_and_what_to_do() -> None:
    assert {rule["labels"]["severity"] for rule in RULES} == {"critical", "warning", "info"}
    for rule in RULES:
        assert set(rule["annotations"]) == {"summary", "description"}
        assert all(text.endswith((".", "?")) for text in rule["annotations"].values())


def test_every_rule_is_on_the_page() -> None:
    page = (FOLDER.parent.parent / "docs" / "monitoring.md").read_text()
    assert re.findall(r"^\| `(Reconciler\w+)` \|", page, re.MULTILINE) == [rule["alert"] for rule in RULES]


def test_panels_of_the_dashboard_stand_beside_each_other() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] and panel["description"] for panel in panels)
    assert {target["datasource"]["uid"] for panel in panels for target in panel["targets"]} == {
        "${datasource}"
    }
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


@contextmanager
def exporter(file: Path) -> Iterator[str]:
    """Serve a textfile as node_exporter does; host and port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def settings(folder: Path, target: str) -> str:
    """The example's configuration for one target; quick, with rules that do not wait."""
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
    for rule in rules["groups"][0]["rules"]:
        rule.pop("for", None)
    (folder / "alerts.yaml").write_text(yaml.safe_dump(rules))
    whole = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    whole["rule_files"] = [str(folder / "alerts.yaml")]
    whole["global"] = {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"}
    whole["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    return yaml.safe_dump(whole)


def alerts(server: Prometheus, run: datetime) -> set[tuple[str, str]]:
    """Names and targets of what fires once the run of that time was scraped and every rule was evaluated after that."""
    seen = f"reconciler_status_timestamp_seconds == {run.timestamp()}"
    until(lambda: bool(server.query(seen)), "the metrics of the run are scraped")
    scraped = datetime.now(UTC)
    until(
        lambda: all(datetime.fromisoformat(rule["lastEvaluation"]) > scraped for rule in server.rules()),
        "the rules are evaluated",
    )
    return {
        (alert["labels"]["alertname"], alert["labels"].get("service", ""))
        for rule in server.rules()
        for alert in rule["alerts"]
        if alert["state"] == "firing"
    }


def test_an_alert_fires_when_a_backup_fails_and_ends_when_it_is_mended(tmp_path: Path, parts: Parts) -> None:
    place = Place(tmp_path)
    place.write("backup.d/shop.yaml", DUMP.replace("ROOT", str(tmp_path)))
    file, now = place.root / "reconciler.prom", datetime.now(UTC).replace(microsecond=0)

    def run(hours_ago: int) -> tuple[int, datetime]:
        at = now - timedelta(hours=hours_ago)
        place.now = at.isoformat()
        return place.run("apply", "--metrics", str(file)).code, at

    dump = place.write("dump.sql", "insert into orders values (1);\n")
    code, at = run(2)
    assert code == 0
    with exporter(file) as target:
        told = settings(place.root, target)
        with parts.running(prometheus(place.root / "series", settings=told)) as server:
            assert alerts(server, at) == set()

            dump.rename(place.root / "lost.sql")
            code, at = run(1)
            assert code == 1
            assert alerts(server, at) == {
                ("ReconcilerTargetFailing", "shop"),
                ("ReconcilerActionsFailed", ""),
            }
            assert [item for item in expressions() if not server.query(item)] == [], "the dashboard shows it"

            place.write("dump.sql", "insert into orders values (1), (2);\n")
            code, at = run(0)
            assert code == 0
            assert alerts(server, at) == set()
    assert place.run("restore", "shop", "--to", "path:back").code == 0
    (restored,) = (place.root / "back").iterdir()
    assert restored.read_bytes() == (place.root / "dump.sql").read_bytes()
