"""The graph of a pipeline, plan or run as SVG, for notebooks; the extra ``notebook`` lays it out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from turnout.model.plan import StepPlan
    from turnout.model.spec import StepSpec

    Step: TypeAlias = StepSpec | StepPlan

MOST = 300
"""From more steps than this no picture is drawn."""
COLOURS = {
    "succeeded": "#2e7d32",
    "failed": "#c62828",
    "running": "#1565c0",
    "skipped": "#9e9e9e",
    "not run": "#9e9e9e",
}
PLAIN = "#37474f"
WIDTH, HEIGHT = 160, 28
ACROSS, DOWN = 200, 44
"""From one column to the next, and from one row to the next, in pixels."""
LONGEST = 21
"""A label's characters."""


class Spot(msgspec.Struct, frozen=True):
    """The middle of a box, or a bend of a line, in pixels."""

    x: float
    y: float


class Layout(msgspec.Struct, frozen=True):
    """Where the boxes are, by the step's name, and the bends of each line, by its two ends."""

    boxes: dict[str, Spot]
    lines: dict[tuple[str, str], tuple[Spot, ...]]


def draw(steps: Iterable[Step], states: Mapping[str, str] | None = None) -> str:
    """The steps from left to right, each in a column after all that it needs; with *states*, coloured by them.

    A gate is a pill, a mapped step a pile, a dashed line a guard. Where the library for the layout is not installed,
    and beyond 300 steps, the steps are listed instead.
    """
    drawn = list(steps)
    layout = lay_out(drawn) if len(drawn) <= MOST else None
    if layout is None:
        return _listed(drawn, states or {})
    width = max((spot.x for spot in layout.boxes.values()), default=0) + WIDTH / 2 + 4
    height = max((spot.y for spot in layout.boxes.values()), default=0) + HEIGHT / 2 + 4
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">']
    parts += [_line(layout, name, step) for step in drawn for name in dict.fromkeys(step.upstream)]
    parts += [_box(step, layout.boxes[step.name], (states or {}).get(step.name, "")) for step in drawn]
    return "".join([*parts, "</svg>"])


def lay_out(steps: list[Step]) -> Layout | None:
    """Sugiyama's layered layout, by fast-sugiyama; None where that is not installed.

    Parts of the graph that hang together are placed one below the other, single steps last.
    """
    try:
        from fast_sugiyama import from_edges
    except ImportError:
        return None
    pairs = [(name, step.name) for step in steps for name in dict.fromkeys(step.upstream)]
    linked = {name for pair in pairs for name in pair}
    names = [step.name for step in steps if step.name in linked]
    numbers = {name: number for number, name in enumerate(names)}
    boxes: dict[str, Spot] = {}
    lines: dict[tuple[str, str], tuple[Spot, ...]] = {}
    left, top = WIDTH / 2 + 2, HEIGHT / 2 + 2
    found: Any = from_edges([(numbers[start], numbers[end]) for start, end in pairs], vertex_spacing=1.0)
    parts = sorted(found, key=lambda part: min(node for node, _ in part[0]))
    for positions, _, depth, edges in parts:  # the library draws upwards, from the last layer at 0
        spots = {node: Spot(left + (depth - up) * ACROSS, top + beside * DOWN) for node, (beside, up) in positions}
        boxes.update({names[node]: spot for node, spot in spots.items() if node < len(names)})
        for path in _paths(edges or [], len(names)):
            lines[names[path[0]], names[path[-1]]] = tuple(spots[node] for node in path[1:-1])
        top = max(spot.y for spot in spots.values()) + DOWN
    for step in steps:
        if step.name not in linked:
            boxes[step.name] = Spot(left, top)
            top += DOWN
    return Layout(boxes, lines)


def _paths(edges: list[tuple[int, int]], count: int) -> Iterator[list[int]]:
    """The lines from node to node, each with the bends between; a bend's number is *count* or more."""
    after = {start: end for start, end in edges if start >= count}
    for start, end in edges:
        if start < count:
            path = [start, end]
            while path[-1] >= count:
                path.append(after[path[-1]])
            yield path


def _line(layout: Layout, start: str, step: Step) -> str:
    path = [layout.boxes[start], *layout.lines.get((start, step.name), ()), layout.boxes[step.name]]
    x, y = path[0].x + WIDTH / 2, path[0].y
    drawn = [f"M{x:.0f},{y:.0f}"]
    for spot in path[1:]:
        to = spot.x - WIDTH / 2
        middle = (x + to) / 2
        drawn.append(f"C{middle:.0f},{y:.0f} {middle:.0f},{spot.y:.0f} {to:.0f},{spot.y:.0f}")
        if spot is not path[-1]:
            drawn.append(f"H{spot.x + WIDTH / 2:.0f}")
        x, y = spot.x + WIDTH / 2, spot.y
    dash = ' stroke-dasharray="4 3"' if start in step.guards else ""
    return f'<path d="{" ".join(drawn)}" fill="none" stroke="#888"{dash}/>'


def _box(step: Step, spot: Spot, state: str) -> str:
    colour = COLOURS.get(state, PLAIN)
    corner = HEIGHT // 2 if step.kind == "gate" else 4
    pile = _rectangle(spot.x + 3, spot.y + 3, corner, colour) if step.mapped else ""
    label = step.name if len(step.name) <= LONGEST else step.name[: LONGEST - 1] + "…"
    about = " — ".join(text for text in (step.name, state, step.doc) if text)
    text = f'<text x="{spot.x:.0f}" y="{spot.y + 4:.0f}" text-anchor="middle" fill="{colour}">{escape(label)}</text>'
    return f"<g><title>{escape(about)}</title>{pile}{_rectangle(spot.x, spot.y, corner, colour)}{text}</g>"


def _rectangle(x: float, y: float, corner: int, colour: str) -> str:
    place = f'x="{x - WIDTH / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{WIDTH}" height="{HEIGHT}"'
    return f'<rect {place} rx="{corner}" fill="white" stroke="{colour}"/>'


def _listed(steps: list[Step], states: Mapping[str, str]) -> str:
    rows = "".join(
        f"<tr><td>{escape(step.name)}</td><td>{escape(', '.join(dict.fromkeys(step.upstream)))}</td>"
        f"<td>{escape(states.get(step.name, ''))}</td></tr>"
        for step in steps[:MOST]
    )
    more = f"<p>and {len(steps) - MOST} more steps</p>" if len(steps) > MOST else ""
    hint = "" if len(steps) > MOST else "<p>To see this as a graph: <code>pip install 'turnout[notebook]'</code></p>"
    return f"<table><tr><th>step</th><th>after</th><th>state</th></tr>{rows}</table>{more}{hint}"
