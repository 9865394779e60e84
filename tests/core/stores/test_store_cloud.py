"""The store in a bucket: the suite and the bad cases, against moto's S3 server on loopback."""

from __future__ import annotations

import builtins
import http.server
import itertools
import json
import logging
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from turnout.artifacts.blobs import Blobs
from turnout.base.errors import ArtifactError, ConfigError, PluginError
from turnout.catalog.garbage import Collection
from turnout.catalog.index import Index
from turnout.model import records
from turnout.model.records import RunInfo
from turnout.stores import claims
from turnout.stores.address import choose, from_environment, open_object
from turnout.stores.cloud import CloudStore
from turnout.stores.cloud_errors import explain
from turnout.stores.local import LocalStore
from turnout.testing.artifact_store import ArtifactStoreSuite

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing-secret"}


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of an S3 server that honours conditional writes."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = DomainDispatcherApplication(create_backend_app)
    lock = threading.Lock()

    def one_at_a_time(environ: dict[str, Any], start_response: Any) -> Any:
        """moto itself does not make 'check, then write' one operation; S3 does."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if len(body := environ["wsgi.input"].read(length)) < length:
            start_response("400 Bad Request", [])
            return []
        import io

        environ["wsgi.input"] = io.BytesIO(body)
        with lock:
            return list(app(environ, start_response))

    server = make_server("127.0.0.1", 0, one_at_a_time, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def ask(url: str, method: str, data: bytes | None = None) -> None:
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "text/plain"})
    urllib.request.urlopen(request).close()


_numbers = itertools.count()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{next(_numbers)}"
    ask(f"{s3}/{name}", "PUT")
    return name


def open_store(s3: str, root: str, **settings: Any) -> CloudStore:
    return CloudStore.from_url(root, **{"endpoint": s3, "region": "us-east-1", "allow_http": True, **settings})


@pytest.fixture
def store(s3: str, bucket: str) -> CloudStore:
    return open_store(s3, f"s3://{bucket}/team/turnout")


class TestCloudStore(ArtifactStoreSuite):
    @pytest.fixture
    def store(self, store: CloudStore) -> CloudStore:
        return store


class Proxy(http.server.BaseHTTPRequestHandler):
    """Passes requests on, and loses the answer to the first PUT: the client is told 500 and sends it again."""

    target = ""
    lost = 0

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {"Content-Type": "binary/octet-stream", **{key.title(): value for key, value in self.headers.items()}}
        request = urllib.request.Request(self.target + self.path, data=data, method=self.command, headers=headers)
        try:
            with urllib.request.urlopen(request) as response:
                status, answer, fields = response.status, response.read(), response.headers
        except urllib.error.HTTPError as error:
            with error:
                status, answer, fields = error.code, error.read(), error.headers
        if self.command == "PUT" and not type(self).lost:
            type(self).lost += 1
            status, answer = 500, b""
        self.send_response(status)
        for key, value in fields.items():
            if key.lower().startswith("x-amz-meta") or key.lower() in {"etag", "last-modified"}:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_HEAD = do_PUT

    def log_message(self, *args: object) -> None:
        pass


def test_a_create_whose_answer_was_lost_is_still_its_own(s3: str, bucket: str) -> None:
    handler = type("Handler", (Proxy,), {"target": s3, "lost": 0})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        store = open_store(f"http://127.0.0.1:{server.server_port}", f"s3://{bucket}")
        assert store.create("demo/claim", b"mine") is True
        assert handler.lost == 1
        assert store.create("demo/claim", b"mine") is False
        assert store.read("demo/claim") == b"mine"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_two_roots_of_a_bucket_are_two_stores(s3: str, bucket: str) -> None:
    one, two = open_store(s3, f"s3://{bucket}/one"), open_store(s3, f"s3://{bucket}/one more")
    assert one.create("a", b"1")
    assert two.create("a", b"2")
    assert [entry.key for entry in one.list("")] == ["a"]
    assert open_store(s3, f"s3://{bucket}").children("") == ["one", "one more"]


def test_options_reach_the_connection(s3: str, bucket: str, tmp_path: Path) -> None:
    store = open_store(s3, f"s3://{bucket}", options={"user_agent": "me", "virtual_hosted_style_request": False})
    assert store.create("a", b"x")
    private = open_store(s3, f"s3://{bucket}", options={"root_certificate": "no certificate"})
    with pytest.raises(ArtifactError, match="cannot open the artifact store"):
        private.read("a")


@pytest.mark.parametrize("scheme", ["gs", "gcs"])
def test_a_google_bucket_takes_an_endpoint(scheme: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
    store = open_store(endpoint, f"{scheme}://bucket", region="", retries=0, options={"skip_signature": True})
    assert f"nobody answers at {endpoint}" in error_of(lambda: store.read("a"))


def test_a_store_is_not_local(store: CloudStore) -> None:
    store.create("a", b"x")
    assert store.local_path("a") is None
    assert store.staging() is None
    store.flush()


# --- what a worker is told


def test_the_environment_is_the_url_where_that_says_it_all() -> None:
    assert CloudStore.from_url("s3://bucket/team/").environment() == {"TURNOUT_STORE": "s3://bucket/team"}


def test_the_environment_holds_the_settings_and_the_reference_but_no_value(s3: str) -> None:
    store = open_store(s3, "s3://bucket/team", credentials="${secret:s3}", retries=2)
    assert json.loads(store.environment()["TURNOUT_STORE"]) == {
        "type": "cloud",
        "root": "s3://bucket/team",
        "endpoint": s3,
        "region": "us-east-1",
        "allow_http": True,
        "credentials": "${secret:s3}",
        "retries": 2,
    }
    literal = open_store(s3, "s3://bucket/team", credentials='{"secret_access_key": "hush"}')
    assert "hush" not in str(literal.environment())
    assert "credentials" not in literal.environment()["TURNOUT_STORE"]


@pytest.mark.parametrize("reference", ["${secret:S3_KEYS}", "${worker-env:S3_KEYS}"])
def test_a_worker_resolves_the_reference(s3: str, bucket: str, monkeypatch: pytest.MonkeyPatch, reference: str) -> None:
    for name in KEYS:
        monkeypatch.delenv(name)
    secret = json.dumps({"access_key_id": "testing", "secret_access_key": "testing-secret"})
    variables = open_store(s3, f"s3://{bucket}", credentials=reference).environment()
    monkeypatch.setenv("S3_KEYS", secret)
    assert from_environment(variables).create("a", b"x")
    if "secret:" in reference:
        monkeypatch.delenv("S3_KEYS")
        asked: list[str] = []
        other = from_environment(variables, resolve=lambda name: asked.append(name) or secret)
        assert other.read("a") == b"x"
        assert asked == ["S3_KEYS"]


def test_a_reference_to_nothing(s3: str) -> None:
    with pytest.raises(ConfigError) as error:
        open_store(s3, "s3://bucket", credentials="${worker-env:NO_SUCH_KEYS}").read("a")
    assert str(error.value) == (
        "the artifact store's credentials refer to ${worker-env:NO_SUCH_KEYS}, "
        "and there is no environment variable 'NO_SUCH_KEYS' here\n"
        "  fix: provide the environment variable 'NO_SUCH_KEYS' where this process runs, "
        "or leave the credentials out of the stack to use the machine's own"
    )
    store = open_store(s3, "s3://bucket", credentials="${secret:s3}")
    store.resolve = lambda name: None
    with pytest.raises(ConfigError, match="there is no secret 's3' here"):
        store.read("a")


def test_credentials_that_are_no_json_are_not_shown(s3: str) -> None:
    with pytest.raises(ConfigError) as error:
        open_store(s3, "s3://bucket", credentials="AKIA:hush").read("a")
    assert str(error.value) == (
        "the credentials of the artifact store s3://bucket are not a JSON object of strings\n"
        '  fix: store the secret as {"access_key_id": "…", "secret_access_key": "…"}'
    )
    assert error.value.__cause__ is None


def test_the_environment_names_a_local_store(tmp_path: Path) -> None:
    store = from_environment({"TURNOUT_STORE": str(tmp_path)})
    assert isinstance(store, LocalStore)
    assert store.address == str(tmp_path)
    store = from_environment({"TURNOUT_STORE": json.dumps({"root": str(tmp_path), "durable": True})})
    assert isinstance(store, LocalStore)
    assert store.config.durable


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the environment variable TURNOUT_STORE is not set"),
        ("{", "TURNOUT_STORE starts as a JSON object and is none"),
        ('{"root": "/a", "durabel": true}', "the settings .* are wrong: Object contains unknown field `durabel`"),
        ('{"type": "local"}', "the settings .* are wrong: Object missing required field `root`"),
    ],
)
def test_an_environment_that_names_no_store(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_environment({"TURNOUT_STORE": text})


def test_an_unsupported_scheme_is_refused() -> None:
    with pytest.raises(ArtifactError) as error:
        from_environment({"TURNOUT_STORE": "ftp://server/folder"})
    assert str(error.value) == (
        "there is no artifact store with URLs of ftp://\n"
        "  why: commits stand on create-if-absent, so a store must have passed the concurrent-writer suite\n"
        "  fix: use a path, file:// or one of s3://, s3a://, gs://, gcs://, abfs://, abfss://, az://, azure://, adl://; "
        "or install a plugin whose store passes turnout.testing.artifact_store.ArtifactStoreSuite"
    )
    with pytest.raises(ArtifactError, match="there is no artifact store of type 'tape'"):
        from_environment({"TURNOUT_STORE": '{"type": "tape", "root": "x"}'})


def test_a_store_of_a_plugin_is_chosen_by_scheme_or_type() -> None:
    class Tape(LocalStore):
        name = "tape"

    asked: list[str] = []

    def others(name: str) -> type[LocalStore]:
        asked.append(name)
        return Tape

    assert choose("tape://drive", None, others) is Tape
    assert choose("drive", "magnetic", others) is Tape
    assert asked == ["tape", "magnetic"]
    assert choose("S3://bucket", None, others) is CloudStore
    assert choose("/a/path", None, others) is LocalStore
    assert choose("file:///a/path", None, others) is LocalStore


# --- what can go wrong


def error_of(call: Any) -> str:
    with pytest.raises(ArtifactError) as error:
        call()
    assert error.value.__cause__ is None, "the client's own text may hold a signed URL"
    return str(error.value)


def every_call(store: CloudStore, tmp_path: Path) -> list[Any]:
    (tmp_path / "small").write_bytes(b"x")
    (tmp_path / "large").write_bytes(bytes(17 << 20))
    return [
        lambda: store.read("a"),
        lambda: store.create("a", b"x"),
        lambda: store.create_from("a", tmp_path / "small"),
        lambda: store.create_from("a", tmp_path / "large"),
        lambda: store.fetch("a", tmp_path / "copy"),
        lambda: store.exists("a"),
        lambda: list(store.list("a")),
        lambda: store.children("a"),
    ]


def test_a_missing_bucket(s3: str, bucket: str, tmp_path: Path) -> None:
    store = open_store(s3, "s3://no-such-bucket/team")
    assert error_of(lambda: store.create("demo/run.json", b"x")) == (
        "cannot write demo/run.json in the artifact store s3://no-such-bucket/team\n"
        "  why: there is no such bucket\n"
        "  fix: create the bucket, or correct the root in the stack"
    )
    for call in every_call(store, tmp_path):
        assert "there is no such bucket" in error_of(call)


def test_wrong_credentials(s3: str, bucket: str, tmp_path: Path) -> None:
    credentials = json.dumps({"access_key_id": "AKIAWRONG", "secret_access_key": "hush"})
    store = open_store(s3, f"s3://{bucket}", credentials=credentials)
    ask(f"{s3}/moto-api/reset-auth", "POST", b"0")
    try:
        assert error_of(lambda: store.read("demo/run.json")) == (
            f"cannot read demo/run.json in the artifact store s3://{bucket}\n"
            f"  why: {s3} refused the credentials (403 InvalidAccessKeyId)\n"
            "  fix: check them, and that they may read, write, list and delete below the root"
        )
        for call in [*every_call(store, tmp_path), lambda: store.delete("a")]:
            text = error_of(call)
            assert "refused the credentials" in text
            assert "AKIAWRONG" not in text
            assert "hush" not in text
    finally:
        ask(f"{s3}/moto-api/reset-auth", "POST", b"inf")


def test_nobody_answers(bucket: str, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    store = open_store(f"http://127.0.0.1:{port}", "s3://bucket", retries=1)
    assert error_of(lambda: store.read("demo/run.json")) == (
        "cannot read demo/run.json in the artifact store s3://bucket\n"
        f"  why: nobody answers at http://127.0.0.1:{port}\n"
        "  fix: check the endpoint, the region and the network"
    )
    for call in [*every_call(store, tmp_path), lambda: store.delete("a")]:
        assert "nobody answers" in error_of(call)


def test_an_endpoint_that_says_nothing(bucket: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = open_store(f"http://127.0.0.1:{silent.getsockname()[1]}", "s3://bucket", timeout=0.2, retries=0)
        assert "did not answer in time" in error_of(lambda: store.read("a"))
        assert "did not answer in time" in error_of(lambda: store.create("a", b"x"))


def test_no_credentials_at_all(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    nowhere = {"metadata_endpoint": "http://127.0.0.1:9"}
    store = open_store(s3, "s3://bucket", options=nowhere, retries=0)
    assert "no credentials were found" in error_of(lambda: store.read("a"))


def test_a_server_that_fails(s3: str, bucket: str) -> None:
    class Broken(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.end_headers()
            self.wfile.write(b"<Error><Code>SlowDown</Code><Message>hush</Message></Error>")

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Broken)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        store = open_store(f"http://127.0.0.1:{server.server_port}", "s3://bucket", retries=0)
        text = error_of(lambda: store.read("a"))
        assert f"http://127.0.0.1:{server.server_port} answered 503 SlowDown" in text
        assert "hush" not in text
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_plain_endpoint_must_be_allowed() -> None:
    store = CloudStore.from_url("s3://bucket", endpoint="http://localhost:9000")
    with pytest.raises(ConfigError) as error:
        store.read("a")
    assert str(error.value) == (
        "the artifact store's endpoint http://localhost:9000 is not encrypted\n"
        "  fix: use https://, or set allow_http: true"
    )


def test_an_image_without_certificates_is_told_what_it_lacks() -> None:
    said = 'Generic HTTP client error: Error { kind: Builder, source: General("No CA certificates were loaded") }'
    error = explain(RuntimeError(said), "open", "", "s3://bucket", "https://s3.example")
    assert error.why == "there are no certificates here by which a server could be trusted"
    assert "ca-certificates" in str(error.fix)


@pytest.mark.parametrize("root", ["s3://user:hush@bucket/team", "s3://bucket/team?secret_access_key=hush"])
def test_a_credential_in_the_root_is_refused_and_not_shown(root: str) -> None:
    store = CloudStore.from_url(root)
    for call in (lambda: store.read("a"), store.environment):
        with pytest.raises(ConfigError, match="has more in its URL than a bucket and a folder") as error:
            call()
        assert "hush" not in str(error.value)
    assert "hush" not in store.address


def test_a_credential_among_the_options_is_refused_and_not_shown() -> None:
    store = CloudStore.from_url("s3://bucket", options={"secret_access_key": "hush"})
    for call in (lambda: store.read("a"), store.environment):
        with pytest.raises(
            ConfigError, match="the artifact store's option 'secret_access_key' holds a credential"
        ) as e:
            call()
        assert "hush" not in str(e.value)


@pytest.mark.parametrize("option", ["colour", "read_timeout"])
def test_an_unknown_option(option: str) -> None:
    store = CloudStore.from_url("s3://bucket", options={option: "1s"})
    assert "it does not know one of the settings" in error_of(lambda: store.read("a"))


def test_the_container_of_an_azure_url_is_kept() -> None:
    store = CloudStore.from_url("abfs://data@account.dfs.core.windows.net/team")
    assert store.address == "abfs://data@account.dfs.core.windows.net/team"
    assert store.environment() == {"TURNOUT_STORE": store.address}


@pytest.mark.parametrize(("root", "extra"), [("s3://bucket", "s3"), ("gs://bucket", "gs"), ("az://container", "abfs")])
def test_without_obstore_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, root: str, extra: str) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == "obstore":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    store = CloudStore.from_url(root)
    monkeypatch.setattr(builtins, "__import__", without)
    for call in (lambda: store.read("a"), lambda: store.create("a", b""), lambda: list(store.list(""))):
        with pytest.raises(PluginError) as error:
            call()
        assert str(error.value) == (
            f"the artifact store {root} needs the package obstore\n  fix: pip install 'turnout[{extra}]'"
        )


# --- single objects by URL


def test_an_object_is_opened_by_its_url(
    s3: str, store: CloudStore, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    store.create("data/my flights.csv", b"a,b")
    open_object(f"s3://{bucket}/team/turnout/data/my%20flights.csv", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"a,b"
    with pytest.raises(ArtifactError, match="there is no object none in s3://"):
        open_object(f"s3://{bucket}/none", tmp_path / "none")
    with pytest.raises(ArtifactError, match="there is no artifact store with URLs of ftp://"):
        open_object("ftp://server/file", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_garbage_in_a_bucket_is_collected(store: CloudStore, tmp_path: Path) -> None:
    """What a run names stays, what is made again is claimed, the rest goes."""
    digests = {}
    for name in ("named", "again", "garbage"):
        blobs = Blobs(store, tmp_path / name)
        with blobs.staging() as folder:
            (folder / "data.txt").write_text(name)
            digests[name] = blobs.write(folder, "text", "str").digest
    store.create("shop/runs/r0/run.json", b"{}")
    store.create("shop/runs/r0/steps/fit/record.json", f'{{"digest": "{digests["named"]}"}}'.encode())
    claims.claim(store, digests["again"], claims.HELD)
    a_day_on = time.time() + 90_000
    assert Collection(store, [], grace=86_400).collect().freed == {}
    done = Collection(store, [], grace=86_400, now=a_day_on).collect()
    assert {kind: freed.count for kind, freed in done.freed.items()} == {"artifacts": 1}
    assert {entry.key.split("/")[1] for entry in store.list("artifacts")} == {digests["named"], digests["again"]}
    Collection(store, [("shop", "r0")], grace=0, now=a_day_on + claims.HELD).collect()
    assert list(store.list("")) == []


def test_runs_in_a_bucket_are_listed(store: CloudStore, tmp_path: Path) -> None:
    """Two machines, each with an index of its own, see what the other writes."""
    machines = [Index(store, "shop", tmp_path / name) for name in ("one", "other")]
    try:
        for number in range(3):
            assert [len(index.runs()) for index in machines] == [number, number]
            info = RunInfo(
                id=f"r{number}", project="shop", pipeline="flow", plan="", created=f"2026-01-0{number + 1}", stack="s",
                orchestrator="local", instance="default", engine_run=str(number),
            )  # fmt: skip
            store.create(f"shop/runs/r{number}/run.json", records.encode(info))
            for index in machines:
                index.close()  # what is open is not read again
        assert [one.info.id for one in machines[1].runs()] == ["r2", "r1", "r0"]
    finally:
        for index in machines:
            index.close()
