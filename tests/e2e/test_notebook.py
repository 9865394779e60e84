"""A notebook's kernel: steps defined in cells travel by value, the graph follows the run, errors show the user's lines."""

from __future__ import annotations

import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FLIGHTS = Path(__file__).parents[2] / "examples" / "flights"
CELLS = {
    "steps": """
import sys

from turnout import pipeline, step

factor = 3

def scaled(value: int) -> int:
    return factor * value

@step
def numbers(count: int) -> list[int]:
    return list(range(count))

@step
def scale(value: int) -> int:
    return scaled(value)

@step
def divide(values: list[int], by: int) -> float:
    return sum(values) / by

@pipeline
def sums(count: int = 3, by: int = 2):
    divide(scale.map(numbers(count)), by)
""",
    "pipeline": "sums",
    "plan": "sums.plan()",
    "run": "done = sums.run()",
    "value": "done['divide'].load()",
    "again": "factor = 4\nsums.run()['divide'].load()",
    "fails": "sums.run(by=0)",
    "shell": "!{sys.executable} -c 'from turnout.cli import main; main()' runs show latest",
    "misuse": "sums.run(bye=0)",
}

draws = pytest.mark.skipif(find_spec("fast_sugiyama") is None, reason="there is no fast-sugiyama for this Python")


def execute(notebook: Any, folder: Path, *, allow_errors: bool = False) -> None:
    """Execute all cells in a kernel of their own. What a cell prints is one output, however it arrived."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder / "home"))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        patch.delenv("TURNOUT_STACK", raising=False)
        resources = {"metadata": {"path": str(folder)}}
        client = NotebookClient(
            notebook, kernel_name="python3", allow_errors=allow_errors, resources=resources, coalesce_streams=True
        )
        client.execute()


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What each cell showed, in one kernel, in a folder that is no project."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS.values()])
    execute(notebook, tmp_path_factory.mktemp("notebook"), allow_errors=True)
    return dict(zip(CELLS, [cell.outputs for cell in notebook.cells], strict=True))


@draws
def test_pipelines_and_plans_show_their_graph(outputs: dict[str, list[Any]]) -> None:
    assert outputs["steps"] == []
    for cell in ("pipeline", "plan"):
        (shown,) = outputs[cell]
        assert shown.data["text/html"].startswith("<svg")


@draws
def test_the_graph_follows_the_run(outputs: dict[str, list[Any]]) -> None:
    (shown,) = outputs["run"]
    html = shown.data["text/html"]
    assert html.count("<title>") == html.count("succeeded") == 3, "as drawn last: every step has succeeded"


def test_what_a_cell_defines_counts(outputs: dict[str, list[Any]]) -> None:
    assert outputs["value"][-1].data["text/plain"] == "4.5"
    assert outputs["again"][-1].data["text/plain"] == "6.0", "a changed global of the notebook is a changed step"


def test_a_failed_step_shows_its_own_lines_and_none_of_turnout(outputs: dict[str, list[Any]]) -> None:
    error = outputs["fails"][-1]
    text = "\n".join(error.traceback)
    assert error.ename == "RunError"
    assert re.search(r"in divide\n    return sum\(values\) / by\n", text), "the cell's own line"
    assert "ZeroDivisionError: division by zero" in text
    assert "turnout/api" not in text


def test_another_process_shows_the_lines_of_the_cell_as_well(outputs: dict[str, list[Any]]) -> None:
    (shown,) = outputs["shell"]
    text = shown.text.replace("\r\n", "\n")
    assert re.search(r"in divide\n +return sum\(values\) / by\n", text), "the cell's own line"
    assert "ZeroDivisionError: division by zero" in text


def test_a_wrong_call_says_what_is_wrong_and_no_more(outputs: dict[str, list[Any]]) -> None:
    (error,) = outputs["misuse"]
    assert error.traceback[0].startswith("ConfigError: ")
    assert "bye" in error.traceback[0]
    assert "Did you mean 'by'?" in error.traceback[0]


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="its figures are those of the versions in constraints.txt")
def test_the_notebook_of_the_example_says_what_comes_out(tmp_path: Path) -> None:
    folder = tmp_path / "flights"
    shutil.copytree(FLIGHTS, folder, ignore=shutil.ignore_patterns(".turnout", "__pycache__", ".pytest_cache"))
    kept = nbformat.read(folder / "explore.ipynb", as_version=4)
    again = nbformat.read(folder / "explore.ipynb", as_version=4)
    execute(again, folder)
    for cell, as_kept in zip(again.cells, kept.cells, strict=True):
        if cell.cell_type == "code" and not cell.source.startswith(
            ("turnout.compare", "COLUMNS")
        ):  # these show run ids
            assert texts(cell) == texts(as_kept), cell.source


def texts(cell: Any) -> list[str]:
    """What a cell printed and returned, as text."""
    return [one.get("text") or one.data["text/plain"] for one in cell.outputs]
