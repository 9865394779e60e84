"""Plain values, dataclasses and pydantic models, as JSON; tables, arrays and figures in them as files beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import msgspec

from turnout import canonical
from turnout.components.materializer import Materializer, Unfit
from turnout.errors import ArtifactError
from turnout.materializers import plain
from turnout.materializers.array import Numpy
from turnout.materializers.classes import name_of, names_of
from turnout.materializers.figure import Figure, Plotly
from turnout.materializers.objects import MODEL
from turnout.materializers.sameness import Compared
from turnout.materializers.table import Table
from turnout.spec.types import ANY, TypeName

PARTS: tuple[type[Materializer], ...] = (Table, Numpy, Figure, Plotly)
"""What writes the parts of a value that JSON cannot hold: none of them is a pickle."""


class Json(Compared):
    """Values of the built-in types and what they hold, each type kept; see :mod:`turnout.materializers.plain`."""

    name = "json"
    types = (
        *(f"builtins:{kind}" for kind in ("NoneType", "bool", "int", "float", "complex", "range")),
        *(f"builtins:{kind}" for kind in ("list", "tuple", "dict", "set", "frozenset", "bytearray")),
        *(f"datetime:{kind}" for kind in ("datetime", "date", "time", "timedelta")),
        "decimal:Decimal",
        "fractions:Fraction",
        "uuid:UUID",
        "enum:Enum",
        "numpy:generic",
    )

    def save(self, value: Any, folder: Path) -> None:
        parts = _Parts(folder)
        try:
            tree = plain.lower(value, parts.save)
        except RecursionError:
            raise Unfit("it is nested too deeply for JSON, or holds itself") from None
        (folder / "value.json").write_bytes(canonical.encode(tree))

    def load(self, folder: Path, wanted: TypeName = ANY) -> Any:
        tree = msgspec.json.decode((folder / "value.json").read_bytes())
        return plain.lift(tree, _Parts(folder).load)


class Dataclass(Json):
    """Instances of a project's dataclasses."""

    name = "dataclass"
    types = ()


class Pydantic(Json):
    """Models of pydantic 2, by their state: no validator runs again."""

    name = "pydantic"
    types = (MODEL,)


class _Parts:
    """The parts of one value: each in a folder ``parts/<number>`` of its own."""

    known: ClassVar[dict[str, Materializer]] = {kind.name: kind() for kind in PARTS}

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "parts"
        self.count = 0

    def save(self, value: Any) -> Any:
        names = names_of(type(value))
        materializer = next((m for m in self.known.values() if any(name in m.types for name in names)), None)
        if materializer is None:
            raise Unfit(f"a value of {name_of(type(value))} in it has no form but the pickle")
        folder = self.folder / str(self.count)
        self.count += 1
        folder.mkdir(parents=True)
        materializer.save(value, folder)
        return [folder.name, materializer.name, name_of(type(value))]

    def load(self, reference: Any) -> Any:
        number, name, kind = reference
        if name not in self.known:
            raise ArtifactError(f"a part of the value was written by {name!r}, which this turnout does not know")
        return self.known[name].load(self.folder / str(int(number)), TypeName(name=kind, text=kind))
