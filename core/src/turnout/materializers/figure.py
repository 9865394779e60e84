"""Figures: of matplotlib as a picture, of plotly as its JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from turnout.base import canonical
from turnout.components.materializer import Materializer, Unfit
from turnout.materializers.classes import name_of
from turnout.model.types import ANY, TypeName


class Figure(Materializer):
    """A matplotlib figure as a PNG. Read back it is a figure that shows the picture: its axes are not kept."""

    name = "figure"
    types = ("matplotlib.figure:Figure",)

    def save(self, value: Any, folder: Path) -> None:
        value.savefig(folder / "figure.png", format="png", dpi=value.dpi, metadata={"Software": None})

    def load(self, folder: Path, wanted: TypeName = ANY) -> Any:
        from matplotlib import figure, image

        pixels, dpi = image.imread(folder / "figure.png"), _dpi(folder / "figure.png")
        height, width = pixels.shape[:2]
        shown = figure.Figure(figsize=(width / dpi, height / dpi), dpi=dpi)
        shown.figimage(pixels)
        return shown

    def equal(self, left: Path, right: Path) -> bool:
        """Whether the pictures' pixels are the same."""
        import numpy as np
        from matplotlib import image

        one, other = image.imread(left / "figure.png"), image.imread(right / "figure.png")
        return bool(np.array_equal(one, other))


def _dpi(path: Path) -> float:
    """The dots an inch that a PNG gives of itself, or 100."""
    data = path.read_bytes()[:4096]
    start = data.find(b"pHYs")
    if start < 0:
        return 100.0
    return round(int.from_bytes(data[start + 4 : start + 8], "big") * 0.0254, 1) or 100.0


class Plotly(Materializer):
    """A plotly figure as its canonical JSON."""

    name = "plotly"
    types = ("plotly.basedatatypes:BaseFigure",)

    def save(self, value: Any, folder: Path) -> None:
        from plotly import io

        if name_of(type(value)) != "plotly.graph_objs._figure:Figure":
            raise Unfit("a widget or subclass of a plotly figure has a state of its own")
        tree = msgspec.json.decode(io.to_json(value, engine="json"))
        (folder / "figure.json").write_bytes(canonical.encode(tree))

    def load(self, folder: Path, wanted: TypeName = ANY) -> Any:
        from plotly import io

        return io.from_json((folder / "figure.json").read_text(encoding="utf-8"), engine="json")
