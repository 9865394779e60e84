"""The last resort: a pickle, marked as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from turnout.errors import ArtifactError
from turnout.materializers.classes import name_of
from turnout.materializers.sameness import Compared
from turnout.spec.types import ANY, TypeName

PROTOCOL = 5


class Pickle(Compared):
    """Any value that cloudpickle takes. Its artifact is marked: it is read only by its recorded digest."""

    name = "pickle"
    pickled = True

    def save(self, value: Any, folder: Path) -> None:
        import cloudpickle

        try:
            with (folder / "value.pickle").open("wb") as stream:
                cloudpickle.dump(value, stream, protocol=PROTOCOL)
        except OSError:
            raise
        except Exception as error:
            raise ArtifactError(
                f"a value of {name_of(type(value))} cannot be saved",
                why=f"no materializer takes it, and it cannot be pickled: {error}",
                fix="return plain values, tables, arrays or models, "
                "or write a materializer for its class: @turnout.materializer(TheClass)",
            ) from error

    def load(self, folder: Path, wanted: TypeName = ANY) -> Any:
        import cloudpickle

        with (folder / "value.pickle").open("rb") as stream:
            return cloudpickle.load(stream)
