"""Signing in to a live Airflow that speaks TLS, and what is said where that, or a DAG file, goes wrong."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from airflow_server import AirflowServer
from commands import Project
from installed import need

PASSWORD = "pass word'\"$(id) ☃"
ENVIRON = {"AIRFLOW_PASSWORD": PASSWORD, "EVE": "eves own", "WRONG": "wrong and secret", "OLD_TOKEN": "an.old.token"}
MINE = {"user": "ann", "password": "${secret:AIRFLOW_PASSWORD}"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a certificate of 127.0.0.1, its key, and the authority that signed it."""
    made, file = trustme.CA(), tmp_path_factory.mktemp("tls") / "server.pem"
    one = made.issue_cert("127.0.0.1")
    parts = [one.private_key_pem, *one.cert_chain_pems, made.cert_pem]
    file.write_bytes(b"".join(part.bytes() for part in parts))
    return file


@pytest.fixture(scope="module")
def guarded(authority: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    """An Airflow that asks for a password, over TLS; nothing parses DAG files yet."""
    need("apache-airflow", "3.3")
    folder = tmp_path_factory.mktemp("guarded")
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps({"ann": PASSWORD, "eve": ENVIRON["EVE"]}))
    settings = {
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": "ann:admin,eve:viewer",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }
    parts = ("api-server", "scheduler")
    with AirflowServer(folder / "airflow", parts=parts, certificate=authority, settings=settings) as server:
        server.token = _token(server, authority)
        yield server


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project, its commands with the secrets in their environment."""
    folder = tmp_path_factory.mktemp("sign-in")
    made = Project(Path(__file__).parent / "airflow_project", folder / "project", folder / "cache")
    made.environment.update(ENVIRON)
    return made


def test_signed_in_over_tls_a_run_waits_for_its_file_and_then_ends_well(
    guarded: AirflowServer, authority: Path, project: Project, tmp_path: Path
) -> None:
    (tmp_path / "go").touch()
    words = ("behaviour.py:patient", "-p", f"scratch={tmp_path}")
    said = _refused(project, guarded, *words, ca=str(authority), code=1, parse_timeout=2, **MINE)
    assert "Airflow has not parsed the DAG proof.patient.run in 2 s" in said
    assert "check that its DAG processor runs and reads dags_folder" in said
    guarded.start("dag-processor")
    _stack(project, guarded, ca=str(authority), **MINE)
    run = project.json("run", *words, "--stack", "airflow")
    assert run["state"] == "succeeded"
    assert "held: 1" in project.call("runs", "logs", run["run"], "tell", "--stack", "airflow")
    said = _refused(project, guarded, *words, ca=str(authority), user="eve", password="${secret:EVE}")
    assert "refuses to PATCH /dags/proof.patient.run (403)" in said
    assert "of an Airflow user who may do that" in said
    given = {"ca": str(authority), "token": "${secret:GOOD_TOKEN}"}
    _stack(project, guarded, **given)
    listed = project.call("runs", "list", "--stack", "airflow", GOOD_TOKEN=guarded.token)
    assert "succeeded" in listed
    again = json.loads(project.call("run", *words, "--stack", "airflow", "--json", GOOD_TOKEN=guarded.token))
    assert again["state"] == "succeeded"
    kept = "".join(
        path.read_text(errors="replace") for path in (project.folder / ".turnout").rglob("*") if path.is_file()
    )
    kept += "".join(path.read_text(errors="replace") for path in guarded.dags.rglob("*") if path.is_file())
    assert not [secret for secret in (PASSWORD, guarded.token) if secret in kept or json.dumps(secret)[1:-1] in kept]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("(401)", "set `token`, or `user` and `password`")),
        ({**MINE, "password": "${secret:WRONG}"}, ("/auth/token (401)", "set `token`, or `user` and `password`")),
        ({"token": "${secret:OLD_TOKEN}"}, ("(403)", "Invalid JWT token", "set `token`, or `user` and `password`")),
        ({"ca": "", **MINE}, ("shows a certificate that is not trusted here", "orchestrator.ca")),
        ({"scheme": "http", **MINE}, ("no Airflow answers at http://", "check the stack's orchestrator.url")),
        ({"path": "/nowhere", **MINE}, ("is no Airflow", "check the stack's orchestrator.url")),
    ],
    ids=["nobody", "wrong-password", "old-token", "untrusted", "no-tls", "wrong-path"],
)
def test_what_is_refused_says_what_to_do(
    guarded: AirflowServer, authority: Path, project: Project, settings: dict[str, Any], expected: tuple[str, ...]
) -> None:
    said = _refused(project, guarded, "behaviour.py:patient", "-p", "scratch=x", **{"ca": str(authority), **settings})
    assert not [part for part in expected if part not in said], said


def test_an_airflow_that_is_not_there(airflow_server: Any, project: Project) -> None:
    _stack(project, airflow_server, url="http://127.0.0.1:9")
    said = project.call("run", "behaviour.py:patient", "-p", "scratch=x", "--stack", "airflow", code=2)
    assert "no Airflow answers at http://127.0.0.1:9" in said
    assert "check the stack's orchestrator.url, and that the API server runs" in said


def test_a_file_that_airflow_cannot_import(airflow_server: Any, project: Project) -> None:
    project.stack("broken", airflow_server.orchestrator)
    stack = json.loads((project.folder / "stacks" / "broken.yaml").read_text())
    stack["steps"] = {"hold": {"airflow": {"executor": "NoSuchExecutor"}}}
    (project.folder / "stacks" / "broken.yaml").write_text(json.dumps(stack))
    try:
        said = project.call("run", "behaviour.py:patient", "-p", "scratch=x", "--stack", "broken", code=1)
    finally:
        project.call("unpublish", "behaviour.py:patient", "--stack", "broken")
    assert "Airflow cannot import" in said
    assert "NoSuchExecutor" in said
    airflow_server.wait_until(lambda: not airflow_server.call("GET", "/importErrors")["import_errors"], 60, "it to go")


def _token(server: AirflowServer, authority: Path) -> str:
    import ssl

    request = urllib.request.Request(
        f"{server.url}/auth/token",
        json.dumps({"username": "ann", "password": PASSWORD}).encode(),
        {"Content-Type": "application/json"},
    )
    trusted = ssl.create_default_context(cafile=str(authority))
    with urllib.request.urlopen(request, context=trusted) as answer:
        return str(json.load(answer)["access_token"])


def _stack(project: Project, server: Any, scheme: str = "", path: str = "", **settings: Any) -> None:
    url = settings.pop("url", server.url.replace("https", scheme or "https") + path)
    given = {"type": "airflow", "url": url, "dags_folder": str(server.dags), "python": sys.executable, **settings}
    project.stack("airflow", given)


def _refused(project: Project, server: Any, *words: str, code: int = 2, **settings: Any) -> str:
    """What is said by a run that is refused; no secret is."""
    _stack(project, server, **settings)
    said = project.call("run", *words, "--stack", "airflow", code=code)
    assert not [value for value in ENVIRON.values() if value in said]
    return said
