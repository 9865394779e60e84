"""The plugin where Feast is not: it is found, its stack is right, and a repository's needs are read from its settings."""

from __future__ import annotations

import pytest

from turnout.base.errors import ConfigError, PluginError
from turnout.components.registry import discover
from turnout.project.project import load
from turnout.stack import tools
from turnout.stack.find import load_stack
from turnout.stack.needs import missing
from turnout_feast import environment
from turnout_feast.feature_store import FeastFeatureStore
from turnout_feast.settings import FeastSettings


def stack(folder, feature_store):
    (folder / "pyproject.toml").write_text("[project]\nname = 'demo'\nversion = '1'\n")
    (folder / "stacks").mkdir()
    (folder / "stacks" / "it.yaml").write_text(f"extends: local\nfeature_store: {feature_store}\n")
    return load_stack("it", load(folder), discover(), {})


def test_the_plugin_is_found(tmp_path):
    assert discover().get("feature_store", "feast") is FeastFeatureStore
    made = stack(tmp_path, "{type: feast, repo: features}")
    assert made.worker(here=True).feature_store.config == {"repo": str(tmp_path / "features")}


def test_the_stack_that_it_ships_is_right(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'demo'\nversion = '1'\n")
    worker = load_stack("local-feast", load(tmp_path), discover(), {}).worker()
    assert worker.feature_store.type == "feast"


def test_it_needs_nothing_beside_the_plugin(tmp_path):
    """Feast is not among what steps need: a worker that installed it would need another pandas than the project."""
    (tmp_path / "features").mkdir()
    made = stack(tmp_path, "{type: feast, repo: features}")
    assert [finding.what for finding in missing(made, connect=False)] == []
    component = made.registry.get("feature_store", "feast")
    assert [entry.requirement for entry in tools.missing(component)] == []


def test_the_repository_must_be_named(tmp_path):
    with pytest.raises(ConfigError, match="feature store 'feast' needs the setting 'repo'"):
        stack(tmp_path, "{type: feast}")


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ("project: demo\nregistry: data/registry.db\n", "feast>=0.67"),
        ("offline_store: {type: duckdb}\nonline_store: {type: redis}\n", "feast[duckdb,redis]>=0.67"),
        ("online_store: {type: dynamodb}\nregistry: s3://bucket/registry.db\n", "feast[aws]>=0.67"),
        ("registry: {registry_type: sql, path: 'postgresql+psycopg://db/feast'}\n", "feast[postgres]>=0.67"),
    ],
)
def test_the_environment_has_what_the_stores_take(tmp_path, settings, needed):
    (tmp_path / "feature_store.yaml").write_text(settings)
    assert environment.requirements(FeastSettings(repo=str(tmp_path))) == (needed, "pandas<3")


@pytest.mark.parametrize(
    ("feast", "pandas", "fits"), [("0.67.0", "2.3.3", True), ("0.66.1", "2.3.3", False), ("0.67.0", "3.1.1", False)]
)
def test_feast_runs_in_this_process_only_where_it_was_tried(monkeypatch, feast, pandas, fits):
    monkeypatch.setattr(environment.metadata, "version", {"feast": feast, "pandas": pandas}.__getitem__)
    assert environment.fits_here() is fits


def test_a_folder_that_is_no_repository_is_named(tmp_path):
    with pytest.raises(ConfigError) as caught:
        FeastFeatureStore(FeastSettings(repo=str(tmp_path / "features"))).describe()
    assert str(caught.value).splitlines() == [
        f"there is no Feast repository at {tmp_path / 'features'}",
        "  why: it has no feature_store.yaml",
        "  fix: correct `repo` in the stack: the folder of feature_store.yaml, as workers see it",
    ]


def test_settings_of_feast_that_are_no_yaml_are_named(tmp_path):
    (tmp_path / "feature_store.yaml").write_text("project: [\n")
    with pytest.raises(ConfigError, match=r"feature_store\.yaml cannot be read"):
        FeastFeatureStore(FeastSettings(repo=str(tmp_path))).describe()


def test_an_interpreter_that_is_not_there_is_named(tmp_path):
    (tmp_path / "feature_store.yaml").write_text("project: demo\n")
    with pytest.raises(PluginError, match="the interpreter /no/python cannot be started"):
        FeastFeatureStore(FeastSettings(repo=str(tmp_path), python="/no/python")).describe()


def test_an_interpreter_without_feast_says_what_it_lacks(tmp_path):
    (tmp_path / "feature_store.yaml").write_text("project: demo\n")
    import sys

    with pytest.raises(PluginError) as caught:
        FeastFeatureStore(FeastSettings(repo=str(tmp_path), python=sys.executable)).describe()
    assert str(caught.value).splitlines() == [
        "Feast does not start",
        "  why: ModuleNotFoundError: No module named 'feast'",
        f"  fix: see that {sys.executable} has feast>=0.67, pandas<3 and turnout-feast",
    ]
