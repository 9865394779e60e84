"""The graph of a pipeline or run as SVG, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import NamedTuple

from turnout.plan.model import StepPlan
from turnout.spec.model import StepSpec

Step = StepSpec | StepPlan
MOST = 300
"""From more steps than this no picture is drawn."""
COLOURS = {"succeeded": "#2e7d32", "failed": "#c62828", "skipped": "#9e9e9e", "not run": "#9e9e9e"}
WIDTH, HEIGHT, ACROSS, DOWN = 150, 28, 40, 14


class _Box(NamedTuple):
    x: int
    y: int


def draw(steps: Iterable[Step], states: Mapping[str, str] | None = None) -> str:
    """The steps from left to right, each in a column after all that it needs; with *states*, coloured by them."""
    found = list(steps)
    if len(found) > MOST:
        return f"<p>{len(found)} steps</p>"
    boxes = _layout(found)
    width = max((box.x for box in boxes.values()), default=0) + WIDTH + 2
    height = max((box.y for box in boxes.values()), default=0) + HEIGHT + 2
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-size="12">']
    parts += [_line(boxes[name], boxes[step.name], name in step.guards) for step in found for name in step.upstream]
    parts += [_box(step, boxes[step.name], (states or {}).get(step.name, "")) for step in found]
    return "".join([*parts, "</svg>"])


def _layout(steps: list[Step]) -> dict[str, _Box]:
    columns: dict[str, int] = {}
    filled: dict[int, int] = {}
    boxes = {}
    for step in steps:
        column = max((columns[name] + 1 for name in step.upstream), default=0)
        columns[step.name] = column
        row = filled.get(column, 0)
        filled[column] = row + 1
        boxes[step.name] = _Box(1 + column * (WIDTH + ACROSS), 1 + row * (HEIGHT + DOWN))
    return boxes


def _line(start: _Box, end: _Box, dashed: bool) -> str:
    x1, y1, x2, y2 = start.x + WIDTH, start.y + HEIGHT // 2, end.x, end.y + HEIGHT // 2
    middle = (x1 + x2) // 2
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<path d="M{x1},{y1} C{middle},{y1} {middle},{y2} {x2},{y2}" fill="none" stroke="#888"{dash}/>'


def _box(step: Step, box: _Box, state: str) -> str:
    colour = COLOURS.get(state, "#37474f")
    corner = HEIGHT // 2 if step.kind == "gate" else 4
    again = _rectangle(_Box(box.x + 3, box.y + 3), corner, colour) if step.mapped else ""
    label = step.name if len(step.name) <= 20 else step.name[:19] + "…"
    return (
        f"<g><title>{escape(' — '.join(text for text in (step.name, state, step.doc) if text))}</title>"
        f"{again}{_rectangle(box, corner, colour)}"
        f'<text x="{box.x + WIDTH // 2}" y="{box.y + HEIGHT // 2 + 3}" text-anchor="middle" fill="{colour}">'
        f"{escape(label)}</text></g>"
    )


def _rectangle(box: _Box, corner: int, colour: str) -> str:
    size = f'width="{WIDTH - 3}" height="{HEIGHT - 3}"'
    return f'<rect x="{box.x}" y="{box.y}" {size} rx="{corner}" fill="white" stroke="{colour}"/>'
