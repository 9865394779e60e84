"""What servers of Seldon Core v2 fetch from a bucket: the folder that a Model's URI names, sent by `export --upload`."""

from __future__ import annotations

import json
import logging
import threading
import urllib.request

import pytest
import yaml
from projects import DOUBLING, call_here, entered, write

from turnout.stores.cloud import CloudStore

STACK = """\
extends: seldon-v2
artifact_store: {{root: s3://models/turnout, endpoint: "http://127.0.0.1:{port}", region: us-east-1, allow_http: true}}
"""


@pytest.fixture
def bucket(monkeypatch):
    """The port of an S3 server with a bucket."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{server.port}/models", method="PUT")).close()
    yield server.port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def export(bucket, tmp_path, monkeypatch, capfd):
    """Export the endpoint into a folder; gives the notes."""
    endpoint = f"http://127.0.0.1:{bucket}"
    monkeypatch.setenv("TURNOUT_STORE", json.dumps({"root": "s3://models/turnout", "endpoint": endpoint}))
    monkeypatch.setenv("TURNOUT_IMAGE", "registry.example/doubling:1")
    pyproject = "[project]\nname = 'served'\nversion = '1'\n"
    files = {"pyproject.toml": pyproject, "doubling.py": DOUBLING, "stacks/own.yaml": STACK.format(port=bucket)}

    def exported(*options):
        capfd.readouterr()
        call_here("export", "doubling.py:double", "--stack", "own", "-o", "out", *options)
        return capfd.readouterr().err

    with entered(write(tmp_path / "project", files)):
        call_here("run", "doubling.py", "--stack", "own")
        yield exported, tmp_path / "project" / "out"


def fetched(port, uri):
    """What rclone would copy: the files below a URI, by their names."""
    store = CloudStore.from_url(uri, endpoint=f"http://127.0.0.1:{port}", region="us-east-1", allow_http=True)
    return {entry.key: store.read(entry.key) for entry in store.list("")}


def models(folder):
    """The Models of an export and their URIs."""
    documents = yaml.safe_load_all((folder / "model.yaml").read_text())
    return {one["metadata"]["name"]: one["spec"]["storageUri"] for one in documents}


def local(folder):
    return {path.name: path.read_bytes() for path in (folder / "mlserver").iterdir()}


def test_an_export_sends_what_servers_fetch(export, bucket):
    exported, folder = export
    assert "not all that it takes is in the store: --upload sends it" in exported()
    (uri,) = models(folder).values()
    assert uri.startswith("s3://models/turnout/models/")
    assert fetched(bucket, uri) == {}
    assert "--upload" not in exported("--upload")
    live = fetched(bucket, uri)
    assert live == local(folder)
    settings = json.loads(live["model-settings.json"])
    assert f"{settings['implementation'].partition('.')[0]}.py" in live
    assert "--upload" not in exported(), "all is there"

    call_here("run", "doubling.py", "--stack", "own", "-p", "factor=3")
    exported("--update", "--share", "0.25", "--upload")
    uris = models(folder)
    assert uris["double"] == uri
    assert fetched(bucket, uris["double-canary"]) == local(folder) != live
    assert fetched(bucket, uri) == live, "what the live version's server fetches stays"
