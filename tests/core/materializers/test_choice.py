"""Which materializer takes what: by names of classes, before any library is imported."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pydantic
import pytest
from matplotlib.figure import Figure
from sklearn.linear_model import LinearRegression

from turnout.base.errors import ArtifactError, PluginError
from turnout.components.materializer import Materializer
from turnout.files import File
from turnout.materializers.builtin import BUILTIN
from turnout.materializers.choice import Materializers
from turnout.materializers.classes import name_of, names_of
from turnout.model.types import ANY, TypeName


@dataclasses.dataclass
class Plain:
    a: int = 1


class Model(pydantic.BaseModel):
    a: int = 1


class Regression(LinearRegression):
    """A project's own estimator."""


VALUES: list[tuple[Any, str]] = [
    (None, "json"),
    (1, "json"),
    ("text", "text"),
    (b"bytes", "bytes"),
    ({"a": 1}, "json"),
    (Decimal(1), "json"),
    (np.float64(1), "json"),
    (np.zeros(2), "numpy"),
    (pd.DataFrame(), "table"),
    (pd.Series([1]), "table"),
    (pl.DataFrame(), "table"),
    (pl.Series([1]), "table"),
    (pa.table({}), "table"),
    (LinearRegression(), "sklearn"),
    (Regression(), "sklearn"),
    (Plain(), "dataclass"),
    (Model(), "pydantic"),
    (Figure(), "figure"),
    (File("x"), "file"),
    (Path("x"), "file"),
    (Path(), "folder"),
    (Counter(), "json"),
    (object(), "json"),
    (re := __import__("re").compile("x"), "pickle"),
]


def label(item: Any) -> str:
    """The name of a case: the same in every process that collects it."""
    return item if type(item) is str else type(item).__name__


@pytest.mark.parametrize(("value", "name"), VALUES, ids=label)
def test_by_value(value: Any, name: str) -> None:
    assert next(Materializers(BUILTIN).candidates(value)).name == name


@pytest.mark.parametrize("value", [value for value, _ in VALUES if not isinstance(value, Path)], ids=label)
def test_the_pickle_is_always_the_last_resort(value: Any) -> None:
    names = [materializer.name for materializer in Materializers(BUILTIN).candidates(value)]
    assert names[-1] == "pickle"
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("value", "name"), [pair for pair in VALUES if pair[1] not in ("pickle", "dataclass")], ids=label
)
def test_by_type(value: Any, name: str) -> None:
    names = names_of(type(value))
    expected = {File: "file"}.get(type(value), None if isinstance(value, Path) or type(value) is object else name)
    assert Materializers(BUILTIN).for_type(TypeName(name=names[0] if names else "x:y", bases=names[1:])) == expected


def test_what_only_the_value_can_tell() -> None:
    materializers = Materializers(BUILTIN)
    assert materializers.for_type(TypeName()) is None
    assert materializers.for_type(TypeName(name=name_of(Plain))) is None


def test_choosing_imports_no_library() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "from turnout.materializers.builtin import BUILTIN\n"
        "from turnout.materializers.choice import Materializers\n"
        "from turnout.model.types import ANY, TypeName\n"
        "chosen = Materializers(BUILTIN)\n"
        "assert chosen.for_type(TypeName(name='pandas.core.frame:DataFrame')) == 'table'\n"
        "assert chosen.for_type(TypeName(name='a:B', bases=('sklearn.base:BaseEstimator',))) == 'sklearn'\n"
        "assert next(chosen.candidates({'a': [1]})).name == 'json'\n"
        "heavy = {'numpy', 'pandas', 'polars', 'pyarrow', 'sklearn', 'joblib', 'matplotlib', 'plotly', 'cloudpickle',"
        " 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


class Claims(Materializer):
    name = "claims"
    types: ClassVar[tuple[str, ...]] = ("numpy:ndarray",)

    def save(self, value: Any, folder: Path) -> None:
        raise NotImplementedError

    def load(self, folder: Path, wanted: TypeName = ANY) -> Any:
        raise NotImplementedError


class Named(Claims):
    name = "json"
    types = ()


@pytest.mark.parametrize(("extra", "claimed"), [(Claims, "numpy:ndarray"), (Named, "json")])
def test_two_claims_are_refused_whatever_the_order(extra: type[Materializer], claimed: str) -> None:
    for classes in ([*BUILTIN, extra], [extra, *BUILTIN]):
        with pytest.raises(PluginError, match=f"two materializers claim '{claimed}'"):
            Materializers(classes)


def test_an_unknown_name() -> None:
    with pytest.raises(PluginError) as caught:
        Materializers(BUILTIN).named("tabel")
    assert str(caught.value) == (
        "there is no materializer 'tabel'. Did you mean 'table'?\n  fix: install the plugin that brings it"
    )


class Temperature:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees


class Thermometer:
    """A project's own materializer: no base class is needed."""

    def save(self, value: Temperature, folder: Path) -> None:
        (folder / "degrees").write_text(str(value.degrees))

    def load(self, folder: Path) -> Temperature:
        return Temperature(float((folder / "degrees").read_text()))

    def equal(self, left: Path, right: Path) -> bool:
        return round(self.load(left).degrees) == round(self.load(right).degrees)


class NoLoad:
    def save(self, value: Any, folder: Path) -> None: ...


class NeedsArguments(Thermometer):
    def __init__(self, scale: str) -> None:
        self.scale = scale


def test_a_class_of_the_project(tmp_path: Path) -> None:
    asked = []

    def load_project(name: str) -> Any:
        asked.append(name)
        return Thermometer

    materializers = Materializers(BUILTIN, load_project)
    own = materializers.named("weather.io:Thermometer")
    for name, degrees in {"one": 20.1, "near": 20.2, "far": 30.0}.items():
        (tmp_path / name).mkdir()
        own.save(Temperature(degrees), tmp_path / name)
    assert own.name == "weather.io:Thermometer"
    assert own.load(tmp_path / "one").degrees == 20.1
    assert own.equal(tmp_path / "one", tmp_path / "near")
    assert not own.equal(tmp_path / "one", tmp_path / "far")
    assert materializers.named("weather.io:Thermometer") is own
    assert asked == ["weather.io:Thermometer"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (f"{__name__}:NoLoad", "is not a materializer"),
        (f"{__name__}:VALUES", "is not a materializer"),
        (f"{__name__}:NeedsArguments", "cannot be made: "),
        (f"{__name__}:Missing", "cannot be imported"),
        ("no.such.module:X", "cannot be imported"),
    ],
)
def test_a_class_of_the_project_that_does_not_do(name: str, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        Materializers(BUILTIN).named(name)
