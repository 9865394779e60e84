"""The built-in components pass the suites that plugins must pass."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from turnout.builtin.allowed_images import Images, ImagesSettings
from turnout.builtin.clean_git import CleanGit
from turnout.builtin.jsonl import JsonLines, JsonLinesSettings
from turnout.builtin.no_pickle import NoPickle
from turnout.builtin.secrets_from_environment import EnvironmentSecrets, EnvironmentSettings
from turnout.builtin.secrets_from_files import FileSecrets, FileSettings
from turnout.features.local.settings import LocalFeatureSettings, ViewSettings
from turnout.features.local.store import LocalFeatureStore
from turnout.materializers.array import Numpy
from turnout.materializers.estimator import Sklearn
from turnout.materializers.pickled import Pickle
from turnout.materializers.structured import Json
from turnout.materializers.table import Table
from turnout.materializers.text import Bytes, Text
from turnout.plugin_api import Config, Event, Git
from turnout.testing.feature_store import VIEWS, FeatureStoreSuite
from turnout.testing.materializer import MaterializerSuite
from turnout.testing.observer import ObserverSuite
from turnout.testing.plans import sample_plan, sample_step
from turnout.testing.policy import PolicySuite
from turnout.testing.secret_store import SecretStoreSuite


class TestEnvironmentSecrets(SecretStoreSuite):
    @pytest.fixture
    def secret_store(self):
        return EnvironmentSecrets(EnvironmentSettings(prefix="TURNOUT_TEST_"))

    @pytest.fixture
    def put(self, monkeypatch):
        return lambda name, value: monkeypatch.setenv(f"TURNOUT_TEST_{name}", value)


class TestFileSecrets(SecretStoreSuite):
    @pytest.fixture
    def secret_store(self, tmp_path):
        return FileSecrets(FileSettings(folder=str(tmp_path / "secrets")))

    @pytest.fixture
    def put(self, tmp_path):
        def write(name, value):
            (tmp_path / "secrets").mkdir(exist_ok=True)
            (tmp_path / "secrets" / name).write_text(value)

        return write


class TestJsonLines(ObserverSuite):
    @pytest.fixture
    def observer(self, tmp_path):
        return JsonLines(JsonLinesSettings(path=str(tmp_path / "events" / "all.jsonl")))

    @pytest.fixture
    def read_back(self, observer):
        return lambda: [
            msgspec.convert(json.loads(line), Event) for line in Path(observer.config.path).read_text().splitlines()
        ]


class TestLocalFeatureStore(FeatureStoreSuite):
    @pytest.fixture
    def feature_store(self, tmp_path):
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet

        for view in VIEWS:
            pyarrow.parquet.write_table(pa.table(dict(view.columns)), tmp_path / f"{view.name}.parquet")
        views = {
            view.name: ViewSettings(
                keys=view.keys,
                timestamp=view.timestamp,
                created=view.created,
                ttl="" if view.ttl is None else f"{view.ttl.total_seconds():.0f}s",
            )
            for view in VIEWS
        }
        return LocalFeatureStore(LocalFeatureSettings(folder=str(tmp_path), views=views))


class TestNoPickle(PolicySuite):
    @pytest.fixture
    def policy(self):
        return NoPickle(Config())

    @pytest.fixture
    def allowed(self):
        return [sample_plan(), sample_plan(sample_step(materializer="auto"))]

    @pytest.fixture
    def forbidden(self):
        return [
            sample_plan(sample_step(materializer="pickle")),
            sample_plan(sample_step("fine"), sample_step(materializer="sklearn")),
            sample_plan(sample_step(value="0" * 64)),
        ]


class TestImages(PolicySuite):
    @pytest.fixture
    def policy(self):
        return Images(ImagesSettings(allow=("registry.example.com/*", "python:3.11"), required=True))

    @pytest.fixture
    def allowed(self):
        return [
            sample_plan(sample_step(image="registry.example.com/a/b:1"), sample_step("b", image="python:3.11")),
            sample_plan(sample_step(kind="gate", image=None)),
        ]

    @pytest.fixture
    def forbidden(self):
        return [sample_plan(), sample_plan(sample_step(image="python:3.11-evil")), sample_plan(sample_step(image=""))]


class TestCleanGit(PolicySuite):
    @pytest.fixture
    def policy(self):
        return CleanGit(Config())

    @pytest.fixture
    def allowed(self):
        return [(sample_plan(), Git("abc"))]

    @pytest.fixture
    def forbidden(self):
        return [(sample_plan(), None), (sample_plan(), Git("abc", dirty=True))]


class TestJson(MaterializerSuite):
    @pytest.fixture
    def materializer(self):
        return Json()

    @pytest.fixture
    def values(self):
        return [1, 0.1, True, [1, [2]], {"a": {"b": None}}, {3, 1, 2}, frozenset({"x", "y", "z"}), (1, "2"), {1: "a"}]

    @pytest.fixture
    def unequal(self):
        return [(1, 2), (1, True), ([1], (1,)), ({1: 1}, {"1": 1})]

    @pytest.fixture
    def unfit(self):
        return [object(), [object()]]


class TestText(MaterializerSuite):
    @pytest.fixture
    def materializer(self):
        return Text()

    @pytest.fixture
    def values(self):
        return ["", "a\r\nb\n", "é 漢字\x00"]

    @pytest.fixture
    def unequal(self):
        return [("a", "a\n")]


class TestBytes(MaterializerSuite):
    @pytest.fixture
    def materializer(self):
        return Bytes()

    @pytest.fixture
    def values(self):
        return [b"", b"\x00\xff"]


class TestNumpy(MaterializerSuite):
    @pytest.fixture
    def materializer(self):
        return Numpy()

    @pytest.fixture
    def values(self):
        np = pytest.importorskip("numpy")
        return [np.arange(6).reshape(2, 3), np.array(["a", "bc"]), np.array(1.5)]

    @pytest.fixture
    def unequal(self):
        np = pytest.importorskip("numpy")
        return [(np.zeros(2), np.zeros(3)), (np.zeros(2), np.zeros(2, dtype="int64"))]


class TestTable(MaterializerSuite):
    @pytest.fixture
    def materializer(self):
        return Table()

    @pytest.fixture
    def values(self):
        pd = pytest.importorskip("pandas")
        pa = pytest.importorskip("pyarrow")
        return [pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=[5, 3]), pa.table({"a": [1, None]})]

    @pytest.fixture
    def unequal(self):
        pd = pytest.importorskip("pandas")
        return [(pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]})), (pd.DataFrame({"a": [1]}), pd.DataFrame())]


class TestSklearn(MaterializerSuite):
    @pytest.fixture
    def materializer(self):
        return Sklearn()

    @pytest.fixture
    def values(self):
        linear = pytest.importorskip("sklearn.linear_model")
        return [linear.LinearRegression(), linear.LinearRegression().fit([[1.0], [2.0], [4.0]], [1.0, 2.0, 3.0])]


class TestPickle(MaterializerSuite):
    @pytest.fixture
    def materializer(self):
        return Pickle()

    @pytest.fixture
    def values(self):
        import fractions
        import uuid

        return [fractions.Fraction(1, 3), uuid.UUID(int=7)]
