"""The dashboard and the alert rules name metrics and labels that /metrics has, and Prometheus accepts them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from agent.statistics.statistics import Statistics
from agent.tasks.store import Backlog
from api.statistics.prometheus import exposition
from api.statistics.worker_metrics import ProcessMetrics
from api.tracing.turn_spans import NO_ERRORS
from tests.support.counted_turns import answered, ended, failed

ROOT = Path(__file__).parents[2]
ALERTS, ALERTS_TEST = ROOT / "deploy/alerts.yaml", ROOT / "deploy/alerts-test.yaml"
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana-dashboard.json").read_text("utf-8"))
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]
]
PANELS: list[dict[str, Any]] = [each for each in DASHBOARD["panels"] if each["type"] != "row"]
VARIABLES = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
QUERIES = {f"panel {each['title']} {target['refId']}": target["expr"] for each in PANELS for target in each["targets"]}
EXPRESSIONS = {**QUERIES, **{f"alert {rule['alert']}": rule["expr"] for rule in RULES}}
OF_THE_SCRAPE = {"instance", "job"}


def exposed() -> dict[str, set[str]]:
    """The labels of each sample that /metrics has after turns of every kind."""
    statistics = Statistics()
    statistics.count_request("ann")
    statistics.turn_ended(ended(failed(), answered()))
    own = ProcessMetrics(statistics.since_start, 1, {"a": "open"}, {"assistant": 1}, 0.1)
    body, _ = exposition(own, tuple, "", Backlog(1, 1, 1.0))
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


EXPOSED = exposed()


@pytest.mark.parametrize("place", EXPRESSIONS)
def test_metrics_and_their_labels_exist(place: str) -> None:
    expression = EXPRESSIONS[place]
    names = set(re.findall(r"\bswitchboard_\w+", expression))
    assert names <= set(EXPOSED)
    assert names or expression.startswith("up{")
    for name, selector in re.findall(r"\b(switchboard_\w+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector)) <= EXPOSED[name] | OF_THE_SCRAPE
    grouped = {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", expression) for label in group.split(",")}
    assert grouped <= set().union(*(EXPOSED[name] for name in names)) | OF_THE_SCRAPE if names else True


def test_each_metric_is_on_the_dashboard() -> None:
    shown = {name for each in QUERIES.values() for name in re.findall(r"\bswitchboard_\w+", each)}
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in EXPOSED}
    left_out = {"switchboard_cancelled_turns_total", "switchboard_unpriced_turns_total"}  # in others, and an alert
    assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown} == families - left_out


def test_the_outcomes_that_are_no_errors_are_those_of_the_program() -> None:
    texts = [text for text in EXPRESSIONS.values() if "outcome!~" in text]
    assert texts
    for text in texts:
        for pattern in re.findall(r'outcome!~"([^"]*)"', text):
            assert set(pattern.split("|")) == NO_ERRORS - {"ok"}


# The alert rules


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"Switchboard[A-Za-z]+", rule["alert"]) and rule["for"]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"].keys() == {"summary", "description"}
    for text in rule["annotations"].values():
        assert text[0].isupper() or text.startswith("{{")
        assert text.endswith(".")
    for document in re.findall(r"docs/\S+\.md", rule["annotations"]["description"]):
        assert (ROOT / document).exists()


def test_each_alert_is_tested() -> None:
    tested = {
        case["alertname"]
        for each in yaml.safe_load(ALERTS_TEST.read_text("utf-8"))["tests"]
        for case in each["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert tested == {rule["alert"] for rule in RULES}


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
@pytest.mark.parametrize("command", [["check", "rules", str(ALERTS)], ["test", "rules", str(ALERTS_TEST)]])
def test_promtool_accepts_the_rules_and_their_tests_pass(command: list[str]) -> None:
    ran = subprocess.run(["promtool", *command], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_accepts_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"query_{number}", "expr": filled(expr)} for number, expr in enumerate(QUERIES.values())]
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    ran = subprocess.run(["promtool", "check", "rules", tmp_path / "queries.yaml"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def filled(expression: str) -> str:
    """A query as Grafana sends it."""
    values = {"$__rate_interval": "5m", **{f"${name}": ".*" for name in VARIABLES}}
    for name, value in values.items():
        expression = expression.replace(name, value)
    return expression


# The dashboard


def test_a_panel_says_what_it_shows_and_asks_the_chosen_prometheus() -> None:
    for panel in PANELS:
        assert panel["title"] and panel["description"].endswith(".")
        for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
            assert source == {"type": "prometheus", "uid": "${datasource}"}
    assert len({each["title"] for each in PANELS}) == len(PANELS)


def test_queries_use_the_variables_that_there_are() -> None:
    used = {name for each in QUERIES.values() for name in re.findall(r"\$(\w+)", each)} - {"__rate_interval"}
    assert used == {"instance", "model"} and used | {"datasource"} == VARIABLES.keys()
    for name in used:
        metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", VARIABLES[name]["definition"]).groups()  # type: ignore[union-attr]
        assert label in EXPOSED[metric] | OF_THE_SCRAPE


def test_the_panels_fill_their_rows_and_do_not_overlap() -> None:
    places = [each["gridPos"] for each in DASHBOARD["panels"]]
    widths: dict[int, int] = {}
    for place in places:
        widths[place["y"]] = widths.get(place["y"], 0) + place["w"]
    assert set(widths.values()) == {24}
    for one, other in combinations(places, 2):
        apart = [one[a] + one[b] <= other[a] or other[a] + other[b] <= one[a] for a, b in (("x", "w"), ("y", "h"))]
        assert any(apart)
    assert len({each["id"] for each in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
