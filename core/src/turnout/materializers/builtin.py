"""The materializers turnout brings."""

from __future__ import annotations

from turnout.components.materializer import Materializer
from turnout.materializers.array import Numpy
from turnout.materializers.estimator import Sklearn
from turnout.materializers.figure import Figure, Plotly
from turnout.materializers.paths import FileContent, FolderContent
from turnout.materializers.pickled import Pickle
from turnout.materializers.structured import Dataclass, Json, Pydantic
from turnout.materializers.table import Table
from turnout.materializers.text import Bytes, Text

BUILTIN: tuple[type[Materializer], ...] = (
    Json,
    Text,
    Bytes,
    FileContent,
    FolderContent,
    Numpy,
    Table,
    Sklearn,
    Dataclass,
    Pydantic,
    Figure,
    Plotly,
    Pickle,
)
