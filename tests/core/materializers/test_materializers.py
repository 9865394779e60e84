"""Text, arrays, models, figures, files, and values made of several of them: each as its own materializer keeps it."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import polars as pl
import pydantic
import pytest
from matplotlib.figure import Figure
from sklearn.datasets import make_regression
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from turnout.base.errors import ArtifactError
from turnout.components.materializer import Materializer, Unfit
from turnout.files import File, Folder
from turnout.materializers.array import MAPPED, Numpy
from turnout.materializers.estimator import Sklearn
from turnout.materializers.figure import Figure as FigureMaterializer
from turnout.materializers.figure import Plotly
from turnout.materializers.paths import FileContent, FolderContent, suffix_of
from turnout.materializers.pickled import Pickle
from turnout.materializers.sameness import same
from turnout.materializers.structured import Dataclass, Json, Pydantic
from turnout.materializers.text import Bytes, Text

mpl.use("Agg")


def roundtrip(materializer: Materializer, value: Any, folder: Path) -> Any:
    materializer.save(value, folder)
    return materializer.load(folder)


def folders(tmp_path: Path, *names: str) -> list[Path]:
    made = [tmp_path / name for name in names]
    for folder in made:
        folder.mkdir()
    return made


@pytest.mark.parametrize("text", ["", "a\r\nb\n", "\ufeffü\u2028😀\0"])
def test_text_is_kept_byte_for_byte(text: str, tmp_path: Path) -> None:
    assert roundtrip(Text(), text, tmp_path) == text
    assert (tmp_path / "text.txt").read_bytes() == text.encode()


def test_text_that_is_not_utf8_is_left_to_json(tmp_path: Path) -> None:
    with pytest.raises(Unfit):
        Text().save("\ud800", tmp_path)
    assert roundtrip(Json(), "\ud800", tmp_path) == "\ud800"


def test_bytes(tmp_path: Path) -> None:
    assert roundtrip(Bytes(), b"\x00\xff", tmp_path) == b"\x00\xff"


ARRAYS = {
    "floats": np.array([[1.0, np.nan], [np.inf, -0.0]]),
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "scalar": np.array(3, "i2"),
    "empty": np.zeros((0, 3), "f4"),
    "big endian": np.array([1, 2], ">i4"),
    "text": np.array(["a", "bcd"]),
    "times": np.array(["2026-03-01", "NaT"], "M8[D]"),
    "fields": np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]),
    "strided": np.arange(10)[::3],
    "complex": np.array([1 + 2j]),
    "large": np.arange(MAPPED // 8 + 1, dtype="f8"),
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_arrays(array: Any, tmp_path: Path) -> None:
    back = roundtrip(Numpy(), array, tmp_path)
    assert type(back) is np.ndarray
    assert back.dtype == array.dtype
    assert back.flags.f_contiguous == array.flags.f_contiguous or array.base is not None
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    "value",
    [np.array([None, 1]), np.ma.masked_array([1], [True]), np.rec.array([(1,)], dtype=[("a", "i4")])],
    ids=["objects", "masked", "records"],
)
def test_arrays_with_more_than_numbers_are_left_to_the_pickle(value: Any, tmp_path: Path) -> None:
    with pytest.raises(Unfit):
        Numpy().save(value, tmp_path)
    back = roundtrip(Pickle(), value, tmp_path)
    assert type(back) is type(value)


def test_a_large_array_is_mapped_and_writing_to_it_changes_no_file(tmp_path: Path) -> None:
    array = ARRAYS["large"]
    back = roundtrip(Numpy(), array, tmp_path)
    before = (tmp_path / "array.npy").read_bytes()
    assert isinstance(back.base, np.memmap)
    back[:] = -1
    assert (tmp_path / "array.npy").read_bytes() == before
    np.testing.assert_array_equal(Numpy().load(tmp_path), array)


def test_arrays_compare_with_a_tolerance(tmp_path: Path) -> None:
    one, near, far = folders(tmp_path, "one", "near", "far")
    Numpy().save(np.array([1.0, np.nan]), one)
    Numpy().save(np.array([1.0 + 1e-12, np.nan]), near)
    Numpy().save(np.array([1.0 + 1e-6, np.nan]), far)
    assert Numpy().equal(one, near)
    assert not Numpy().equal(one, far)


def fitted(seed: int = 0, trees: int = 3) -> Any:
    rows, target = make_regression(80, 3, random_state=0)
    return RandomForestRegressor(trees, random_state=seed).fit(rows, target)


def test_estimators(tmp_path: Path) -> None:
    rows, target = make_regression(80, 3, random_state=0)
    model = make_pipeline(StandardScaler(), HistGradientBoostingRegressor(max_iter=3, random_state=0)).fit(rows, target)
    back = roundtrip(Sklearn(), model, tmp_path)
    np.testing.assert_array_equal(back.predict(rows), model.predict(rows))


def test_the_same_training_gives_the_same_bytes_and_another_one_is_seen(tmp_path: Path) -> None:
    one, again, other = folders(tmp_path, "one", "again", "other")
    Sklearn().save(fitted(), one)
    Sklearn().save(fitted(), again)
    Sklearn().save(fitted(seed=1), other)
    assert (one / "model.pickle").read_bytes() == (again / "model.pickle").read_bytes()
    assert not Sklearn().equal(one, other)


def test_models_are_compared_by_their_state_where_bytes_differ() -> None:
    model, again = fitted(), fitted()
    again.estimators_[0].tree_.value[0] += 1e-13
    assert same(model, again)
    again.estimators_[0].tree_.value[0] += 1.0
    assert not same(model, again)


def test_an_estimator_that_plain_pickling_cannot_write_is_left_to_the_pickle(tmp_path: Path) -> None:
    from sklearn.preprocessing import FunctionTransformer

    with pytest.raises(Unfit):
        Sklearn().save(FunctionTransformer(lambda rows: rows), tmp_path)


def drawn(colour: str = "red") -> Figure:
    figure = Figure(figsize=(2, 1.5), dpi=80)
    figure.subplots().plot([1, 2, 3], color=colour)
    return figure


def test_figures_are_pictures(tmp_path: Path) -> None:
    one, again, other, second = folders(tmp_path, "one", "again", "other", "second")
    back = roundtrip(FigureMaterializer(), drawn(), one)
    FigureMaterializer().save(drawn(), again)
    FigureMaterializer().save(drawn("blue"), other)
    assert (one / "figure.png").read_bytes() == (again / "figure.png").read_bytes()
    assert isinstance(back, Figure)
    assert tuple(back.get_size_inches() * back.dpi) == (160, 120)
    assert not FigureMaterializer().equal(one, other)
    FigureMaterializer().save(back, second)
    assert FigureMaterializer().equal(one, second)


def test_plotly_figures_are_json(tmp_path: Path) -> None:
    figure = go.Figure(go.Scatter(x=np.arange(3), y=[1, None, 3]))
    back = roundtrip(Plotly(), figure, tmp_path)
    assert type(back) is go.Figure
    assert json.loads(back.to_json()) == json.loads(figure.to_json())


@dataclasses.dataclass
class Splits:
    train: pd.DataFrame
    test: pl.DataFrame
    weights: np.ndarray
    parts: dict[str, pd.Series]
    seed: int = 0


class Trained(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)

    table: pd.DataFrame
    note: str = ""


def splits(value: float = 1.0) -> Splits:
    return Splits(
        pd.DataFrame({"a": [value]}),
        pl.DataFrame({"b": ["x"]}),
        np.arange(3.0),
        {"s": pd.Series([1], name="n")},
        7,
    )


def test_tables_and_arrays_in_a_dataclass_are_files_of_their_own(tmp_path: Path) -> None:
    back = roundtrip(Dataclass(), splits(), tmp_path)
    assert type(back) is Splits
    assert same(back, splits())
    assert type(back.parts["s"]) is pd.Series
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()) == [
        "parts/0/table.parquet",
        "parts/1/table.parquet",
        "parts/2/array.npy",
        "parts/3/series.parquet",
        "value.json",
    ]


def test_a_dataclass_with_other_numbers_is_not_equal(tmp_path: Path) -> None:
    one, other = folders(tmp_path, "one", "other")
    Dataclass().save(splits(), one)
    Dataclass().save(splits(2.0), other)
    assert not Dataclass().equal(one, other)


def test_a_dict_of_tables(tmp_path: Path) -> None:
    value = {"b": pd.DataFrame({"x": [1]}), "a": (np.zeros(2), None)}
    back = roundtrip(Json(), value, tmp_path)
    assert list(back) == ["b", "a"]
    assert same(back, value)


def test_a_model_of_pydantic_with_a_table(tmp_path: Path) -> None:
    back = roundtrip(Pydantic(), Trained(table=pd.DataFrame({"x": [1]}), note="n"), tmp_path)
    assert (type(back), back.note, back.table["x"].tolist()) == (Trained, "n", [1])


@pytest.mark.parametrize(
    "value",
    [{"model": fitted(trees=1)}, [object()], {"t": pd.DataFrame({"o": ["a", 1]})}],
    ids=["model", "any", "table"],
)
def test_what_only_a_pickle_keeps_is_not_hidden_in_json(value: Any, tmp_path: Path) -> None:
    with pytest.raises(Unfit):
        Json().save(value, tmp_path)


def test_what_holds_itself_is_left_to_the_pickle(tmp_path: Path) -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(Unfit, match="holds itself"):
        Json().save(value, tmp_path)
    back = roundtrip(Pickle(), value, tmp_path)
    assert back[0] is back


def test_a_reference_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "value.json").write_text('{"$part":["../../x","text","builtins:str"]}')
    with pytest.raises(ArtifactError):
        Json().load(tmp_path)


def test_functions_of_a_notebook_are_pickled_by_value(tmp_path: Path) -> None:
    offset = 2
    assert roundtrip(Pickle(), lambda x: x + offset, tmp_path)(1) == 3


def test_what_cannot_be_pickled_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        Pickle().save((n for n in range(3)), tmp_path)
    assert str(caught.value) == (
        "the value, a generator, cannot be pickled\n"
        "  why: no materializer takes it, and pickling says: cannot pickle 'generator' object\n"
        "  fix: return plain values, tables, arrays or models, "
        "or write a materializer for its class: @turnout.materializer(TheClass)"
    )


def test_a_file_is_kept_by_content_under_a_neutral_name(tmp_path: Path) -> None:
    (folder,) = folders(tmp_path, "saved")
    source = tmp_path / "My data.2026.CSV.gz"
    source.write_bytes(b"x")
    back = roundtrip(FileContent(), source, folder)
    assert (type(back), back.name, back.read_bytes()) == (File, "file.CSV.gz", b"x")
    (again,) = folders(tmp_path, "again")
    FileContent().save(str(source), again)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.parquet", ".parquet"),
        ("a.tar.gz", ".tar.gz"),
        ("a.2026.csv", ".csv"),
        ("a.gz", ".gz"),
        (".profile", ""),
        ("README", ""),
        ("a.b c", ""),
        ("a.", ""),
        ("a.x'; rm -rf", ""),
    ],
)
def test_suffixes(name: str, suffix: str) -> None:
    assert suffix_of(name) == suffix


def tree(folder: Path) -> dict[str, bytes | None]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def test_a_folder_is_kept_with_all_it_holds(tmp_path: Path) -> None:
    source, saved, outside = folders(tmp_path, "source", "saved", "outside")
    (source / "a" / "b c").mkdir(parents=True)
    (source / "empty").mkdir()
    (source / "a" / "b c" / "ü.txt").write_text("1")
    (source / ".hidden").write_text("2")
    (outside / "blob").write_text("3")
    (source / "link").symlink_to(outside / "blob")
    (source / "linked").symlink_to(outside)
    back = roundtrip(FolderContent(), source, saved)
    assert type(back) is Folder
    assert tree(back) == tree(source) | {"linked/blob": b"3"}
    assert not any(path.is_symlink() for path in back.rglob("*"))


def test_a_folder_that_links_to_itself_is_refused(tmp_path: Path) -> None:
    source, saved = folders(tmp_path, "source", "saved")
    (source / "loop").symlink_to(source)
    with pytest.raises(ArtifactError, match="the link loop leads back to a folder it lies in"):
        FolderContent().save(source, saved)


@pytest.mark.parametrize("make", [lambda p: p.symlink_to("nowhere"), os.mkfifo], ids=["broken link", "pipe"])
def test_what_has_no_content_is_refused(make: Any, tmp_path: Path) -> None:
    source, saved = folders(tmp_path, "source", "saved")
    make(source / "odd")
    with pytest.raises(ArtifactError, match="odd is neither a file nor a folder"):
        FolderContent().save(source, saved)


@pytest.mark.parametrize(("materializer", "kind"), [(FileContent(), "file"), (FolderContent(), "folder")])
def test_a_path_to_nothing_is_refused(materializer: Materializer, kind: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=f"there is no {kind} "):
        materializer.save(tmp_path / "missing", tmp_path)
    with pytest.raises(ArtifactError, match="a path was expected, not a value of builtins:int"):
        materializer.save(3, tmp_path)
