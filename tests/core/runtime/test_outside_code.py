"""What a key holds beside the project's code and the pins: packages that no pin covers, and classes inside values."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest

from turnout.environment import imported
from turnout.materializers import uses
from turnout.materializers.pickled import Pickle


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in {"helper", "deeper", "shop_pickled"}]:
        del sys.modules[name]


def install(folder: Path, name: str, version: str, *, requires: str = "") -> None:
    (folder / f"{name}.py").write_text("x = 1\n")
    for old in folder.glob(f"{name}-*.dist-info"):
        for file in old.iterdir():
            file.unlink()
        old.rmdir()
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n{requires}\n")
    (info / "RECORD").write_text(f"{name}.py,,\n")


def test_a_module_of_no_distribution_counts_by_its_content(path):
    (path / "helper.py").write_text("x = 1\n")
    before = imported.unpinned(["helper"], {})
    (path / "helper.py").write_text("x = 2\n")
    after = imported.unpinned(["helper"], {})
    assert before.keys() == after.keys() == {"helper helper.py"}
    assert before != after


def test_what_such_a_module_imports_counts_too(path):
    (path / "helper").mkdir()
    (path / "helper" / "__init__.py").write_text("def f():\n    import deeper\n    return deeper.x\n")
    (path / "deeper.py").write_text("x = 1\n")
    before = imported.unpinned(["helper"], {})
    (path / "deeper.py").write_text("x = 2\n")
    assert before != imported.unpinned(["helper"], {})


def test_of_a_distribution_that_nobody_pinned_the_version_counts_and_those_that_it_needs(path):
    install(path, "helper", "1.0", requires="Requires-Dist: deeper")
    install(path, "deeper", "1.0")
    assert imported.unpinned(["helper"], {}) == {"helper (version)": "1.0", "deeper (version)": "1.0"}
    install(path, "helper", "2.0", requires="Requires-Dist: deeper")
    assert imported.unpinned(["helper"], {})["helper (version)"] == "2.0"


def test_what_a_pin_covers_does_not_count(path):
    install(path, "helper", "1.0")
    assert imported.unpinned(["helper", "numpy", "sklearn", "yaml", "json", "turnout"], _pins("helper")) == {}
    assert imported.unpinned(["helper"], {"helper": "2.0"}) == {"helper (version)": "1.0"}, "what is here shadows it"
    assert imported.unpinned(["no_such_package"], {}) == {}


def _pins(*names: str) -> dict[str, str]:
    from turnout.environment.installed import distributions

    have = {name: one.version for name, one in distributions().items()}
    return {**have, **dict.fromkeys(names, "1.0")}


def test_of_a_source_tree_that_is_installed_in_place_the_content_counts(path):
    (path / "helper.py").write_text("x = 1\n")
    (path / "helper.egg-info").mkdir()
    (path / "helper.egg-info" / "PKG-INFO").write_text("Name: helper\nVersion: 1.0\n")
    before = imported.unpinned(["helper"], {"helper": "1.0"})
    (path / "helper.py").write_text("x = 2\n")
    assert before
    assert before != imported.unpinned(["helper"], {"helper": "1.0"})


# classes inside values


@pytest.fixture
def box(path):
    (path / "shop_pickled.py").write_text("class Box:\n    pass\nclass Other:\n    pass\n")
    import shop_pickled

    return shop_pickled.Box()


SAVED = {
    "pickle": lambda value, folder: Pickle().save(value, folder),
    "in a frame": lambda value, folder: Pickle().save(__import__("pandas").DataFrame({"a": [value]}), folder),
    "joblib": lambda value, folder: joblib.dump([np.arange(10_000), value], folder / "model.joblib"),
    "after arrays": lambda value, folder: joblib.dump([np.random.default_rng(0).bytes(90_000), value], folder / "m"),
    "joblib, zlib": lambda value, folder: joblib.dump(value, folder / "model.joblib", compress=3),
    "joblib, xz": lambda value, folder: joblib.dump(value, folder / "model.joblib", compress=("xz", 3)),
    "protocol 0": lambda value, folder: (folder / "a.pkl").write_bytes(__import__("pickle").dumps(value, 0)),
    "protocol 2": lambda value, folder: (folder / "a.pkl").write_bytes(__import__("pickle").dumps(value, 2)),
    "an archive": lambda value, folder: _archived(__import__("pickle").dumps(value), folder),
    "an array": lambda value, folder: np.save(folder / "a.npy", np.array([value], dtype=object), allow_pickle=True),
}


def _archived(data: bytes, folder: Path) -> None:
    with zipfile.ZipFile(folder / "model.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.pkl", data)


@pytest.mark.parametrize("name", SAVED)
def test_the_classes_inside_are_found_however_it_was_pickled(box, tmp_path, name):
    folder = tmp_path / "saved"
    folder.mkdir()
    SAVED[name](box, folder)
    found = uses.in_files(folder)
    assert "shop_pickled:Box" in found
    assert "shop_pickled:Other" not in found


def test_what_cannot_be_read_is_told_apart_from_nothing(tmp_path):
    (tmp_path / "a.lz4").write_bytes(b"\x04\x22\x4d\x18rest")
    assert uses.in_files(tmp_path) is None
    (tmp_path / "a.lz4").write_bytes(b"plain")
    assert uses.in_files(tmp_path) == ()


CODE = """
import enum
class Box:
    def __init__(self, x): self.x = x
    def run(self): return self.x + 1
class Name(str):
    def shout(self): return self + "!"
class Shade(enum.Enum):
    RED = 1
    def show(self): return 1
def frame():
    import pandas as pd
    return pd.DataFrame({"a": [Box(1)]})
def name(): return Name("a")
def shade(): return {"a": Shade.RED}
def run(given): return 1
"""
CHANGES = {"frame": ("self.x + 1", "self.x + 2"), "name": ('"!"', '"?"'), "shade": ("return 1", "return 2")}


@pytest.mark.parametrize("maker", CHANGES)
def test_a_class_inside_a_value_is_in_the_key_of_the_step_that_is_given_it(bench, maker):
    def key(code: str, run: str) -> str:
        bench.write(code)
        bench.make(bench.step(maker), bench.step("run", given=bench.out(maker)))
        bench.call(maker, run=run)
        bench.call("run", run=run)
        return bench.record("run", run=run).cache_key

    old, new = CHANGES[maker]
    first = key(CODE, "run 1")
    assert key(CODE, "run 2") == first
    assert key(CODE.replace(old, new, 1), "run 3") != first
