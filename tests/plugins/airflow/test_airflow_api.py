"""The REST API as it may answer: each mistake of a stack names what to do. A stand-in answers, on loopback."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from turnout.engines import http
from turnout.plugin_api import Change, ConfigError, Placed, RunError, Submission
from turnout.plugin_api import Options as RunOptions
from turnout.stores.local import LocalStore
from turnout.testing.plans import sample_plan, sample_step
from turnout_airflow import run as runs
from turnout_airflow.api import Api
from turnout_airflow.orchestrator import AirflowOrchestrator
from turnout_airflow.settings import AirflowSettings

DAG = "sample.sample"
OLD = {"filename": f"{DAG}/sample_dag.py", "timestamp": "2020-01-01T00:00:00Z", "stack_trace": "ImportError: old"}
NEW = {**OLD, "timestamp": "2999-01-01T00:00:00+00:00", "stack_trace": "Traceback\nImportError: no DAG in airflow"}
OTHER = {**NEW, "filename": "elsewhere/sample_dag.py", "stack_trace": "other"}


class Server:
    """Answers by ``answers``: ``METHOD /path`` to a status and a document, or to a function of what was sent."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                sent = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
                path = urlsplit(self.path).path
                server.asked.append((self.command, path, sent, self.headers.get("Authorization")))
                given = server.answers.get(f"{self.command} {path}", (404, {"detail": "not found"}))
                status, document = given(sent, self.headers) if callable(given) else given
                data = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = answer

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def server():
    one = Server()
    yield one
    one.close()


@pytest.fixture
def api(server):
    return Api(AirflowSettings(url=server.url))


def test_no_url():
    with pytest.raises(ConfigError, match="the stack gives no URL of Airflow"):
        Api(AirflowSettings())
    with pytest.raises(ConfigError, match="'file:///etc/passwd' is not the URL of an Airflow"):
        Api(AirflowSettings(url="file:///etc/passwd"))


def test_nothing_answers():
    gone = Server()
    gone.close()
    with pytest.raises(ConfigError, match=f"no Airflow answers at {gone.url}"):
        Api(AirflowSettings(url=gone.url)).call("GET", "/dags")


def test_something_else_answers(server, api):
    server.answers["GET /api/v2/dags"] = 200, b"<html>"
    with pytest.raises(ConfigError, match="is no Airflow: /api/v2/dags gives no JSON"):
        api.call("GET", "/dags")


def test_it_signs_in_when_it_is_first_refused(server):
    def answer(_, headers):
        return (200, {"dags": []}) if headers["Authorization"] == "Bearer t0ken" else (401, {"detail": "who are you"})

    server.answers["GET /api/v2/dags"] = answer
    server.answers["POST /auth/token"] = 201, {"access_token": "t0ken"}
    signed = Api(AirflowSettings(url=server.url, user="ann", password="s3cret"))
    assert signed.call("GET", "/dags") == {"dags": []}
    assert signed.call("GET", "/dags") == {"dags": []}
    assert [path for _, path, *_ in server.asked] == ["/api/v2/dags", "/auth/token", "/api/v2/dags", "/api/v2/dags"]
    assert Api(AirflowSettings(url=server.url, token="t0ken")).call("GET", "/dags") == {"dags": []}
    with pytest.raises(ConfigError, match=r"refuses to GET /dags \(401\)") as caught:
        Api(AirflowSettings(url=server.url)).call("GET", "/dags")
    assert "who are you" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "given"), [(201, {"access_token": "t0ken"}), (403, {"detail": "sign in"}), (200, b"<html>"), (200, {})]
)
def test_an_airflow_without_sign_in_may_give_everybody_a_token(server, status, given):
    def answer(_, headers):
        return (200, {"dags": []}) if headers["Authorization"] == "Bearer t0ken" else (401, {"detail": "who are you"})

    server.answers["GET /api/v2/dags"] = answer
    server.answers["GET /auth/token"] = status, given
    everybody = Api(AirflowSettings(url=server.url))
    if status == 201:
        assert everybody.call("GET", "/dags") == {"dags": []}
        assert everybody.call("GET", "/dags") == {"dags": []}
        assert [path for _, path, *_ in server.asked] == ["/api/v2/dags", "/auth/token", "/api/v2/dags", "/api/v2/dags"]
    else:
        with pytest.raises(ConfigError, match=r"refuses to GET /dags \(401\)") as caught:
            everybody.call("GET", "/dags")
        assert "who are you" in str(caught.value)


def test_a_wrong_password_is_not_shown(server):
    server.answers["GET /api/v2/dags"] = 401, {"detail": "no"}
    server.answers["POST /auth/token"] = 401, {"detail": "wrong"}
    with pytest.raises(ConfigError) as caught:
        Api(AirflowSettings(url=server.url, user="ann", password="s3cret")).call("GET", "/dags")
    assert "s3cret" not in str(caught.value)
    assert "set `token`, or `user` and `password`" in str(caught.value)


@pytest.mark.parametrize(("status", "kind"), [(422, ConfigError), (409, ConfigError), (500, RunError)])
def test_other_refusals(server, api, status, kind):
    server.answers["POST /api/v2/dags/x/dagRuns"] = status, {"detail": "Invalid input for param depth"}
    with pytest.raises(kind, match="Invalid input for param depth"):
        api.call("POST", "/dags/x/dagRuns", {})


def test_waiting_for_a_version(server, api):
    placed = Placed(DAG, f"/dags/{DAG}", 0.0)
    server.answers["GET /api/v2/importErrors"] = 200, {"import_errors": []}
    tags = iter([
        (404, {}),
        (200, {"is_stale": False, "tags": [{"name": "turnout:old"}]}),
        (200, {"is_stale": True, "tags": [{"name": "turnout:new"}]}),
        (200, {"is_stale": False, "tags": [{"name": "turnout:new"}]}),
    ])  # fmt: skip
    server.answers[f"GET /api/v2/dags/{DAG}"] = lambda *_: next(tags)
    api.wait_parsed(DAG, "turnout:new", placed, 60)
    assert next(tags, None) is None, "a DAG that Airflow has lost is waited for, though it bears the version"
    server.answers[f"GET /api/v2/dags/{DAG}"] = 200, {"is_stale": False, "tags": []}
    with pytest.raises(RunError, match=r"has not parsed the new version of the DAG sample\.sample in 0\.1 s"):
        api.wait_parsed(DAG, "turnout:new", placed, 0.1)


def test_an_import_error_of_this_file_ends_the_wait(server, api):
    placed = Placed(DAG, f"/dags/{DAG}", time.time())
    answers = iter([[OTHER], [OTHER, NEW]])
    server.answers["GET /api/v2/importErrors"] = lambda *_: (200, {"import_errors": next(answers)})
    with pytest.raises(RunError, match="ImportError: no DAG in airflow"):
        api.wait_parsed(DAG, "turnout:new", placed, 60)
    assert next(answers, None) is None


def test_an_import_error_from_before_is_not_that_of_the_new_file(server, api):
    placed = Placed(DAG, f"/dags/{DAG}", time.time())
    under_way = {**OLD, "timestamp": "2998-01-01T00:00:00Z"}  # recorded after the file was written, of the one before
    mended = iter([[OLD], [OLD], [under_way], [under_way]])
    tags = iter([404, 404, 404, 404, 200])
    server.answers["GET /api/v2/importErrors"] = lambda *_: (200, {"import_errors": next(mended)})
    server.answers[f"GET /api/v2/dags/{DAG}"] = lambda *_: (
        next(tags), {"is_stale": False, "tags": [{"name": "turnout:new"}]}
    )  # fmt: skip
    api.wait_parsed(DAG, "turnout:new", placed, 60)
    del server.answers[f"GET /api/v2/dags/{DAG}"]
    still = iter([[OLD], [under_way], [NEW]])
    server.answers["GET /api/v2/importErrors"] = lambda *_: (200, {"import_errors": next(still)})
    with pytest.raises(RunError, match="ImportError: no DAG in airflow"):
        api.wait_parsed(DAG, "turnout:new", placed, 60)
    server.answers["GET /api/v2/importErrors"] = 200, {"import_errors": [under_way]}
    with pytest.raises(RunError, match="ImportError: old"):
        api.wait_parsed(DAG, "turnout:new", placed, 0.1)


def test_pools_that_would_hold_a_step_up_for_ever(server, tmp_path):
    settings = AirflowSettings(url=server.url, dags_folder=str(tmp_path), parse_timeout=0.1)
    step = sample_step("fit", options={"airflow": {"pool": "big ones", "pool_slots": 3}})
    other = sample_step("load", options={"airflow": {"pool": "big ones"}})
    orchestrator, plan = AirflowOrchestrator(settings), sample_plan(other, step)

    def publish():
        orchestrator.publish(plan, orchestrator.compile(plan), LocalStore.from_url(str(tmp_path / "store")))

    with pytest.raises(RunError, match="Airflow has no pool 'big ones', which the step fit takes a slot of") as caught:
        publish()
    assert "airflow pools set 'big ones' 3 turnout" in str(caught.value)
    assert list(tmp_path.iterdir()) == [], "nothing was placed"
    server.answers["GET /api/v2/pools/big%20ones"] = 200, {"slots": 2}
    with pytest.raises(RunError, match="the step fit takes 3 slots of the pool 'big ones', which has 2"):
        publish()
    server.answers["GET /api/v2/importErrors"] = 200, {"import_errors": []}
    for answer in [(200, {"slots": 3}), (200, {"slots": -1}), (403, {"detail": "may not ask"})]:
        server.answers["GET /api/v2/pools/big%20ones"] = answer
        with pytest.raises(RunError, match="has not parsed"):
            publish()


def task(name, state, index=-1, tries=1):
    ends = {"start_date": "2026-11-28T17:00:00.250000Z", "end_date": "2026-11-28T17:00:01.750000Z", "duration": 2.5}
    if state in {None, "running"}:
        ends = {**ends, "end_date": None, "duration": None}
    return {"task_id": name, "map_index": index, "state": state, "try_number": tries, **ends}


def following(server, monkeypatch, looks, poll=0.0):
    """A run that shows the tasks of one look after the other."""
    monkeypatch.setattr(runs, "POLL", poll)
    states, pages = iter([state for state, _ in looks]), iter([found for _, found in looks])
    server.answers[f"GET /api/v2/dags/{DAG}/dagRuns/r"] = lambda *_: (200, {"state": next(states)})
    server.answers[f"GET /api/v2/dags/{DAG}/dagRuns/r/taskInstances"] = lambda *_: (
        200,
        {"task_instances": (found := next(pages)), "total_entries": len(found)},
    )
    server.answers[f"GET /api/v2/dags/{DAG}"] = 200, {"is_paused": False}
    told = []
    plan = sample_plan(sample_step("one"), sample_step("two"))
    return runs.AirflowRun(runs.DagRun(Api(AirflowSettings(url=server.url)), DAG, "r"), plan, "", told.append), told


def test_changes_are_told_once(server, monkeypatch):
    looks = [
        ("queued", [task("one", None), task("two", None)]),
        ("running", [task("one", "running"), task("two", None)]),
        ("running", [task("one", "up_for_retry"), task("two", None)]),
        ("running", [task("one", "success", tries=2), task("two", "success", 0), task("two", "running", 1)]),
        ("failed", [task("one", "success", tries=2), task("two", "success", 0), task("two", "failed", 1),
                    task("finish-run", "success")]),
    ]  # fmt: skip
    handle, told = following(server, monkeypatch, looks)
    assert handle.wait(60) == "failed"
    assert handle.wait() == "failed"
    assert told == [
        Change("one", None, "running"),
        Change("one", None, "retrying"),
        Change("one", None, "succeeded", seconds=1.5, number=2),
        Change("two", 0, "succeeded", seconds=1.5, total=2),
        Change("two", 1, "running", total=2),
        Change("two", 1, "failed", seconds=1.5, total=2),
    ]


def test_a_dag_that_was_paused_is_named(server, monkeypatch):
    handle, told = following(server, monkeypatch, [("running", [task("one", None)])] * (runs.AirflowRun.patience + 1))
    server.answers[f"GET /api/v2/dags/{DAG}"] = 200, {"is_paused": True}
    with pytest.raises(RunError, match=r"the DAG sample\.sample is paused, so the run r does not go on"):
        handle.wait(60)
    looks = [("running", [task("one", None)]), ("running", [task("one", "running")]), ("success", [])]
    handle, told = following(server, monkeypatch, looks)
    assert handle.wait(60) == "succeeded"
    assert [change.state for change in told] == ["running"]


def test_waiting_gives_up_when_told_to(server, monkeypatch):
    handle, _ = following(server, monkeypatch, [("running", [])], poll=3600.0)
    begun = time.monotonic()
    assert handle.wait(0.05) == "running"
    assert time.monotonic() - begun < 60


def test_a_submission_becomes_the_configuration_of_a_run(server, tmp_path):
    settings = AirflowSettings(url=server.url, dags_folder=str(tmp_path))
    orchestrator, plan = AirflowOrchestrator(settings), sample_plan()
    file = None

    def parsed(*_):
        nonlocal file
        file = (tmp_path / f"{DAG}.run" / "sample_dag.py").read_text()
        return 200, {"is_stale": False, "tags": [{"name": file.split('tags=["')[1].split('"')[0]}]}

    server.answers[f"GET /api/v2/dags/{DAG}.run"] = parsed
    server.answers[f"PATCH /api/v2/dags/{DAG}.run"] = 200, {}
    server.answers[f"POST /api/v2/dags/{DAG}.run/dagRuns"] = 200, {}
    submission = Submission(params={"big": 2**70}, options=RunOptions(uuid="u", at="2026-01-01T00:00:00Z"))
    store = LocalStore.from_url(str(tmp_path / "store"))
    handle = orchestrator.submit(plan, orchestrator.compile(plan), submission, store)
    assert handle.engine_run == "turnout__u"
    (body,) = (sent for method, _, sent, _ in server.asked if method == "POST")
    assert body == {
        "dag_run_id": "turnout__u",
        "logical_date": None,
        "conf": {
            "big": str(2**70),
            "turnout.options": {
                "uuid": "u",
                "at": "2026-01-01T00:00:00Z",
                "engine_url": f"{server.url}/dags/{DAG}.run/runs/turnout__u",
            },
        },
    }
    assert 'dag_id="sample.sample.run"' in file


def test_a_call_that_changes_nothing_twice_is_made_again(server, api, monkeypatch):
    monkeypatch.setattr(http, "PAUSE", 0.0)
    locked = [(500, {"detail": "database is locked"})] * (http.TRIES - 1)
    answers = iter([*locked, (200, {"is_paused": False})])
    server.answers[f"PATCH /api/v2/dags/{DAG}"] = lambda *_: next(answers)
    assert api.call("PATCH", f"/dags/{DAG}", {"is_paused": False}) == {"is_paused": False}
    server.answers[f"POST /api/v2/dags/{DAG}/dagRuns"] = locked[0]
    with pytest.raises(RunError, match="database is locked"):
        api.call("POST", f"/dags/{DAG}/dagRuns", {})
    assert [method for method, *_ in server.asked] == ["PATCH"] * http.TRIES + ["POST"]


@pytest.mark.parametrize("came_to_be", [True, False])
def test_a_run_is_started_once(server, api, monkeypatch, came_to_be):
    monkeypatch.setattr(http, "PAUSE", 0.0)
    answers = iter([(500, {"detail": "database is locked"}), (200, {})])
    server.answers[f"POST /api/v2/dags/{DAG}/dagRuns"] = lambda *_: next(answers)
    if came_to_be:
        server.answers[f"GET /api/v2/dags/{DAG}/dagRuns/r"] = 200, {}
    api.start(DAG, "r", {"number": 1})
    expected = ["POST", "GET"] if came_to_be else ["POST", "GET", "POST"]
    assert [method for method, *_ in server.asked] == expected
    server.answers[f"POST /api/v2/dags/{DAG}/dagRuns"] = 404, {"detail": "no such DAG"}
    with pytest.raises(RunError, match="no such DAG"):
        api.start(DAG, "r", {})


def test_airflow_may_fail_to_answer_now_and_then(server, monkeypatch):
    monkeypatch.setattr(http, "TRIES", 1)
    handle, told = following(server, monkeypatch, [("success", [task("one", "success")])])
    path = f"GET /api/v2/dags/{DAG}/dagRuns/r"
    right, answers = server.answers[path], iter([500] * runs.AirflowRun.patience)
    server.answers[path] = lambda *given: (status, {}) if (status := next(answers, None)) else right(*given)
    assert handle.wait(60) == "succeeded"
    assert [change.state for change in told] == ["succeeded"]
    handle, _ = following(server, monkeypatch, [])
    server.answers[path] = 500, {"detail": "database is locked"}
    with pytest.raises(RunError, match="database is locked"):
        handle.wait(60)


def test_it_signs_in_again_when_its_token_has_expired(server):
    tokens = iter(["first", "second"])
    valid = []

    def sign_in(*_):
        valid[:] = [next(tokens)]
        return 201, {"access_token": valid[0]}

    def answer(_, headers):
        return (200, {}) if headers["Authorization"] in [f"Bearer {one}" for one in valid] else (401, {})

    server.answers["GET /api/v2/dags"] = answer
    server.answers["POST /auth/token"] = sign_in
    signed = Api(AirflowSettings(url=server.url, user="ann", password="s3cret"))
    signed.call("GET", "/dags")
    valid.clear()
    signed.call("GET", "/dags")
    assert valid == ["second"]
    with pytest.raises(ConfigError, match="401"):
        Api(AirflowSettings(url=server.url, user="ann", password="s3cret", token="old")).call("GET", "/dags")


def test_a_file_of_certificates_that_is_none(tmp_path):
    (tmp_path / "ca.pem").write_text("none")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(ConfigError, match="cannot be read as certificates"):
            Api(AirflowSettings(url="https://127.0.0.1:1", ca=str(tmp_path / name)))


def test_a_log_tells_of_exceptions(server):
    plan = sample_plan()
    (step,) = plan.by_name
    path = f"GET /api/v2/dags/{DAG}/dagRuns/r/taskInstances"
    server.answers[path] = 200, {"task_instances": [task(step, "failed")], "total_entries": 1}
    raised = {"exc_type": "AirflowTaskTimeout", "exc_value": "Timeout, PID: 1"}
    content = [{"event": "begun"}, {"event": "Task failed", "error_detail": [raised]}]
    server.answers[f"{path}/{step}/logs/1"] = 200, {"content": content}
    lines = AirflowOrchestrator(AirflowSettings(url=server.url)).logs(plan, "r", step)
    assert list(lines) == ["begun", "Task failed", "AirflowTaskTimeout: Timeout, PID: 1"]
