"""A pickle's private copy: the same value, whatever it holds; of a file that is no pickle, no more than its bytes."""

from __future__ import annotations

import io
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.artifacts.artifacts import Artifacts
from turnout.base.canonical import DigestReader, digest
from turnout.materializers import private
from turnout.materializers.builtin import BUILTIN
from turnout.materializers.choice import Materializers
from turnout.materializers.sameness import same
from turnout.model.records import Manifest
from turnout.stores.local import LocalStore

LARGE = private.LARGE
DATA = bytes(range(256)) * (LARGE // 256 + 1)


class Holder:
    def __init__(self, value):
        self.value = value


def read_only():
    array = np.arange(LARGE, dtype="f4")
    array.flags.writeable = False
    return array


SHARED = np.arange(LARGE)
VALUES = {
    "small": lambda: {"a": [1, "b", None]},
    "bytes": lambda: [DATA, DATA[:-1], b"small"],
    "bytearray": lambda: [bytearray(DATA), bytearray(b"small")],
    "just large": lambda: [b"x" * LARGE, b"x" * (LARGE - 1), bytearray(LARGE), b""],
    "long text": lambda: ["\u00e9" * LARGE, DATA],
    "array": lambda: [np.arange(LARGE), np.ones((300, 300), order="F"), np.arange(LARGE)[::2]],
    "read-only array": lambda: [read_only()],
    "the same twice": lambda: [SHARED, SHARED, DATA, DATA],
    "object array": lambda: np.array([DATA, None, 1.5], dtype=object),
    "frame": lambda: Holder(pd.DataFrame({"a": np.arange(LARGE), "b": "x"})).value,
    "long int": lambda: [1 << 9_000, DATA],
    "nested pickle": lambda: [pickle.dumps(np.arange(LARGE)), np.arange(LARGE)],
}


def copied(data: bytes) -> private.PrivateCopy:
    reader = DigestReader(io.BytesIO(data))
    copy = private.copied(reader, len(data), io.BytesIO())
    assert (reader.digest, reader.size) == (digest(data), len(data))
    return copy


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", VALUES)
def test_the_value_is_the_same(kind, protocol):
    data = pickle.dumps(VALUES[kind](), protocol)
    written = io.BytesIO()
    pickle.Pickler(written, protocol).dump(VALUES[kind]())  # by a stream, frames may lie otherwise
    for one in (data, written.getvalue()):
        value = copied(one).load()
        plain = pickle.loads(one)
        assert same(value, plain)
        assert pickle.dumps(value, 5) == pickle.dumps(plain, 5)


def test_large_bytes_are_read_to_where_they_stay():
    array = np.arange(LARGE)
    copy = copied(pickle.dumps([array, bytes(LARGE)], 5))
    assert [type(one) for one in copy.buffers] == [bytearray, bytes]
    value, _ = copy.load()
    assert np.shares_memory(value, np.frombuffer(copy.buffers[0], "u1"))
    assert value.flags.writeable


def test_what_is_small_of_a_large_file_lies_in_a_file_without_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(private, "IN_MEMORY", 1)
    data = pickle.dumps([np.arange(LARGE), "x"], 5)
    with private.room(len(data), tmp_path) as stream:
        assert stream.fileno()
        assert private.copied(DigestReader(io.BytesIO(data)), len(data), stream).load()[1] == "x"
        assert not list(tmp_path.iterdir())


def test_no_room_is_made_for_more_than_the_file_has():
    head = pickle.PROTO + b"\x05" + pickle.BYTEARRAY8
    copy = copied(head + (1 << 62).to_bytes(8, "little") + b"abc")
    assert not copy.buffers
    with pytest.raises(EOFError):
        private.copied(DigestReader(io.BytesIO(head + LARGE.to_bytes(8, "little") + b"abc")), LARGE + 20, io.BytesIO())


@given(st.binary(max_size=300), st.integers(0, 4))
def test_whatever_a_file_holds_nothing_is_run_and_all_is_read(data, start):
    given_bytes = (pickle.PROTO + b"\x05" + data) if start else data
    copy = copied(given_bytes)
    assert copy.stream.read() == given_bytes


def test_an_estimator_that_joblib_wrote_is_read(tmp_path):
    """As turnout 0.1.0 saved them."""
    from sklearn.linear_model import LinearRegression

    artifacts = Artifacts(LocalStore.from_url(str(tmp_path / "store")), Materializers(BUILTIN), tmp_path / "work")
    model = LinearRegression().fit(np.arange(30_000.0).reshape(-1, 3), np.arange(10_000.0))
    with artifacts.blobs.staging() as folder:
        joblib.dump(model, folder / "model.joblib", compress=0, protocol=5)
        manifest = artifacts.blobs.write(folder, "sklearn", "sklearn.linear_model._base:LinearRegression")
    assert isinstance(manifest, Manifest)
    back = artifacts.load(artifacts.find(manifest.digest))
    assert (back.coef_ == model.coef_).all()
