"""What is exported for Prometheus and Grafana hangs together: each name that one file reads, another one gives."""

from __future__ import annotations

import json
import re

import yaml
from prometheus_client.parser import text_string_to_metric_families

from turnout.components.deployer import EndpointStatus
from turnout.serving.metrics import Metrics
from turnout.serving.monitoring import FILES, export

UP = [
    EndpointStatus(name="delay", state="ready", url="http://127.0.0.1:8085"),
    EndpointStatus(name="other", state="starting"),
]


def written(folder):
    assert [path.name for path, is_new in export(folder, UP) if is_new] == [*FILES, "targets.json"]
    return {name: (folder / name).read_text() for name in (*FILES, "targets.json")}


def rules(text):
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def test_rules_read_metrics_that_there_are(tmp_path):
    text = Metrics("delay").text().decode()
    families = {family.name for family in text_string_to_metric_families(text)}
    ends = ("_total", "_count", "_sum", "_bucket", "")
    files = written(tmp_path)
    read = set(re.findall(r"turnout_\w+", files["recording.yml"] + files["dashboard.json"]))
    known = {family + end for family in families for end in ends}
    assert read
    assert read <= known
    assert {name for name in families if not any(name + end in read for end in ends)} == set()


def test_alerts_and_the_dashboard_read_what_is_recorded(tmp_path):
    files = written(tmp_path)
    recorded = {rule["record"] for rule in rules(files["recording.yml"])}
    dashboard = json.loads(files["dashboard.json"])
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [rule["expr"] for rule in rules(files["alerts.yml"])]
    read = {name for query in asked for name in re.findall(r"endpoint:\w+:\w+|endpoint:running", query)}
    assert read
    assert read <= recorded
    assert {panel["id"] for panel in dashboard["panels"]} == set(range(1, len(dashboard["panels"]) + 1))


def test_what_a_user_has_changed_stays_and_targets_are_those_that_are_up(tmp_path):
    written(tmp_path)
    (tmp_path / "alerts.yml").write_text("groups: []\n")
    assert [path.name for path, is_new in export(tmp_path, []) if is_new] == ["targets.json"]
    assert (tmp_path / "alerts.yml").read_text() == "groups: []\n"
    assert json.loads((tmp_path / "targets.json").read_text()) == []
    list(export(tmp_path, UP))
    assert json.loads((tmp_path / "targets.json").read_text()) == [{"targets": ["127.0.0.1:8085"]}]
    assert yaml.safe_load((tmp_path / "prometheus.yml").read_text())["rule_files"] == ["recording.yml", "alerts.yml"]
