"""`turnout runs show RUN STEP`, and what was logged, read back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import turnout
from turnout.base.errors import ConfigError
from turnout.cli.app import application

PIPELINE = '''
from turnout import log_artifact, log_metric, log_params, pipeline, step


@step
def fit(epochs: int) -> float:
    """Log a curve, a number, parameters and a value."""
    for epoch in range(epochs):
        log_metric("loss", 1 / (epoch + 1), step=epoch)
    log_metric("rows", 3)
    log_params({"depth": 4})
    log_artifact("notes", {"a": [1]})
    return 0.5


@step
def numbers(epochs: int) -> list[int]:
    return [1, 2]


@step
def double(number: int) -> int:
    log_metric("number", number)
    log_artifact("twice", [2 * number])
    return number


@pipeline
def curves(epochs: int = 4):
    fit(epochs)
    double.map(numbers(epochs))
'''


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one run."""
    folder = tmp_path_factory.mktemp("curves")
    (folder / "pyproject.toml").write_text("[project]\nname = 'curves'\nversion = '0'\n")
    (folder / "curves.py").write_text(PIPELINE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = CliRunner().invoke(application, ["run", "curves.py"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert re.search(r"turnout runs show \w{8} double  # what it logged\n", result.output)
        assert re.search(r"turnout runs logs \w{8}  # what it printed\n", result.output)
    return folder


@pytest.fixture
def call(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.chdir(project)
    monkeypatch.delenv("TURNOUT_STACK", raising=False)

    def run(*words: str) -> str:
        text = CliRunner().invoke(application, words, catch_exceptions=False).output
        text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)
        run_id = turnout.Run("latest").id
        return re.sub(r"(seconds +)[\d.]+", r"\1SECONDS", text).replace(run_id, "RUN").replace(run_id[:8], "RUN")

    return run


def test_a_step_is_shown_with_all_that_it_logged(call: Callable[..., str], snapshot: object) -> None:
    assert call("runs", "show", "latest", "fit") == snapshot
    assert call("runs", "show", "latest", "double") == snapshot
    (document,) = json.loads(call("runs", "show", "latest", "fit", "--json"))
    assert (document["params"], len(document["points"]), document["logged"]["notes"]["bytes"]) == ({"depth": 4}, 5, 9)


def test_the_points_of_a_metric_are_a_table_and_a_plot(call: Callable[..., str], snapshot: object) -> None:
    assert call("runs", "show", "latest", "fit", "--metric", "loss") == snapshot
    points = json.loads(call("runs", "show", "latest", "double", "--metric", "number", "--json"))
    assert [(point["step"], point["value"]) for point in points] == [("double.0", 1.0), ("double.1", 2.0)]


def test_what_was_stored_is_loaded_by_its_name(call: Callable[..., str], project: Path) -> None:
    assert call("artifacts", "load", "latest", "fit", "notes") == "{'a': [1]}\n"
    assert (
        call("artifacts", "load", "latest", "double", "twice", "--json") == "[\n  [\n    2\n  ],\n  [\n    4\n  ]\n]\n"
    )
    assert call("artifacts", "load", "latest", "double", "twice", "--to", "out").split() == [
        "out/0/twice",
        "out/1/twice",
    ]


def test_in_python(call: Callable[..., str]) -> None:
    run = turnout.Run("latest")
    assert run["fit"].metrics == {"loss": 0.25, "rows": 3.0}
    assert [(point.x, point.value) for point in run["fit"].points["loss"]][-1] == (3, 0.25)
    assert run["fit"].logged["notes"].load() == {"a": [1]}
    assert run["double.1"].logged["twice"].load() == [4]
    assert run["fit"].figures == {}
    assert run["fit"].log_params == {"depth": 4}


def test_a_name_that_was_not_logged_is_refused_with_the_nearest(call: Callable[..., str], snapshot: object) -> None:
    refused = []
    for words in (
        ["runs", "show", "latest", "fit", "--metric", "los"],
        ["artifacts", "load", "latest", "fit", "noets"],
        ["artifacts", "load", "latest", "fitt"],
    ):
        with pytest.raises(ConfigError) as caught:
            call(*words)
        refused.append(str(caught.value).replace(turnout.Run("latest").id, "RUN"))
    assert refused == snapshot


def test_a_position_is_given_once() -> None:
    with pytest.raises(ConfigError, match="x and step are one thing"):
        turnout.log_metric("a", 1, x=1, step=1)
