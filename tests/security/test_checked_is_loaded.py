"""Of every format that executes, the bytes that are checked are the bytes that are loaded, whoever changes the store."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path

import msgspec
import pytest

from turnout.artifacts.artifacts import Artifacts
from turnout.base.errors import ArtifactError
from turnout.materializers.builtin import BUILTIN
from turnout.materializers.choice import Materializers
from turnout.model.plan import OutputPlan
from turnout.model.types import TypeName
from turnout.stores import layout
from turnout.stores.local import LocalStore

RAN: list[str] = []


class Evil:
    def __reduce__(self):
        return (RAN.append, ("evil",))


class Held:
    """A value that no other form takes."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self):
        return (Held, (self.number,))


class Keeper:
    """A project's own materializer, which reads its file when it likes."""

    def save(self, value, folder: Path) -> None:
        (folder / "held.bin").write_bytes(pickle.dumps(value))

    def load(self, folder: Path):
        return pickle.loads((folder / "held.bin").read_bytes())


def estimator():
    from sklearn.linear_model import LinearRegression

    return LinearRegression()


VALUES = {
    "pickle": (lambda: Held(1), "auto", "value.pickle"),
    "sklearn": (estimator, "auto", "model.pickle"),
    "own": (lambda: Held(1), f"{__name__}:Keeper", "held.bin"),
}


@pytest.fixture(params=VALUES)
def saved(request, tmp_path):
    """An artifact, its store's reader, and its file."""
    make, materializer, file = VALUES[request.param]
    materializers = Materializers(BUILTIN, load_project=lambda name: Keeper)
    artifacts = Artifacts(LocalStore.from_url(str(tmp_path / "store")), materializers, tmp_path / "work")
    output = OutputPlan(name="x", type=TypeName(name="any", text="Any"), materializer=materializer)
    artifact = artifacts.save(make(), output).artifact
    RAN.clear()
    path = artifacts.blobs.store.local_path(layout.blob(artifact.digest, file))
    return artifact, artifacts, path


def evil(size: int) -> bytes:
    data = pickle.dumps(Evil())
    return data + b"." * (size - len(data))


@pytest.mark.parametrize("large", [None, 1], ids=["in memory", "by a copy"])
def test_a_file_that_is_swapped_between_check_and_load_is_never_executed(saved, monkeypatch, large):
    """The moment between the two, hit exactly: when the materializer is about to read."""
    artifact, artifacts, path = saved
    kind = type(artifacts.materializers.named(artifact.materializer))
    name = "read" if hasattr(kind, "read") else "load"
    load = getattr(kind, name)

    def swapped(*given):
        path.chmod(0o644)
        path.write_bytes(evil(path.stat().st_size))
        return load(*given)

    monkeypatch.setattr(kind, name, staticmethod(swapped) if name == "read" else swapped)
    if large is not None:
        monkeypatch.setattr("turnout.materializers.private.IN_MEMORY", large)
    artifacts.load(artifact)
    assert not RAN
    with pytest.raises(ArtifactError, match="damaged"):
        artifacts.load(artifact)
    assert not RAN


@pytest.mark.parametrize("how", ["replaced", "written over"])
@pytest.mark.parametrize("large", [1 << 20, 1], ids=["in memory", "by a copy"])
def test_swaps_at_any_moment(saved, how, large, monkeypatch):
    monkeypatch.setattr("turnout.materializers.private.IN_MEMORY", large)
    artifact, artifacts, path = saved
    good, bad = path.read_bytes(), evil(path.stat().st_size)
    done = threading.Event()

    def swap():
        other = path.with_name("other")
        while not done.is_set():
            for data in (bad, good):
                if how == "replaced":
                    other.write_bytes(data)
                    other.replace(path)
                else:
                    path.chmod(0o644)
                    with path.open("r+b") as stream:
                        stream.write(data)

    thread = threading.Thread(target=swap)
    thread.start()
    loaded = 0
    try:
        for _ in range(100):
            try:
                artifacts.load(artifact)
                loaded += 1
            except ArtifactError:
                continue
    finally:
        done.set()
        thread.join()
    assert not RAN


def test_a_comparison_executes_nothing_unchecked_either(saved, monkeypatch):
    artifact, artifacts, path = saved
    kind = type(artifacts.materializers.named(artifact.materializer))
    equal = kind.equal
    other = msgspec.structs.replace(artifact, digest="0" * 64)
    monkeypatch.setattr(artifacts, "_manifest", lambda given: artifacts.blobs.manifest(artifact.digest))

    def swapped(self, left, right):
        path.chmod(0o644)
        path.write_bytes(evil(path.stat().st_size))
        return equal(self, left, right)

    monkeypatch.setattr(kind, "equal", swapped)
    artifacts.equal(other, artifact)
    assert not RAN


def test_a_function_by_value_that_was_changed_is_refused(bench):
    import cloudpickle

    from turnout.base.canonical import digest
    from turnout.base.errors import PlanError
    from turnout.model.plan import Code as Reference
    from turnout.model.spec import Entrypoint
    from turnout.project import unpacking
    from turnout.runtime.code import Code

    data = cloudpickle.dumps(lambda: 1)
    folder = bench.folder / "unpacked"
    file = folder / unpacking.value_path(digest(data))
    file.parent.mkdir(parents=True)
    file.write_bytes(evil(200))
    code = Code(Reference(digest="0" * 64, roots=(".",)), bench.store, bench.folder)
    code.__dict__["unpacked"] = folder
    with pytest.raises(PlanError, match="not what the plan says"):
        code.load(Entrypoint(module="x", qualname="f", value=digest(data)))
    file.write_bytes(data)
    assert code.load(Entrypoint(module="x", qualname="f", value=digest(data)))() == 1
    assert not RAN
