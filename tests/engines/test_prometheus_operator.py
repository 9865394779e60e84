"""What a deployment on a cluster gives the Prometheus operator: promtool takes its rules, and a real Prometheus that scrapes
as the operator tells it to records an endpoint under its own name."""

from __future__ import annotations

import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from prometheus_server import needs_prometheus, prometheus, promtool, values, wait
from sample_endpoints import sample_endpoint

from turnout.serving.monitoring import export
from turnout_kserve.deployer import KServeDeployer, KServeSettings
from turnout_kubernetes.settings import Monitoring, ServingOptions

TESTS = Path(__file__).parent / "prometheus"
pytestmark = needs_prometheus


@pytest.fixture(scope="module")
def objects():
    """The objects that an export has for the operator, by their kinds."""
    settings = KServeSettings(artifacts="image", every=ServingOptions(image="y"), monitoring=Monitoring())
    files = KServeDeployer(settings).compile(sample_endpoint()).files
    found = [*yaml.safe_load_all(files["monitoring.yaml"]), *yaml.safe_load_all(files["rules.yaml"])]
    return {one["kind"]: one for one in found}


@pytest.fixture
def folder(objects, tmp_path):
    """The groups of the PrometheusRule as a file, as the operator hands them to Prometheus."""
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "recording.yml").write_text(yaml.safe_dump({"groups": objects["PrometheusRule"]["spec"]["groups"]}))
    (folder / "alerts.yml").write_text("groups: []\n")
    return folder


def test_promtool_takes_the_rules_and_they_are_those_that_are_exported(objects, folder, tmp_path):
    done = promtool("check", "rules", "recording.yml", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    list(export(tmp_path / "files", []))
    texts = [(tmp_path / "files" / name).read_text() for name in ("recording.yml", "alerts.yml")]
    groups = objects["PrometheusRule"]["spec"]["groups"]
    assert groups == [group for text in texts for group in yaml.safe_load(text)["groups"]]
    rules = [rule for group in groups for rule in group["rules"]]
    assert f"{len(rules)} rules found" in done.stdout
    assert [sum(key in rule for rule in rules) for key in ("record", "alert")] == [53, 7]


def test_they_record_and_alert_as_those_that_are_exported(folder):
    shutil.copytree(TESTS, folder, dirs_exist_ok=True)
    done = promtool("test", "rules", *sorted(path.name for path in TESTS.iterdir()), folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr


class Metrics(BaseHTTPRequestHandler):
    """The metrics of a pod."""

    def do_GET(self):
        data = b'turnout_requests_running{endpoint="delay"} 3\n'
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Nothing is told."""


@pytest.fixture
def pod():
    """The address at which a pod tells its metrics."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Metrics) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(30)


def test_an_endpoint_is_recorded_under_its_own_name(objects, folder, pod, tmp_path):
    """The operator labels what it scrapes, with the port's name as `endpoint`."""
    (scraped,) = objects["ServiceMonitor"]["spec"]["endpoints"]
    service = objects["Service"]["metadata"]
    job = service["labels"][objects["ServiceMonitor"]["spec"]["jobLabel"]]
    labels = {
        "endpoint": scraped["port"],
        "namespace": service["namespace"],
        "service": service["name"],
        "pod": "delay-1",
    }
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["recording.yml"],
        "scrape_configs": [
            {
                "job_name": "serviceMonitor/default/delay-metrics/0",
                "honor_labels": scraped.get("honorLabels", False),
                "metrics_path": scraped["path"],
                "static_configs": [{"targets": [pod], "labels": labels}],
                "relabel_configs": [{"target_label": "job", "replacement": job}],
            }
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    with prometheus(folder, tmp_path / "data") as url:
        name = (("__name__", "endpoint:running"), ("endpoint", "delay"), ("server", "turnout"))
        assert wait(lambda: values(url, "endpoint:running")) == {name: 3.0}
        assert [*values(url, 'up{job="turnout-endpoints"}').values()] == [1.0], (
            "the alert EndpointDown asks for this job"
        )
