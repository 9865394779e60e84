"""Schemathesis reads an endpoint's OpenAPI document and sends what it allows, and what it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from turnout.serving.local import LocalDeployer, LocalDeployerConfig
from turnout.testing.endpoints import make_served

CONFIG = """
[checks.negative_data_rejection]
expected-statuses = [400, 413, 422]

# A schema cannot say that a tensor has as many values as its shape has, nor that each column comes once.
[[operations]]
include-path = "/v2/models/double/infer"
[operations.checks]
positive_data_acceptance.enabled = false
"""


@pytest.fixture
def url(tmp_path, tmp_path_factory):
    served = make_served(tmp_path_factory.mktemp("served"))
    deployer = LocalDeployer(LocalDeployerConfig(folder=str(tmp_path / "endpoints")))
    yield deployer.deploy(served.endpoint, deployer.compile(served.endpoint), served.store).url
    deployer.delete("double")


def test_the_document_holds_for_whatever_is_sent(url, tmp_path):
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/openapi.json", "--no-color"]
    options = ["--max-examples", "60", "--seed", "1", "--workers", "1", "--continue-on-failure"]
    done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Selected: 7/7" in done.stdout
