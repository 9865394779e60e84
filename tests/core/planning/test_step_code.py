"""What counts as a step's code beside its function: which declared types may bring along code of the project's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from turnout.definition.annotations import type_name
from turnout.fingerprint.fingerprint import Fingerprints
from turnout.model.inputs import InputSpec, Output
from turnout.model.spec import Entrypoint, OutputSpec, StepSpec
from turnout.planning.stepcode import is_plain, step_code
from turnout.project.project import Project


class Row(NamedTuple):
    """A class of a project."""

    x: int


PLAIN = (int, str, None, bytes, Path, pd.DataFrame, np.ndarray, int | None, tuple[str, ...], list[int])
PLAIN += (list[pd.DataFrame], dict[str, float], dict[str, list[int | None]])


@pytest.mark.parametrize("annotation", PLAIN)
def test_plain_data_brings_no_code_along(annotation: Any) -> None:
    assert is_plain(type_name(annotation))


@pytest.mark.parametrize(
    "annotation", [Any, object, dict, list, tuple, list[dict], dict[str, Any], Row, list[Row], dict[str, Row], set[Row]]
)
def test_anything_else_may(annotation: Any) -> None:
    assert not is_plain(type_name(annotation))


FILES = {
    "flow.py": "from shapes import Box\n"
    "def make(x): return {'box': Box(x)}\n"
    "def keep(given): return given\n"
    "def use(given): return given['box'].run()\n"
    "def count(n): return n\n",
    "shapes.py": "class Box:\n    def run(self): return 1\n",
}


def fingerprints(root: Path) -> dict[str, str]:
    """The fingerprints of make → keep → use, and of count, which is handed an int that keep makes."""

    def step(name: str, given: str = "", output: str = "bag") -> StepSpec:
        outputs = (OutputSpec(name="bag", type=type_name(dict)), OutputSpec(name="size", type=type_name(int)))
        inputs = {"given": InputSpec(source=Output(step=given, output=output))} if given else {}
        return StepSpec(name=name, entrypoint=Entrypoint(module="flow", qualname=name), inputs=inputs, outputs=outputs)

    prints = Fingerprints(Project(root=root, name="p"))
    steps = [step("make"), step("keep", "make"), step("use", "keep"), step("count", "keep", "size")]
    found = step_code(steps, prints, lambda one: prints.of_class(str(one.entrypoint)))
    return {name: one.digest for name, one in found.items()}


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("shapes.py", "return 1", "return 2", {"make", "keep", "use"}),
        ("flow.py", "'box': Box(x)", "'box': Box(1)", {"make"}),
        ("flow.py", "def count(n): return n", "def count(n): return -n", {"count"}),
    ],
    ids=["a method of what is handed on", "the function that makes it", "another step"],
)
def test_code_travels_with_values(tmp_path: Path, file: str, old: str, new: str, changed: set[str]) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    before = fingerprints(tmp_path)
    assert old in FILES[file]
    (tmp_path / file).write_text(FILES[file].replace(old, new))
    after = fingerprints(tmp_path)
    assert {name for name, digest in after.items() if digest != before[name]} == changed
