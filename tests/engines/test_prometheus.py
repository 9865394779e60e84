"""A real Prometheus scrapes deployed endpoints by the files that turnout exports; its rules record, an alert fires."""

from __future__ import annotations

import json
import re
import shutil
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_server import ask, needs_prometheus, prometheus, promtool, values, wait

from turnout.serving.local import LocalDeployer, LocalDeployerConfig
from turnout.serving.monitoring import FILES, export
from turnout.testing.endpoints import make_served

TESTS = Path(__file__).parent / "prometheus"
"""Tests of rules, for promtool."""

pytestmark = needs_prometheus


@pytest.fixture
def exported(tmp_path):
    list(export(tmp_path / "monitoring", []))
    return tmp_path / "monitoring"


def test_its_configuration_and_rules_are_what_promtool_takes(exported):
    done = promtool("check", "config", "prometheus.yml", folder=exported)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 rule files found" in done.stdout


def test_what_is_recorded_of_each_server_and_when_alerts_fire(exported):
    tests = sorted(path.name for path in TESTS.iterdir())
    shutil.copytree(TESTS, exported, dirs_exist_ok=True)
    done = promtool("test", "rules", *tests, folder=exported)
    assert done.returncode == 0, done.stdout + done.stderr
    alerts = set(re.findall(r"alert: (\w+)", (exported / "alerts.yml").read_text()))
    assert alerts == {name for test in tests for name in re.findall(r"alertname: (\w+)", (TESTS / test).read_text())}


@pytest.fixture
def deployed(tmp_path, tmp_path_factory):
    served = make_served(tmp_path_factory.mktemp("served"))
    deployer = LocalDeployer(LocalDeployerConfig(folder=str(tmp_path / "endpoints"), workers=2))
    status = deployer.deploy(served.endpoint, deployer.compile(served.endpoint), served.store)
    yield deployer, served, status.url
    deployer.delete("double")


@pytest.fixture
def watching(deployed, tmp_path):
    """The address of a Prometheus that scrapes each second, and takes an alert for one as soon as it is true."""
    folder = tmp_path / "monitoring"
    assert {path.name for path, _ in export(folder, deployed[0].list())} == {*FILES, "targets.json"}
    for name in ("prometheus.yml", "alerts.yml"):
        text = (folder / name).read_text()
        (folder / name).write_text(re.sub(r"for: \w+", "for: 0s", text.replace("_interval: 15s", "_interval: 1s")))
    with prometheus(folder, tmp_path / "data") as url:
        yield url, folder


def post(url, rows):
    request = urllib.request.Request(f"{url}/predict", json.dumps({"rows": rows}).encode())
    try:
        with urllib.request.urlopen(request) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_deployed_endpoint_is_scraped_recorded_and_alerted_of(deployed, watching):
    deployer, served, endpoint = deployed
    url, folder = watching

    def requests():
        assert post(endpoint, served.rows) == 200
        assert post(endpoint, [{"x": "two"}]) == 422

    sums = 'sum by (code) (turnout_request_seconds_count{endpoint="double"})'
    wait(lambda: values(url, sums))
    for _ in range(20):
        requests()
    # two workers answer, either of them says what both have counted
    wait(lambda: values(url, sums).get((("code", "2xx"),)) == 20)
    assert values(url, 'turnout_input_values_total{column="x"}').popitem()[1] == 40
    code, endpoint_label, server = ("code", "4xx"), ("endpoint", "double"), ("server", "turnout")
    recorded = 'sum by (server, endpoint, code) (endpoint:requests:rate5m{code="4xx"}) > 0'
    assert wait(lambda: values(url, recorded), requests).keys() == {(code, endpoint_label, server)}
    mean = 'endpoint:input:mean1h{column="x"} > 0'
    assert wait(lambda: values(url, mean), requests).popitem()[1] == pytest.approx(1.75)

    def firing():
        return {one["labels"]["alertname"] for one in ask(url, "alerts")["alerts"] if one["state"] == "firing"}

    wait(lambda: "EndpointRefusals" in firing(), requests)
    assert "EndpointDown" not in firing()

    # each panel of the dashboard asks what Prometheus can answer, and most have an answer already
    dashboard = json.loads((folder / "dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = [one.replace("$__rate_interval", "1m").replace("$server", ".*").replace("$endpoint", ".*") for one in asked]
    unanswerable = [query for query in asked if "answer_class" in query]
    wait(lambda: [query for query in asked if not values(url, query)] == unanswerable, requests)

    deployer.delete("double")
    wait(lambda: "EndpointDown" in firing())
