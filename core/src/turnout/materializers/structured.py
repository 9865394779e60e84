"""Plain values, dataclasses and pydantic models, as JSON; tables, arrays, figures and files in them beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import msgspec

from turnout.base import canonical
from turnout.base.errors import ArtifactError
from turnout.components.materializer import Materializer, Unfit
from turnout.files import File, Folder
from turnout.materializers import places, plain
from turnout.materializers.array import Numpy
from turnout.materializers.classes import name_of, names_of
from turnout.materializers.figure import Figure, Plotly
from turnout.materializers.objects import MODEL
from turnout.materializers.paths import FileContent, FolderContent, is_temporary, refuse_texts
from turnout.materializers.sameness import Compared
from turnout.materializers.table import Table
from turnout.model.types import ANY, TypeName

PARTS: tuple[type[Materializer], ...] = (Table, Numpy, Figure, Plotly, FileContent, FolderContent)
"""What writes the parts of a value that JSON cannot hold: none of them is a pickle."""
CONTENT = "content"
"""The folder of the parts that are files and folders: who reads them gets a copy."""


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
        except Unfit:
            raise
        except ArtifactError as error:
            if parts.last is None or (place := places.search(value, lambda item: item is parts.last)) is None:
                raise
            raise ArtifactError(f"{place[0]}: {error.what}", why=error.why, fix=error.fix) from error.__cause__
        data = canonical.encode(tree)
        refuse_texts(value, data)
        (folder / "value.json").write_bytes(data)

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
    """The parts of one value, each in a folder of its own: ``parts/<number>``, ``content/<number>`` for files."""

    known: ClassVar[dict[str, Materializer]] = {kind.name: kind() for kind in PARTS}

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self.last: Any = None
        """The part that is being saved."""

    def save(self, value: Any) -> Any:
        kind = name_of(type(value))
        materializer = self._content(value) if isinstance(value, Path) else self._table(value)
        if materializer is None:
            raise Unfit(f"a value of {kind} in it has no form but the pickle")
        self.last = value
        folder = self._place(self.count, materializer.name)
        self.count += 1
        folder.mkdir(parents=True)
        materializer.save(value, folder)
        self.last = None
        return [folder.name, materializer.name, kind]

    def load(self, reference: Any) -> Any:
        number, name, kind = reference
        if name not in self.known:
            raise ArtifactError(f"a part of the value was written by {name!r}, which this turnout does not know")
        part = self.known[name].load(self._place(int(number), name), TypeName(name=kind, text=kind))
        return Path(part) if isinstance(part, Path) and kind.startswith("pathlib") else part

    def _place(self, number: int, materializer: str) -> Path:
        return self.folder / (CONTENT if materializer in ("file", "folder") else "parts") / str(number)

    def _table(self, value: Any) -> Materializer | None:
        names = names_of(type(value))
        return next((m for m in self.known.values() if any(name in m.types for name in names)), None)

    def _content(self, value: Path) -> Materializer | None:
        """What writes a file or folder; of an ordinary path only where it leads to one of the step's own."""
        if isinstance(value, (File, Folder)):
            return self.known["file" if isinstance(value, File) else "folder"]
        if not is_temporary(value):
            return None
        return self.known["folder" if value.is_dir() else "file"]
