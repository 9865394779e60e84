"""The materializer ``specimen``: values of one class as JSON. Replace the class by that of your library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from turnout.plugin_api import ANY, Materializer, TypeName, encode


class Specimen:
    """Stands for a class of your library, which a plugin would only name."""

    def __init__(self, numbers: list[int]) -> None:
        self.numbers = numbers

    def __repr__(self) -> str:
        return f"Specimen({self.numbers})"


class SpecimenMaterializer(Materializer):
    """One file, of sorted and compact JSON, so that the same value gives the same bytes."""

    name = "specimen"
    types = ("turnout_specimen.materializer:Specimen",)

    def save(self, value: Any, folder: Path) -> None:
        (folder / "value.json").write_bytes(encode(value.numbers))

    def load(self, folder: Path, wanted: TypeName = ANY) -> Any:
        return Specimen(json.loads((folder / "value.json").read_bytes()))
