"""The graph in a notebook: laid out by a library, the same bytes each time, nothing of a name taken for markup."""

from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest

from turnout import pipeline, step, when
from turnout.model.drawing import MOST, draw, lay_out

pytest.importorskip("fast_sugiyama", reason="there is no fast-sugiyama for this Python", exc_type=ImportError)
SVG = "{http://www.w3.org/2000/svg}"


@step
def load(count: int) -> list[int]:
    """Count <up> & "on"."""
    return list(range(count))


@step
def double(value: int) -> int:
    return 2 * value


@step
def total(values: list[int]) -> int:
    return sum(values)


@step
def publish(result: int, given: list[int]) -> None: ...


@step
def alone() -> int:
    return 1


@pipeline
def sums(count: int = 3):  # type: ignore[no-untyped-def]
    given = load(count)
    result = total(double.map(given))
    with when(result > 1):
        publish(result, given)
    alone()


def test_every_step_is_a_box_and_every_dependency_a_line() -> None:
    root = ET.fromstring(draw(sums.spec.steps))
    assert [text.text for text in root.iter(f"{SVG}text")] == [step.name for step in sums.spec.steps]
    assert len(list(root.iter(f"{SVG}path"))) == sum(len(set(step.upstream)) for step in sums.spec.steps)
    dashed = [path for path in root.iter(f"{SVG}path") if path.get("stroke-dasharray")]
    assert len(dashed) == 1, "the guard of publish"
    assert next(title.text for title in root.iter(f"{SVG}title")) == 'load — Count <up> & "on".'


def test_each_step_lies_to_the_right_of_what_it_needs_and_no_box_on_another() -> None:
    layout = lay_out(list(sums.spec.steps))
    assert layout is not None
    for one in sums.spec.steps:
        for name in one.upstream:
            assert layout.boxes[name].x < layout.boxes[one.name].x
    assert len(set(layout.boxes.values())) == len(sums.spec.steps)
    assert layout.lines["load", "publish"], "a long line bends around the boxes between"


def test_states_colour_the_boxes() -> None:
    plain = draw(sums.spec.steps)
    coloured = draw(sums.spec.steps, {"load": "succeeded", "total": "failed"})
    assert "#2e7d32" not in plain
    assert coloured.count("#2e7d32") == coloured.count("#c62828") == 2


def test_the_bytes_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "from turnout import pipeline, step\n"
        "@step\ndef a() -> int: return 1\n"
        "@step\ndef b(x: int, y: int) -> int: return 2\n"
        "@pipeline\ndef p():\n"
        "    parts = [b.named(f'b{i}')(a.named(f'a{i}')(), a.named(f'c{i}')()) for i in range(9)]\n"
        "    b.named('last')(parts[0], parts[8])\n"
        "print(p._repr_html_())\n"
    )
    drawn = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(drawn) == 1


def test_without_the_library_and_for_a_crowd_the_steps_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fast_sugiyama", None)
    listed = draw(sums.spec.steps, {"load": "succeeded"})
    assert "<td>load</td><td></td><td>succeeded</td>" in listed
    assert "turnout[notebook]" in listed
    monkeypatch.delitem(sys.modules, "fast_sugiyama")
    crowd = draw([one for one in sums.spec.steps if one.name == "alone"] * (MOST + 2))
    assert crowd.endswith("<p>and 2 more steps</p>")


def test_a_plan_draws_itself(tmp_path: object) -> None:
    assert "<svg" in sums.plan()._repr_html_()
