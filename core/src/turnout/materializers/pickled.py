"""The last resort: a pickle, marked as one."""

from __future__ import annotations

import io
import pickle
from collections import ChainMap
from pathlib import Path, PosixPath
from typing import Any, ClassVar

from turnout.components.materializer import Unfit
from turnout.files import File, Folder
from turnout.materializers import places
from turnout.materializers.classes import loaded, name_of
from turnout.materializers.paths import is_temporary, path_in_pickle
from turnout.materializers.private import PrivateCopy
from turnout.materializers.sameness import Compared
from turnout.model.types import ANY, TypeName

PROTOCOL = 5


class Executed(Compared):
    """A value in one file, a pickle, which is executed when it is read: from a copy that was checked."""

    pickled = True
    file: ClassVar[str]

    def load(self, folder: Path, wanted: TypeName = ANY) -> Any:
        with (folder / self.file).open("rb") as stream:
            return self.read(PrivateCopy(stream, []))

    @staticmethod
    def read(copy: PrivateCopy) -> Any:
        """Execute what was checked: the value."""
        return copy.load()


class Pickle(Executed):
    """Any value that cloudpickle takes. Its artifact is marked: it is read only by its recorded digest."""

    name = "pickle"
    file = "value.pickle"

    def save(self, value: Any, folder: Path) -> None:
        path = folder / self.file
        try:
            with path.open("wb") as stream:
                _dump(value, stream)
        except OSError:
            raise
        except _Refused as refused:
            lost = refused.value
            place, _ = places.search(value, lambda item: item is lost) or ("", lost)
            raise _unfit(place, lost, refused) from None
        except Exception as error:
            raise _unfit(*places.descend(value, _fails), error) from error
        refuse_paths(path)


def _unfit(place: str, part: Any, error: Exception) -> Unfit:
    kind = name_of(type(part)).replace(":", ".").removeprefix("builtins.")
    return Unfit(
        f"{place or 'the value'}, a {kind}, cannot be pickled",
        why=f"no materializer takes it, and pickling says: {error}",
        fix="return its rows as a table: pyarrow.table(it)"
        if hasattr(part, "__arrow_c_stream__")  # a query, such as a relation of DuckDB
        else "return plain values, tables, arrays or models, "
        "or write a materializer for its class: @turnout.materializer(TheClass)",
    )


def refuse_paths(file: Path) -> None:
    """Refuse a pickle that holds a path into the step's folder, or to an input.

    Raises:
        Unfit: naming the path.
    """
    if kept := path_in_pickle(file):
        raise Unfit(
            f"it holds the path {Path(kept).name!r} to a file of this step",
            why="the file is removed when the step has ended, so that nothing could read it",
            fix="return its content: what you have read from it, or File(path)",
        )


def _dump(value: Any, stream: Any) -> None:
    import cloudpickle

    own: dict[type, Any] = {File: _refuse, Folder: _refuse, PosixPath: _path, io.TextIOWrapper: _text_file}
    for name, reduce in _LIBRARIES.items():
        if kind := loaded(name):
            own[kind] = reduce
    table = ChainMap(own, cloudpickle.Pickler.dispatch_table)  # read when a pickler is made, from its class
    type("Pickler", (cloudpickle.Pickler,), {"dispatch_table": table})(stream, protocol=PROTOCOL).dump(value)


def _fails(value: Any) -> bool:
    try:
        _dump(value, io.BytesIO())
    except Exception:
        return True
    return False


class _Refused(pickle.PicklingError):
    """What would be lost, or lead nowhere, once it is read."""

    def __init__(self, value: Any) -> None:
        kind = type(value).__name__
        lost = "would lose its content in a pickle" if isinstance(value, Path) else "keeps a file: return what it reads"
        super().__init__(f"a {kind} {lost}")
        self.value = value


def _refuse(value: Any) -> Any:
    raise _Refused(value)


def _path(value: Path) -> Any:
    return _refuse(value) if is_temporary(value) else value.__reduce__()


def _text_file(value: io.TextIOWrapper) -> Any:
    import cloudpickle

    standard = getattr(value, "name", "") in ("<stdout>", "<stderr>")
    return cloudpickle.Pickler.dispatch_table[io.TextIOWrapper](value) if standard else _refuse(value)


def _dataset(value: Any) -> Any:
    return _refuse(value) if any(map(is_temporary, value.files)) else value.__reduce__()


_LIBRARIES = {
    "polars.lazyframe.frame:LazyFrame": _refuse,
    "pyarrow._dataset:FileSystemDataset": _dataset,
}
"""Classes of libraries that read a file only when they are asked for what is in it."""
