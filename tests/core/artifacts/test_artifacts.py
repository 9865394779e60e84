"""Artifacts: saved once, verified whenever they are read, read anew each time, and never changed by who reads them."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression

from turnout.artifacts import blobs
from turnout.artifacts.artifacts import Artifacts
from turnout.artifacts.saving import path_artifact, unprofiled
from turnout.artifacts.small import LIMIT
from turnout.base import canonical
from turnout.base.errors import ArtifactError, PluginError
from turnout.files import File, Folder
from turnout.materializers.array import MAPPED
from turnout.materializers.builtin import BUILTIN
from turnout.materializers.choice import Materializers
from turnout.materializers.classes import name_of, names_of
from turnout.model.plan import OutputPlan
from turnout.model.records import Artifact, FileEntry, Manifest, OutputRecord
from turnout.model.types import ANY, TypeName
from turnout.stores import layout
from turnout.stores.local import LocalConfig, LocalStore


class Remote(LocalStore):
    """A store whose objects are not local files, as a bucket's are not."""

    name = "remote"
    fetched: int = 0

    def local_path(self, key: str) -> Path | None:
        return None

    def staging(self) -> Any:
        return None

    def fetch(self, key: str, path: Path) -> bool:
        self.fetched += 1
        return super().fetch(key, path)


@pytest.fixture(params=[LocalStore, Remote], ids=["local", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> LocalStore:
    kind: type[LocalStore] = request.param
    return kind(LocalConfig(root=str(tmp_path / "store")))


def opened(store: LocalStore, work: Path) -> Artifacts:
    return Artifacts(store, Materializers(BUILTIN), work)


@pytest.fixture
def artifacts(store: LocalStore, tmp_path: Path) -> Artifacts:
    return opened(store, tmp_path / "work")


def output(declared: Any = None, *, collection: bool = False, optional: bool = False, by: str = "auto") -> OutputPlan:
    kind = ANY
    if declared is not None:
        names = names_of(declared)
        text = f"list[{declared.__name__}]" if collection else declared.__name__
        kind = TypeName(name=names[0], bases=names[1:], text=text, optional=optional, collection=collection)
    return OutputPlan(name="out", type=kind, materializer=by)


def recorded(record: OutputRecord) -> OutputRecord:
    """The record as it comes back from ``record.json``."""
    return msgspec.json.decode(canonical.encode(record), type=OutputRecord)


def saved(artifacts: Artifacts, value: Any, plan: OutputPlan | None = None) -> Artifact:
    record = recorded(artifacts.save(value, plan or output()))
    assert record.artifact is not None
    return record.artifact


def objects(store: LocalStore) -> list[str]:
    return [entry.key for entry in store.list("artifacts")]


def overwrite(store: LocalStore, key: str, data: bytes) -> None:
    store.delete(key)
    assert store.create(key, data)


FRAME = pd.DataFrame({"a": [1, 2], "s": ["x", None]})
VALUES = [None, 3, "text", "t" * 5000, b"bytes", {"b": 1, "a": (2,)}, list(range(5000)), np.arange(3), FRAME, object]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_come_back(value: Any, artifacts: Artifacts) -> None:
    back = artifacts.load(saved(artifacts, value))
    assert type(back) is type(value)
    if isinstance(value, (np.ndarray, pd.DataFrame)):
        assert np.array_equal(back, value) if isinstance(value, np.ndarray) else back.equals(value)
    else:
        assert back == value


def test_small_plain_values_live_in_the_record(artifacts: Artifacts, store: LocalStore) -> None:
    artifact = saved(artifacts, {"r2": 0.5, "n": 3})
    assert artifact.inline
    assert artifact.value == {"r2": 0.5, "n": 3, "$keys": ["r2", "n"]}
    assert objects(store) == []


def test_the_limit_of_what_lives_in_the_record(artifacts: Artifacts) -> None:
    assert saved(artifacts, "x" * (LIMIT - 2)).inline
    assert not saved(artifacts, "x" * (LIMIT - 1)).inline


def test_a_list_output_is_an_artifact_an_element(artifacts: Artifacts) -> None:
    plan = output(int, collection=True)
    record = recorded(artifacts.save([1, 2, 2], plan))
    assert record.artifact is None
    assert record.elements is not None
    assert record.elements[1] == record.elements[2] != record.elements[0]
    assert artifacts.load_output(record, plan.type) == [1, 2, 2]
    assert recorded(artifacts.save([], plan)).elements == ()
    assert artifacts.load_output(recorded(artifacts.save((), plan))) == []


def test_equal_values_have_one_digest_and_other_types_another(artifacts: Artifacts) -> None:
    assert saved(artifacts, {1, 2}).digest == saved(artifacts, {2, 1}).digest
    digests = [saved(artifacts, value).digest for value in (1, 1.0, True, "1", [1], (1,), {1}, None, {"a": 1})]
    assert len(set(digests)) == len(digests)


def test_saving_again_writes_nothing(artifacts: Artifacts, store: LocalStore) -> None:
    first = saved(artifacts, FRAME)
    before = list(store.list("artifacts"))
    assert saved(artifacts, FRAME.copy()) == first
    assert list(store.list("artifacts")) == before
    assert objects(store) == [
        layout.blob(first.digest, "table.parquet"),
        layout.manifest(first.digest),
    ]


def test_nothing_is_left_in_staging(artifacts: Artifacts, store: LocalStore, tmp_path: Path) -> None:
    saved(artifacts, FRAME)
    with pytest.raises(ArtifactError):
        saved(artifacts, (n for n in range(3)))
    staging = store.staging() or tmp_path / "work" / "staging"
    assert list(staging.iterdir()) == []


def test_what_a_table_cannot_keep_is_pickled_and_marked(artifacts: Artifacts) -> None:
    odd = pd.DataFrame({"o": ["a", 1]})
    artifact = saved(artifacts, odd, output(pd.DataFrame, by="table"))
    assert (artifact.materializer, artifact.marked) == ("pickle", True)
    assert artifacts.load(artifact).equals(odd)
    wanted = TypeName(name=name_of(pl.DataFrame), text="pl.DataFrame")
    with pytest.raises(ArtifactError, match=r"cannot be read as pl\.DataFrame"):
        artifacts.load(artifact, wanted)


def test_models_are_marked(artifacts: Artifacts) -> None:
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
    artifact = saved(artifacts, model)
    assert (artifact.materializer, artifact.marked) == ("sklearn", True)
    assert artifacts.load(artifact).predict([[2.0]]) == pytest.approx([4.0])
    with pytest.raises(ArtifactError, match="it is a pickle, and its record does not say so"):
        artifacts.load(msgspec.structs.replace(artifact, marked=False))


def test_any_library_reads_a_table(artifacts: Artifacts) -> None:
    artifact = saved(artifacts, FRAME)
    back = artifacts.load(artifact, TypeName(name=name_of(pl.DataFrame)))
    assert isinstance(back, pl.DataFrame)
    assert back.to_dict(as_series=False) == {"a": [1, 2], "s": ["x", None]}
    assert type(artifacts.load(artifact, TypeName(name="builtins:object"))) is pd.DataFrame


# No reader changes what another reads


@pytest.mark.parametrize(
    "value",
    [{"a": [1]}, {"a": list(range(5000))}, {"a": FRAME}, {"a": np.zeros(MAPPED // 8 + 1)}],
    ids=["inline", "json", "table", "mapped"],
)
def test_a_change_by_one_reader_is_not_seen_by_another(value: Any, artifacts: Artifacts) -> None:
    artifact = saved(artifacts, value)
    before = canonical.digest(repr(artifacts.load(artifact)).encode())
    first = artifacts.load(artifact)
    if isinstance(first["a"], list):
        first["a"].append(-1)
    elif isinstance(first["a"], pd.DataFrame):
        first["a"].loc[0, "a"] = -1
    else:
        first["a"][:] = -1
    first["b"] = 1
    assert canonical.digest(repr(artifacts.load(artifact)).encode()) == before
    artifacts.verify(artifact)


def test_a_change_to_the_saved_value_is_not_seen(artifacts: Artifacts) -> None:
    value = {"a": [1]}
    record = artifacts.save(value, output())
    value["a"].append(2)
    assert artifacts.load_output(record) == {"a": [1]}


def test_a_step_may_do_with_its_file_what_it_likes(artifacts: Artifacts, tmp_path: Path) -> None:
    source = tmp_path / "flights.parquet"
    source.write_bytes(b"data")
    artifact = artifacts.save_path(source, "file")
    path = artifacts.materialise_file(artifact)
    assert path == tmp_path / "work" / "inputs" / artifact.digest[:12] / "input.parquet"
    assert isinstance(path, File)
    path.write_bytes(b"changed")
    artifacts.verify(artifact)
    assert artifacts.materialise_file(artifact).read_bytes() == b"data"
    assert artifacts.load(artifact).read_bytes() == b"data"


def test_a_file_keeps_its_name_on_the_record_and_for_a_user(artifacts: Artifacts, tmp_path: Path) -> None:
    source = tmp_path / "a report.v2.html"
    source.write_text("<p>")
    artifact = saved(artifacts, File(source))
    assert artifact.name == "a report.v2.html"
    assert artifacts.load(artifact).name == "input.html", "a step sees a neutral one"
    artifacts.kept = tmp_path / "loaded"
    assert artifacts.load(artifact) == tmp_path / "loaded" / artifact.digest[:12] / "a report.v2.html"
    hostile = msgspec.structs.replace(artifact, name="../../out.html")
    assert artifacts.load(hostile).name == "input.html"
    (tmp_path / "taken").write_text("")
    artifacts.kept = tmp_path / "taken"
    assert artifacts.load(artifact).is_relative_to(tmp_path / "work"), "a folder that cannot be made"
    assert saved(artifacts, artifacts.load(artifact)).name == "", "what a step was given has no name of its own"


def test_a_step_may_do_with_its_folder_what_it_likes(artifacts: Artifacts, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "empty").mkdir(parents=True)
    (source / "sub").mkdir()
    (source / "sub" / "a.txt").write_text("a")
    artifact = artifacts.save_path(source, "folder")
    path = artifacts.materialise_file(artifact)
    assert isinstance(path, Folder)
    shutil.rmtree(path / "sub")
    (path / "more").write_text("x")
    again = artifacts.load(artifact)
    assert sorted(p.relative_to(again).as_posix() for p in again.rglob("*")) == ["empty", "sub", "sub/a.txt"]
    assert path_artifact(source, "folder") == artifact


# Files and folders


def test_a_file_in_the_store_is_not_copied_again(
    artifacts: Artifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "data.csv"
    source.write_text("a")
    artifact = artifacts.save_path(source, "file", ".csv")
    monkeypatch.setattr(shutil, "copyfile", None)
    assert artifacts.save_path(source, "file", ".csv") == artifact == path_artifact(source, "file")
    assert source.read_text() == "a"


def test_a_suffix_is_given_where_the_name_has_none(artifacts: Artifacts, tmp_path: Path) -> None:
    source = tmp_path / "download"
    source.write_text("a")
    artifact = artifacts.save_path(source, "file", ".csv")
    assert artifact == path_artifact(source, "file", ".csv")
    assert artifacts.materialise_file(artifact, "input.csv").name == "input.csv"
    assert artifacts.materialise_file(artifacts.save_path(source, "file"), "input.txt").name == "input.txt"


def test_a_step_hands_on_a_file_by_its_path(artifacts: Artifacts, tmp_path: Path) -> None:
    source = tmp_path / "plot.svg"
    source.write_text("<svg/>")
    by_name = saved(artifacts, str(source), output(File, by="file"))
    by_path = saved(artifacts, source)
    source.unlink()
    assert by_name == by_path
    assert artifacts.load(by_name).read_text() == "<svg/>"


def test_a_missing_file_is_refused(artifacts: Artifacts, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="there is no file"):
        artifacts.save_path(tmp_path / "missing", "file")
    with pytest.raises(ArtifactError, match="there is no folder"):
        saved(artifacts, tmp_path / "missing", output(Folder, by="folder"))


def test_the_files_of_an_artifact_can_be_had(artifacts: Artifacts, tmp_path: Path) -> None:
    folder = artifacts.local_folder(saved(artifacts, FRAME))
    assert [path.name for path in folder.iterdir()] == ["table.parquet"]
    assert json.loads((artifacts.local_folder(saved(artifacts, {"a": 1})) / "value.json").read_text()) == {"a": 1}
    artifacts.copy_to(saved(artifacts, "x" * 5000), tmp_path / "to" / "copy")
    assert (tmp_path / "to" / "copy" / "text.txt").read_text() == "x" * 5000


def test_an_artifact_is_found_by_its_digest(artifacts: Artifacts) -> None:
    for value in (FRAME, LinearRegression()):
        artifact = saved(artifacts, value)
        assert artifacts.find(artifact.digest) == unprofiled(artifact)  # which its record alone has


# Damage


def damage_and_expect(artifacts: Artifacts, artifact: Artifact, match: str) -> None:
    with pytest.raises(ArtifactError, match=match):
        artifacts.load(artifact)


def test_a_changed_byte_is_found(artifacts: Artifacts, store: LocalStore, tmp_path: Path) -> None:
    artifact = saved(artifacts, FRAME)
    artifacts.load(artifact)
    key = layout.blob(artifact.digest, "table.parquet")
    data = store.read(key)
    assert data is not None
    overwrite(store, key, data[:-1] + bytes([data[-1] ^ 1]))
    reader = opened(store, tmp_path / "other")
    with pytest.raises(ArtifactError) as caught:
        reader.load(artifact)
    assert str(caught.value) == (
        f"the artifact {artifact.digest[:12]} is damaged: table.parquet in the store {store.address}\n"
        "  why: its content has changed\n"
        "  fix: run the step that made it again: `turnout runs invalidate RUN STEP`, then `turnout runs resume RUN`"
    )


def test_a_change_after_a_first_reading_is_found(tmp_path: Path) -> None:
    store = LocalStore(LocalConfig(root=str(tmp_path / "store")))
    artifacts = opened(store, tmp_path / "work")
    artifact = saved(artifacts, FRAME)
    artifacts.load(artifact)
    key = layout.blob(artifact.digest, "table.parquet")
    data = store.read(key)
    assert data is not None
    overwrite(store, key, b"!" + data[1:])
    damage_and_expect(artifacts, artifact, "its content has changed")


def test_a_file_cut_short_is_found(artifacts: Artifacts, store: LocalStore) -> None:
    artifact = saved(artifacts, b"0123456789")
    overwrite(store, layout.blob(artifact.digest, "data.bin"), b"01234")
    for action in (artifacts.load, artifacts.verify):
        with pytest.raises(ArtifactError, match="it has 5 bytes instead of 10"):
            action(artifact)


def test_a_file_that_is_gone_is_found(artifacts: Artifacts, store: LocalStore) -> None:
    artifact = saved(artifacts, {"a": FRAME})
    store.delete(layout.blob(artifact.digest, "parts/0/table.parquet"))
    for action in (artifacts.load, artifacts.verify):
        with pytest.raises(ArtifactError, match=r"parts/0/table\.parquet in the store .*\n  why: it is gone"):
            action(artifact)


def test_an_artifact_that_is_gone_is_found(artifacts: Artifacts) -> None:
    artifact = saved(artifacts, FRAME)
    artifacts.discard(artifact)
    for action in (artifacts.load, artifacts.verify, artifacts.materialise_file):
        with pytest.raises(ArtifactError, match="is not in the store"):
            action(artifact)


def test_a_changed_manifest_is_found(artifacts: Artifacts, store: LocalStore) -> None:
    artifact = saved(artifacts, FRAME)
    overwrite(store, layout.manifest(artifact.digest), b"{}")
    damage_and_expect(artifacts, artifact, r"manifest\.json in the store")


def test_a_changed_inline_value_is_found(artifacts: Artifacts) -> None:
    artifact = msgspec.structs.replace(saved(artifacts, {"a": 1}), value={"a": 2})
    damage_and_expect(artifacts, artifact, "it is not what its digest says")
    with pytest.raises(ArtifactError):
        artifacts.verify(artifact)


def test_a_record_cannot_choose_another_materializer(artifacts: Artifacts) -> None:
    artifact = msgspec.structs.replace(saved(artifacts, FRAME), materializer="pickle", marked=True)
    damage_and_expect(artifacts, artifact, "its record says pickle of .*, its manifest table of")


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "a//b", "./a", "", "..", "a\\b", "a/../b/"])
def test_a_manifest_with_a_path_outside_is_refused(path: str, artifacts: Artifacts, store: LocalStore) -> None:
    manifest = Manifest(
        materializer="folder", type="turnout.files:Folder", files=(FileEntry(path, canonical.digest(b"x"), 1),)
    )
    store.create(layout.manifest(manifest.digest), canonical.encode(manifest))
    artifact = Artifact(digest=manifest.digest, materializer="folder", type=manifest.type)
    for action in (artifacts.load, artifacts.verify, artifacts.materialise_file):
        with pytest.raises(ArtifactError, match="is refused: it names the file"):
            action(artifact)


@pytest.mark.parametrize("harm", ["cut", "changed", "gone", "manifest"])
def test_saving_again_mends_what_was_damaged(harm: str, store: LocalStore, tmp_path: Path) -> None:
    first = opened(store, tmp_path / "first")
    artifact = saved(first, FRAME)
    key = layout.blob(artifact.digest, "table.parquet")
    data = store.read(key)
    assert data is not None
    if harm == "manifest":
        overwrite(store, layout.manifest(artifact.digest), b"{}")
    elif harm == "gone":
        store.delete(key)
    else:
        overwrite(store, key, data[:5] if harm == "cut" else b"!" + data[1:])
    second = opened(store, tmp_path / "second")
    if harm == "changed" and isinstance(store, Remote):
        second.discard(artifact)
    assert saved(second, FRAME) == artifact
    assert opened(store, tmp_path / "third").load(artifact).equals(FRAME)


def test_what_was_fetched_is_fetched_once_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Remote(LocalConfig(root=str(tmp_path / "store")))
    artifacts = opened(store, tmp_path / "work")
    ones = [saved(artifacts, bytes([n]) * 5000) for n in range(3)]
    for _ in range(2):
        artifacts.load(ones[0])
    assert store.fetched == 1
    monkeypatch.setattr("turnout.artifacts.blobs.KEPT", 11_000)
    for one in ones:
        artifacts.load(one)
    kept = sorted(path.name for path in (tmp_path / "work" / "fetched").iterdir())
    assert kept == sorted(one.digest for one in ones[1:])
    artifacts.load(ones[0])
    assert store.fetched == 4


# Types


class Quacks(Protocol):
    def quack(self) -> str: ...


@pytest.mark.parametrize(
    ("value", "declared"),
    [
        (1, float),
        (True, int),
        (np.float32(1), float),
        (np.int64(1), int),
        (np.str_("x"), str),
        (pl.DataFrame(), pd.DataFrame),
        (FRAME, pl.DataFrame),
        (LinearRegression(), LinearRegression.__mro__[1]),
        ([1], Sequence),
        ("anything", Quacks),
        ({}, dict),
        (None, type(None)),
        (3, object),
    ],
    ids=str,
)
def test_what_fits_the_declared_type(value: Any, declared: type, artifacts: Artifacts) -> None:
    kind = TypeName(name=name_of(declared), bases=names_of(declared)[1:], text=declared.__name__)
    artifacts.save(value, OutputPlan(name="out", type=kind))


@pytest.mark.parametrize(
    ("value", "declared", "message"),
    [
        (None, pd.DataFrame, "output 'out' is None, but DataFrame is declared"),
        ("1", int, "output 'out' is of type str, but int is declared"),
        (1.5, int, "output 'out' is of type float, but int is declared"),
        (True, float, "output 'out' is of type bool, but float is declared"),
        ({}, pd.DataFrame, "output 'out' is of type dict, but DataFrame is declared"),
        (Path("x"), dict, f"output 'out' is of type {type(Path()).__module__}.PosixPath, but dict is declared"),
        (3, File, "output 'out' is of type int, but File is declared"),
    ],
    ids=str,
)
def test_what_does_not_fit_the_declared_type(value: Any, declared: type, message: str, artifacts: Artifacts) -> None:
    with pytest.raises(ArtifactError) as caught:
        artifacts.save(value, output(declared))
    assert caught.value.what == message


def test_a_list_output_must_be_a_list(artifacts: Artifacts) -> None:
    plan = output(int, collection=True)
    with pytest.raises(ArtifactError, match=r"output 'out' is of type dict, but list\[int\] is declared"):
        artifacts.save({}, plan)
    with pytest.raises(ArtifactError, match=r"output 'out\[1\]' is of type str, but list\[int\] is declared"):
        artifacts.save([1, "2"], plan)


def test_none_is_a_value_where_it_is_declared(artifacts: Artifacts) -> None:
    plan = output(pd.DataFrame, optional=True, by="table")
    assert artifacts.load_output(recorded(artifacts.save(None, plan)), plan.type) is None
    assert artifacts.load_output(OutputRecord()) is None


# A project's own materializers


@dataclasses.dataclass
class Reading:
    degrees: float


class Thermometer:
    def save(self, value: Reading, folder: Path) -> None:
        if value.degrees < -273.15:
            raise ValueError("colder than cold")
        (folder / "degrees").write_text(str(value.degrees))

    def load(self, folder: Path) -> Reading:
        text = (folder / "degrees").read_text()
        (folder / "degrees").write_text("scribbled over")
        return Reading(float(text))


OWN = f"{__name__}:Thermometer"


def test_a_materializer_of_the_project_has_the_last_word(artifacts: Artifacts) -> None:
    artifact = saved(artifacts, Reading(20.5), output(Reading, by=OWN))
    assert (artifact.materializer, artifact.inline) == (OWN, False)
    for _ in range(2):
        assert artifacts.load(artifact) == Reading(20.5)
    artifacts.verify(artifact)


def test_what_fails_in_a_materializer_of_the_project_is_told_with_its_cause(artifacts: Artifacts) -> None:
    with pytest.raises(ArtifactError) as caught:
        saved(artifacts, Reading(-300), output(Reading, by=OWN))
    assert caught.value.what == f"output 'out' cannot be saved by the materializer {OWN}: ValueError: colder than cold"
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_missing_plugin_is_named(artifacts: Artifacts) -> None:
    with pytest.raises(PluginError, match="there is no materializer 'netcdf'"):
        saved(artifacts, FRAME, output(pd.DataFrame, by="netcdf"))


def test_a_missing_library_is_named(artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = saved(artifacts, np.zeros(3))

    def missing(*_: Any) -> None:
        raise ModuleNotFoundError("No module named 'numpy'", name="numpy")

    monkeypatch.setattr(artifacts.materializers.named("numpy"), "load", missing)
    with pytest.raises(ArtifactError) as caught:
        artifacts.load(artifact)
    assert str(caught.value) == (
        f"the artifact {artifact.digest[:12]}, a numpy:ndarray, cannot be read here: No module named 'numpy'\n"
        "  why: what it needs is neither installed nor in this project\n"
        "  fix: call it in the folder of its project, or install the package; for a step, add it to its requirements"
    )


# Comparing


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ({"a": 1.0}, {"a": 1.0 + 1e-12}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1.0}, {"a": 2.0}, False),
        (1, 1.0, False),
        (np.array([1.0]), np.array([1.0 + 1e-12]), True),
        (np.array([1.0]), np.array([2.0]), False),
        (FRAME, pl.from_pandas(FRAME), False),
        (FRAME, [1], False),
    ],
    ids=str,
)
def test_artifacts_are_compared_by_their_values(left: Any, right: Any, expected: bool, artifacts: Artifacts) -> None:
    assert artifacts.equal(saved(artifacts, left), saved(artifacts, right)) is expected


def test_a_guard_reads_plain_json(artifacts: Artifacts) -> None:
    record = recorded(artifacts.save({"r2": np.float64(0.5), "ok": np.bool_(True), "n": (1, 2)}, output()))
    assert artifacts.load_json(record) == {"r2": 0.5, "ok": True, "n": [1, 2]}


def test_an_element_of_a_list_may_be_none_where_that_is_declared(artifacts):
    type_ = TypeName(name="builtins:str", text="list[str | None]", collection=True, nullable=True)
    record = artifacts.save(["a", None], OutputPlan(name="names", type=type_))
    assert artifacts.load_output(record, type_) == ["a", None]
    with pytest.raises(ArtifactError, match=r"output 'names\[1\]' is None"):
        artifacts.save(["a", None], OutputPlan(name="names", type=msgspec.structs.replace(type_, nullable=False)))


def test_what_this_process_has_just_written_is_not_read_twice_unless_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(LocalConfig(root=str(tmp_path / "store")))
    artifacts = opened(store, tmp_path / "work")
    read: list[int] = []
    digest_file = canonical.digest_file

    def counted(path: Path) -> tuple[str, int]:
        found = digest_file(path)
        read.append(found[1])
        return found

    monkeypatch.setattr(canonical, "digest_file", counted)
    large, small = (saved(artifacts, b"x" * size) for size in (blobs.LARGE, 10_000))
    read.clear()
    assert (len(artifacts.load(large)), len(artifacts.load(small))) == (blobs.LARGE, 10_000)
    assert read == [10_000]
    (place,) = (tmp_path / "store" / "artifacts" / large.digest / "files").iterdir()
    place.chmod(0o644)
    place.write_bytes(b"y" * blobs.LARGE)
    os.utime(place, ns=(1, 1))  # an edit within the clock's grain is an edit, too
    with pytest.raises(ArtifactError, match="is damaged"):
        artifacts.load(large)
