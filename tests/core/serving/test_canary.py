"""A canary of the local deployer: other code or other packages than the live version's, in processes of its own."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import psutil
import pytest
from waiting import until
from wheels import make_wheel

from turnout.base.errors import DeployError
from turnout.serving.app import App, Limits
from turnout.serving.canary import Canary
from turnout.serving.local import LocalDeployer, LocalDeployerConfig
from turnout.serving.service import Service
from turnout.testing.endpoints import PIPELINE, make_served

OLD = PIPELINE.replace("@step\ndef scaled(", "@step(batchable=True)\ndef scaled(").replace(
    "    return [x * factor + plus for x",
    "    try:\n        import tn_shape\n        plus += float(tn_shape.version)\n    except ImportError:\n        pass\n"
    "    return [x * factor + plus for x",
)
NEW = OLD.replace("factor + plus", "factor + plus + 100")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def old(folder):
    return make_served(folder, OLD)


@pytest.fixture(scope="module")
def new(folder, old):
    """The same endpoint after a step was edited, and the pipeline run again."""
    return make_served(folder, NEW)


@pytest.fixture
def deployer(tmp_path):
    deployer = LocalDeployer(LocalDeployerConfig(folder=str(tmp_path / "endpoints"), workers=2))
    yield deployer
    deployer.delete("double")


def deploy(deployer, version, share=1.0):
    plan = version.endpoint
    return deployer.deploy(plan, deployer.compile(plan), version.store, share=share).url


def ask(url, key, xs=(1.0, 2.5), path="/predict", body=None):
    """Which version answers about a row id, and what."""
    data = json.dumps(body or {"rows": [{"x": x} for x in xs]}).encode()
    with urllib.request.urlopen(urllib.request.Request(url + path, data, {"X-Row-Id": key})) as response:
        return response.headers["X-Turnout-Version"], json.load(response)


def asked(url):
    """Which version answers about each of some row ids, and what it answers: many at once."""
    keys = [f"row {n}" for n in range(60)]
    with ThreadPoolExecutor(12) as pool:
        answers = pool.map(lambda n: ask(url, keys[n], (n, n + 0.5)), range(60))
    return dict(zip(keys, answers, strict=True))


def name(version):
    return version.endpoint.digest[:12]


def as_due(answers, more):
    """Whether each is what its version answers to these rows, which adds so much to each."""
    return all(
        answer == {"predictions": [2 * n + more[version], 2 * n + 1 + more[version]]}
        for n, (version, answer) in enumerate(answers.values())
    )


def workers(deployer):
    """The processes that clients reach, and those of the canary."""
    known = json.loads(deployer._folder("double").processes.read_text())
    front, behind = [], []
    for one in psutil.Process(known["processes"]["supervisor"]["pid"]).children():
        with suppress(psutil.NoSuchProcess, ProcessLookupError, KeyError):  # it has just ended or started
            number = int(one.environ()["TURNOUT_SERVING_WORKER"].partition("-")[2])
            (front if number < 2 else behind).append(one)
    return front, behind


def counted(url):
    """The requests that were counted, by version and class of status."""
    with urllib.request.urlopen(f"{url}/metrics") as response:
        lines = response.read().decode().splitlines()
    labels = [line.split("}") for line in lines if line.startswith("turnout_request_seconds_count{")]
    found = Counter()
    for text, value in labels:
        given = dict(part.replace('"', "").split("=") for part in text.partition("{")[2].split(","))
        found[given["version"], given["code"]] += float(value)
    return found


def has(deployer, front, behind):
    """Whether so many processes are there by now: those of generations before have ended."""
    return list(map(len, workers(deployer))) == [front, behind]


def beside(deployer, version, share, more):
    """Deploy a version as a canary of the live one; the answers by row id, some of each, as the two versions give them.

    Args:
        more: what the versions add to an answer, by their names.
    """
    url = deployer.status("double").url
    assert deploy(deployer, version, share) == url
    until(lambda: has(deployer, 2, 1))
    answers = asked(url)
    assert as_due(answers, more)
    assert {one for one, _ in answers.values()} == more.keys()
    return answers


def only(url, version):
    """Whether one version answers everything by now."""
    return {one for one, _ in asked(url).values()} == {name(version)}


@pytest.fixture
def folders(monkeypatch):
    """Where processes have their temporary folders."""
    with TemporaryDirectory() as short:
        monkeypatch.setenv("TMPDIR", short)
        yield Path(short)


def test_two_versions_of_the_code_answer_side_by_side(deployer, old, new, folders):
    more = {name(old): 0, name(new): 100}
    url = deploy(deployer, old)
    answers = beside(deployer, new, 0.3, more)
    shares = Counter(version for version, _ in answers.values())
    assert shares[name(new)] < shares[name(old)]
    assert asked(url) == answers  # the same row id, the same version
    due = {(one, "2xx"): 2.0 * count for one, count in shares.items()}
    until(lambda: {key: count for key, count in counted(url).items() if count} == due)
    key = next(key for key, (version, _) in answers.items() if version == name(new))
    infer = {"id": "7", "inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [4.0]}]}
    version, answer = ask(url, key, path="/v2/models/double/infer", body=infer)
    assert (version, answer["model_version"], answer["id"]) == (name(new), name(new), "7")
    assert answer["outputs"][0]["data"] == [108.0]
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(url, key, ("far",))
    with refused.value as response:
        assert (response.code, json.load(response)["error"]["where"]) == (422, "rows[0].x")
        assert response.headers["X-Turnout-Version"] == name(new)
    deployer.promote("double")
    until(lambda: has(deployer, 2, 0))
    assert only(url, new)
    beside(deployer, old, 0.3, more)  # the other way round
    deployer.rollback("double")
    until(lambda: has(deployer, 2, 0))
    assert only(url, new)
    deployer.rollback("double")
    until(lambda: only(url, old))
    deployer.delete("double")
    assert list(folders.iterdir()) == []


def test_a_canary_that_cannot_start_leaves_the_live_version_alone(deployer, old, new):
    with pytest.raises(DeployError, match="no live version"):
        deploy(deployer, old, 0.5)
    url = deploy(deployer, old)
    with pytest.raises(DeployError, match="already, and a canary is another one"):
        deploy(deployer, old, 0.5)
    code = msgspec.structs.replace(new.endpoint.code, digest="0" * 64)
    broken = msgspec.structs.replace(new, endpoint=msgspec.structs.replace(new.endpoint, code=code))
    with pytest.raises(DeployError, match="the version before goes on answering"):
        deploy(deployer, broken, 0.5)
    until(lambda: has(deployer, 2, 0))
    assert [one.version for one in deployer.status("double").versions] == [old.endpoint.digest]
    assert only(url, old)


def test_a_killed_worker_of_a_canary_is_started_again_and_ends_with_the_endpoint(deployer, old, new):
    url = deploy(deployer, old)
    deploy(deployer, new, 0.5)
    until(lambda: has(deployer, 2, 1))
    answers = asked(url)
    key, other = (next(key for key, (one, _) in answers.items() if one == name(version)) for version in (new, old))
    workers(deployer)[1][0].kill()
    assert ask(url, other)[0] == name(old)
    assert ask(url, key)[0] == name(new)  # it waits until there is one
    processes = [one for group in workers(deployer) for one in group]
    deployer.delete("double")
    assert len(processes) == 3
    assert not any(one.is_running() for one in processes)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"])
def test_a_canary_that_ends_while_it_answers_is_told(old, tmp_path, said):
    async def end(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async def receive():
        return {"type": "http.request", "body": b"[]"}

    async def answer(address):
        service = Service(old.endpoint, old.store, tmp_path)
        app = App(service, Limits(), Canary(old.endpoint, 1.0, address))
        response = await app._answer({"headers": [], "path": "/predict"}, receive, None, None)
        return response.status_code, app.metrics.text().decode()

    async def both():
        with TemporaryDirectory() as short:
            address = f"{short}/canary"
            nobody = await answer(address)
            async with await asyncio.start_unix_server(end, address):
                return nobody, await answer(address)

    for status, metrics in asyncio.run(both()):
        assert status == 503
        assert f'{{code="5xx",endpoint="double",version="{name(old)}"}} 1.0' in metrics


@pytest.mark.slow
def test_two_environments_answer_side_by_side(deployer, old, new, tmp_path, monkeypatch):
    make_wheel(tmp_path, "tn_shape", "7.0")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    locked = msgspec.structs.replace(new.endpoint.environment, pins=("tn-shape==7.0",))
    other = msgspec.structs.replace(new, endpoint=msgspec.structs.replace(new.endpoint, environment=locked))
    more = {name(old): 0, name(other): 107}
    url = deploy(deployer, old)
    beside(deployer, other, 0.5, more)
    deployer.promote("double")
    until(lambda: has(deployer, 2, 0))
    assert only(url, other)
    beside(deployer, old, 0.5, more)  # the other way round
