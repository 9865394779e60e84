"""What `turnout stack check` finds missing: tools, servers, secrets, folders; all at once, each with its place and fix."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from turnout import builtin
from turnout.components.base import Config, ExistingPath, HostPort, Secret, Uri, Url
from turnout.components.hookspecs import hookimpl
from turnout.components.orchestrator import Orchestrator
from turnout.components.registry import Registry
from turnout.components.tracker import Tracker, TrackerConfig
from turnout.project.project import Project
from turnout.stack import addresses, tools
from turnout.stack.check import check


class EngineSettings(Config, frozen=True):
    """Settings of the engine."""

    url: Url = ""
    jobs: HostPort = ""
    certificates: ExistingPath = ""
    token: Secret = ""


class TaskOptions(Config, frozen=True):
    """Options of a step."""

    pool: str = ""


class Engine(Orchestrator[EngineSettings]):
    """An engine elsewhere."""

    name = "engine"
    Config = EngineSettings
    options = TaskOptions

    def compile(self, plan: Any) -> Any: ...

    def submit(self, plan: Any, bundle: Any, submission: Any, store: Any) -> Any: ...


class BoardSettings(TrackerConfig, frozen=True):
    """Settings of the tracker."""

    uri: Annotated[Uri, msgspec.Meta(description="Where it is.")] = ""
    token: Secret = ""


class Board(Tracker[BoardSettings]):
    """A tracker."""

    name = "board"
    Config = BoardSettings

    def begin(self, run: Any, *, claimed: bool) -> str: ...

    def log(self, batch: Any) -> None: ...

    def finish(self, run: Any, external_id: str, state: Any) -> None: ...


class Plugin:
    """Brings both."""

    __name__ = "plugin"

    @hookimpl
    def turnout_orchestrators(self) -> list[Any]:
        return [Engine]

    @hookimpl
    def turnout_trackers(self) -> list[Any]:
        return [Board]


@pytest.fixture
def closed() -> Iterator[int]:
    """A port that nobody listens at, and nobody else can take."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def open_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    needed = {"board": tools.Missing("board-tool>=2", "plugin", "pip install 'turnout-board[board]'")}
    monkeypatch.setattr(
        tools, "missing", lambda kind, extra="": iter([needed[kind.name]] if kind.name in needed else [])
    )
    (tmp_path / "stacks").mkdir()

    def find(text: str, **options: Any) -> list[str]:
        (tmp_path / "stacks/s.yaml").write_text(text)
        registry = Registry([builtin, Plugin()], installable={})
        found = check("s", Project(root=tmp_path, name="p"), registry, {"there": "x"}, **options)
        return [
            "\n".join([f"{f.level}: {f.where}: {f.what}", f"  why: {f.why}", f"  fix: {f.fix}"]).replace(
                str(tmp_path), "…"
            )
            for f in found
        ]

    return find


WRONG = """extends: local
trackr: {type: none}
orchestrator:
  type: engine
  urll: x
  url: "http://localhost:8099x"
  jobs: "localhost"
  certificates: ca.pem
  token: "${secret:gone}"
tracker: {type: board, uri: "http://127.0.0.1:PORT", token: "${secret:gone}"}
secrets: {type: files, folder: nowhere}
"""


def test_all_is_found_at_once_each_with_its_place(findings, closed: int, snapshot: object) -> None:
    found = [one.replace(str(closed), "PORT") for one in findings(WRONG.replace("PORT", str(closed)))]
    assert found == snapshot


ELSEWHERE = """extends: locl
environment:
  index_url: "http://127.0.0.1:PORT/simple"
  extra_index_urls: ["http://127.0.0.1:PORT/more"]
  find_links: [wheelz, "https://example.org/wheels"]
secrets: {type: nowhere}
observers: [{type: jsonl, path: "${secret:gone}"}]
artifact_store: "store/here"
"""


def test_what_packages_need_and_what_is_extended_is_found_beside_the_rest(
    findings, closed: int, snapshot: object
) -> None:
    found = [one.replace(str(closed), "PORT") for one in findings(ELSEWHERE.replace("PORT", str(closed)))]
    assert found == snapshot


def test_an_option_of_steps_among_the_engines_settings_is_sent_where_it_belongs(findings) -> None:
    (found,) = findings("extends: local\norchestrator: {type: engine, pools: gpu}\n")
    assert "unknown setting 'pools' of orchestrator 'engine'" in found
    assert found.endswith('fix: it is an option of steps: steps: {"*": {engine: {pool: …}}}')


def test_a_setting_that_its_component_refuses_is_told_with_its_own_line(findings) -> None:
    store = "extends: local\nfeature_store:\n  type: local\n  folder: f\n  views:\n    v: {keys: [k], timestamp: t"
    (found,) = findings(f"{store},\n      ttl: long}}\n")
    assert found.startswith(
        "error: stacks/s.yaml:7: feature store 'local': the ttl 'long' of the view 'v' is no duration"
    )
    assert found.endswith("fix: write it as 3h")


def test_a_file_of_another_tool_is_told_as_such(findings) -> None:
    (found,) = findings("version: '3'\nservices:\n  web: {image: nginx}\n")
    assert (
        "stacks/s.yaml:1: this is no stack file of turnout: it has none of its sections, but version, services" in found
    )
    assert "`turnout stack new local` writes a stack" in found


def test_a_capability_that_is_none_is_told_with_its_line(findings) -> None:
    (found,) = findings("extends: local\naccept: [gpu, gpus]\n")
    assert found.startswith("error: stacks/s.yaml:2: nothing called 'gpus' can be accepted. Did you mean 'gpu'?")


def test_an_index_that_is_no_address(findings) -> None:
    (found,) = findings('extends: local\nenvironment: {index_url: "http://localhost:8099x"}\n')
    assert "the setting 'index_url' of environment is no address: its port is no number up to 65535" in found


def test_what_an_engine_elsewhere_needs_on_workers_is_a_warning_here(findings, closed: int) -> None:
    tracker = f'tracker: {{type: board, uri: "http://127.0.0.1:{closed}"}}\n'
    for engine, level in (("local", "error"), ("engine", "warning")):
        found = findings(f"extends: local\norchestrator: {{type: {engine}}}\n{tracker}")
        assert [one.partition(":")[0] for one in found] == [level, level]
    assert len(findings(f"extends: local\n{tracker}", connect=False)) == 1


def test_a_server_that_answers_and_a_secret_that_is_there_are_in_order(findings, open_port: int) -> None:
    address = f"127.0.0.1:{open_port}"
    engine = f'{{type: engine, url: "http://{address}", jobs: "{address}", token: "${{worker-env:there}}"}}'
    assert findings(f"extends: local\norchestrator: {engine}\n") == []


@pytest.mark.parametrize(
    ("kind", "value", "fault"),
    [
        ("url", "http://localhost:8080", ""),
        ("url", "https://[::1]/x", ""),
        ("url", "localhost:8080", "it must begin with http:// or https://"),
        ("url", "http://", "it has no host"),
        ("url", "http://host:0", "the port 0 is none"),
        ("url", "http://host:99999", "its port is no number up to 65535"),
        ("url", "http://a b/", "it holds a character that no URL has"),
        ("uri", "sqlite:///x.db", ""),
        ("uri", "http://h:1x", "its port is no number up to 65535"),
        ("host:port", "[::1]:8099", ""),
        ("host:port", "host:99999", "it must be HOST:PORT, such as localhost:8099"),
        ("host:port", "http://host:1", "it must be HOST:PORT, such as localhost:8099"),
    ],
)
def test_what_is_no_address(kind: str, value: str, fault: str) -> None:
    assert addresses.fault(kind, value) == fault
