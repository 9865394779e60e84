"""A store whose credentials are a secret of the stack's secret store: workers come by it before they have a plan."""

from __future__ import annotations

import json
import os

import pytest


@pytest.fixture
def secret(project, bucket, monkeypatch):
    """A file with the credentials, and no variable that has them."""
    keys = {"access_key_id": os.environ["AWS_ACCESS_KEY_ID"], "secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"]}
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (project.folder / "secrets").mkdir()
    file = project.folder / "secrets" / "s3"
    file.write_text(json.dumps(keys))
    endpoint = f"endpoint: 'http://127.0.0.1:{bucket.port}', region: us-east-1, allow_http: true"
    (project.folder / "stack.yaml").write_text(
        "extends: local\norchestrator: {type: local, workers: 1}\n"
        f"secrets: {{type: files, folder: {file.parent}}}\n"
        f"artifact_store: {{root: 's3://weather/secret', credentials: '${{secret:s3}}', {endpoint}}}\n"
    )
    return file


SOURCE = """
@step
def shout(text: str) -> str:
    return text.upper()

@pipeline
def flow(text: str = "quiet"):
    shout(text)
"""


def test_a_worker_opens_the_secret_store_before_the_artifact_store(project, secret):
    run, state, _ = project.run(SOURCE)
    assert state == "succeeded"
    assert run["shout"].load() == "QUIET"
    told = run.workspace.store.environment()["TURNOUT_STORE"]
    assert json.loads(told)["secret_store"] == {"type": "files", "config": {"folder": str(secret.parent)}}
    assert json.loads(secret.read_text())["secret_access_key"] not in told
