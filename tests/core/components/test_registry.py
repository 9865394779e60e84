"""Plugins: collected, checked, and each failure named."""

import subprocess
import sys
import types
from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest

from turnout.base.errors import ConfigError, PluginError
from turnout.components.registry import KINDS, Registry, discover
from turnout.plugin_api import Config, Lazy, SecretStore, Tracker, hookimpl


class Good(Tracker[Config]):
    name = "good"

    def begin(self, run, *, claimed):
        return ""

    def log(self, batch):
        pass

    def finish(self, run, external_id, state):
        pass


def plugin(name="pluto", **hooks):
    """A plugin module whose hooks return, or raise, what is given."""
    module = types.ModuleType(name)
    for hook, given in hooks.items():

        def implementation(given=given):
            if isinstance(given, BaseException):
                raise given
            return given

        setattr(module, f"turnout_{hook}", hookimpl(lambda given=given, run=implementation: run(given)))
    return module


def causes(registry):
    return [str(problem) for problem in registry.problems]


def test_a_component_is_found_by_its_name():
    registry = Registry([plugin(trackers=[Good])])
    assert registry.get("tracker", "good") is Good
    assert registry.all("tracker") == (Good,)
    assert registry.names("tracker") == ("good",)
    assert registry.problems == ()


def test_the_kinds_are_those_of_the_hooks():
    from turnout.components import hookspecs

    assert set(Registry().kinds) == set(KINDS)
    assert set(KINDS.values()) == {name for name in vars(hookspecs) if name.startswith("turnout_")}


def test_hooks_are_called_only_when_their_kind_is_asked_for():
    called = []
    module = plugin()
    module.turnout_trackers = hookimpl(lambda: called.append("trackers") or [Good])
    module.turnout_observers = hookimpl(lambda: called.append("observers") or [])
    registry = Registry([module])
    assert called == []
    registry.names("tracker")
    registry.names("tracker")
    assert called == ["trackers"]


@pytest.mark.parametrize(
    ("name", "installable", "text"),
    [
        (
            "airlfow",
            {"airflow": "turnout-airflow"},
            (
                "stacks/prod.yaml:4: unknown orchestrator 'airlfow'. Did you mean 'airflow'? "
                "It is not installed: pip install 'turnout[airflow]'"
            ),
        ),
        (
            "airflow",
            {"airflow": "turnout-airflow"},
            "stacks/prod.yaml:4: unknown orchestrator 'airflow'. It is not installed: pip install 'turnout[airflow]'",
        ),
        (
            "good",
            {"airflow": "turnout-airflow"},
            (
                "stacks/prod.yaml:4: unknown orchestrator 'good'. There is a tracker of that name\n"
                "  fix: use one of those a plugin brings"
            ),
        ),
        ("xyz", {}, "stacks/prod.yaml:4: unknown orchestrator 'xyz'\n  fix: use one of those a plugin brings"),
    ],
)
def test_an_unknown_type_is_refused_with_what_to_do(name, installable, text):
    registry = Registry([plugin(trackers=[Good])], installable=installable)
    with pytest.raises(ConfigError) as caught:
        registry.get("orchestrator", name, "stacks/prod.yaml:4")
    assert str(caught.value) == text


def test_a_near_name_that_is_installed_needs_no_pip():
    registry = Registry([plugin(trackers=[Good])], installable={})
    with pytest.raises(ConfigError) as caught:
        registry.get("tracker", "goood")
    assert str(caught.value) == "unknown tracker 'goood'. Did you mean 'good'?"


def test_the_extras_of_the_core_name_what_could_be_installed():
    assert Registry().installable["airflow"] == "turnout-airflow"
    assert "s3" not in Registry().installable


def entry(tmp_path, monkeypatch, name, source):
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    return EntryPoint(name.removeprefix("turnout_"), name, "turnout")


def test_a_plugin_that_cannot_be_imported_is_a_named_problem(tmp_path, monkeypatch):
    broken = entry(tmp_path, monkeypatch, "turnout_pluto", "\nimport not_there_at_all\n")
    registry = Registry([broken, plugin("fine", trackers=[Good])], installable={})
    assert registry.get("tracker", "good") is Good
    assert causes(registry) == [
        (
            "the plugin 'pluto': it cannot be loaded: ModuleNotFoundError: No module named 'not_there_at_all' "
            "(turnout_pluto, line 2)"
        )
    ]
    with pytest.raises(PluginError) as caught:
        registry.get("tracker", "pluto", "s.yaml:1")
    assert str(caught.value) == (
        "s.yaml:1: the tracker 'pluto' cannot be used\n"
        "  why: the plugin 'pluto': it cannot be loaded: ModuleNotFoundError: No module named 'not_there_at_all' "
        "(turnout_pluto, line 2)\n"
        "  fix: install a version of pluto that works, or uninstall it"
    )


def test_a_plugin_that_exits_while_it_is_imported_does_no_harm(tmp_path, monkeypatch):
    registry = Registry([entry(tmp_path, monkeypatch, "turnout_quits", "raise SystemExit(3)")])
    assert "SystemExit: 3" in causes(registry)[0]


def test_a_hook_that_raises_spoils_its_kind_only():
    registry = Registry([plugin(trackers=[Good], observers=RuntimeError("no luck"))])
    assert registry.get("tracker", "good") is Good
    (problem,) = registry.problems
    assert problem.kind == "observer"
    assert "its hook turnout_observers failed: RuntimeError: no luck" in problem.cause


def test_a_hook_that_gives_no_list_is_a_problem():
    assert "TypeError" in causes(Registry([plugin(trackers=None)]))[0]


class NotATracker:
    name = "odd"


class Unfinished(SecretStore[Config]):
    name = "half"

    def get(self, name):
        return None


class Nameless(Good):
    name = ""


class OddConfig(Good):
    name = "odd"
    Config = dict


@pytest.mark.parametrize(
    ("kind", "component", "cause"),
    [
        ("trackers", NotATracker, "NotATracker is not a subclass of turnout.plugin_api.Tracker"),
        ("trackers", Good(Config()), "is not a subclass of turnout.plugin_api.Tracker"),
        ("secret_stores", Unfinished, "Unfinished does not implement hint"),
        ("trackers", Nameless, "Nameless has no usable name: ''"),
        ("trackers", OddConfig, "OddConfig.Config is not a subclass of turnout.plugin_api.Config"),
        ("commands", len, "is not a click command"),
    ],
)
def test_a_component_that_breaks_its_contract_is_a_problem(kind, component, cause):
    registry = Registry([plugin(**{kind: [component]})])
    assert [cause in problem.cause for problem in registry.problems] == [True]


def test_using_a_component_that_breaks_its_contract_names_the_problem():
    registry = Registry([plugin(secret_stores=[Unfinished])])
    with pytest.raises(PluginError, match="does not implement hint"):
        registry.get("secret_store", "half")


def lazy(tmp_path, monkeypatch, source, **names):
    """A plugin whose trackers lie in a module with that source."""
    (tmp_path / "late_tracker.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "late_tracker", raising=False)
    return plugin(trackers=[Lazy(name, place) for name, place in names.items()])


LATE = """
from turnout.plugin_api import Tracker
class Late(Tracker):
    name = "late"
    def begin(self, run, *, claimed): ...
    def log(self, batch): ...
    def finish(self, run, external_id, state): ...
"""


def test_a_component_that_is_named_is_imported_when_it_is_used(tmp_path, monkeypatch):
    registry = Registry([lazy(tmp_path, monkeypatch, LATE, late="late_tracker:Late"), plugin("one", trackers=[Good])])
    assert registry.names("tracker") == ("late", "good")
    assert registry.get("tracker", "good") is Good
    assert "late_tracker" not in sys.modules
    late = registry.get("tracker", "late")
    assert late is sys.modules["late_tracker"].Late
    assert registry.all("tracker") == (late, Good)
    assert registry.problems == ()


@pytest.mark.parametrize(
    ("source", "name", "place", "cause"),
    [
        (
            "import not_there_at_all",
            "late",
            "late_tracker:Late",
            "its tracker 'late' cannot be imported: ModuleNotFound",
        ),
        ("raise SystemExit(3)", "late", "late_tracker:Late", "its tracker 'late' cannot be imported: SystemExit: 3"),
        ("", "late", "late_tracker:Late", "its tracker 'late' cannot be imported: AttributeError"),
        (LATE, "early", "late_tracker:Late", "late_tracker:Late has the name 'late', and its hook says 'early'"),
        ("Late = 3", "late", "late_tracker:Late", "3 is not a subclass of turnout.plugin_api.Tracker"),
        ("", "late", "late_tracker.Late", "names no place: module:Class"),
        ("", "l te", "late_tracker:Late", "has no usable name"),
    ],
)
def test_what_is_named_and_cannot_be_imported_is_a_problem(tmp_path, monkeypatch, source, name, place, cause):
    given = lazy(tmp_path, monkeypatch, source, **{name: place})
    (problem,) = Registry([given]).problems
    assert cause in problem.cause
    registry = Registry([given])
    with pytest.raises(PluginError) as caught:
        registry.get("tracker", name)
    assert cause in str(caught.value)
    assert registry.all("tracker") == registry.names("tracker") == ()
    assert [one.cause for one in registry.problems] == [problem.cause]


def test_a_name_that_two_plugins_give_is_known_without_an_import(tmp_path, monkeypatch):
    given = lazy(tmp_path, monkeypatch, "raise AssertionError", good="late_tracker:Late")
    registry = Registry([given, plugin("two", trackers=[Good])])
    with pytest.raises(PluginError, match="is also brought by two"):
        registry.get("tracker", "good")


def test_a_name_that_two_plugins_bring_cannot_be_used():
    registry = Registry([plugin("one", trackers=[Good]), plugin("two", trackers=[Good])])
    assert registry.names("tracker") == ()
    with pytest.raises(PluginError) as caught:
        registry.get("tracker", "good")
    assert str(caught.value) == (
        "the tracker 'good' cannot be used\n"
        "  why: the plugin 'one': its tracker 'good' is also brought by two\n"
        "  fix: uninstall all but one of one, two"
    )


def test_an_unknown_hook_is_a_problem():
    registry = Registry([plugin(tracker=[Good])])
    assert causes(registry) == [
        "the plugin 'pluto': it implements the unknown hook turnout_tracker. Did you mean 'turnout_trackers'?"
    ]


def test_a_hook_without_its_decorator_is_a_problem():
    module = types.ModuleType("pluto")
    module.turnout_trackers = lambda: [Good]
    (problem,) = Registry([module]).problems
    assert (problem.cause, problem.fix) == (
        "its turnout_trackers is not marked as a hook",
        "decorate it with @hookimpl",
    )


def test_a_hook_with_arguments_is_a_problem():
    module = types.ModuleType("pluto")
    module.turnout_trackers = hookimpl(lambda config: [Good])
    (problem,) = Registry([module]).problems
    assert "a hook does not fit" in problem.cause
    assert Registry([module]).names("tracker") == ()


def test_two_plugins_of_one_name_are_a_problem():
    registry = Registry([plugin("one", trackers=[Good]), plugin("one", observers=[])])
    assert "another plugin of that name is installed" in causes(registry)[0]
    assert registry.get("tracker", "good") is Good


def test_plugins_are_listed_with_what_they_bring():
    @click.command("greet")
    def greet():
        pass

    info, other = Registry([plugin("one", trackers=[Good], commands=[greet]), plugin("two", trackers=[3])]).plugins()
    assert (info.name, info.components, info.problems) == ("one", {"tracker": ("good",), "command": ("greet",)}, ())
    assert other.components == {}
    assert "3 is not a subclass" in other.problems[0].cause


def test_the_built_in_components_come_through_the_same_door():
    registry = discover()
    core = registry.plugins()[0]
    assert (core.name, core.distribution) == ("turnout", "turnout")
    assert core.problems == ()
    assert {"local"} <= set(registry.names("orchestrator"))
    assert set(registry.names("artifact_store")) >= {"local", "cloud"}
    assert set(registry.names("feature_store")) >= {"none", "local"}
    assert set(registry.names("secret_store")) >= {"env", "files"}
    assert registry.names("tracker")[0] == registry.names("deployer")[0] == "none"
    assert registry.names("observer")[0] == "jsonl"
    assert "json" in registry.names("materializer")


def test_discovery_is_a_call_not_an_import():
    code = "import turnout.components.registry, sys; print([m for m in ('turnout.builtin', 'pluggy', 'click') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_finding_the_installed_plugins_imports_nothing_of_what_they_do():
    code = (
        "import sys; from turnout.components.registry import discover; discover().names('orchestrator');"
        "found = {m for m in sys.modules if m.startswith(('turnout', 'asyncio'))};"
        "print(*sorted(m for m in found if m.startswith(('asyncio', 'turnout.engines', 'turnout.runtime', 'turnout.serving'))"
        " or m.startswith('turnout_') and '.' in m))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_collecting_every_kind_imports_no_data_library():
    code = (
        "import sys; from turnout.components.registry import discover; discover().plugins();"
        "print([m for m in ('pandas', 'pyarrow', 'polars', 'numpy', 'sklearn', 'obstore') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_name_of_the_plugin_api_is_there():
    from turnout import plugin_api

    assert [name for name in plugin_api.__all__ if not hasattr(plugin_api, name)] == []
    own = {"annotations", "TYPE_CHECKING"}
    public = {name for name in dir(plugin_api) if name.isidentifier() and not name.startswith("_")} - own
    assert public == set(plugin_api.__all__)
    with pytest.raises(AttributeError, match=r"module 'turnout.plugin_api' has no attribute 'nonsense'"):
        _ = plugin_api.nonsense
    assert Path(plugin_api.__file__).name == "plugin_api.py"


def test_entry_points_of_the_backport_are_entry_points():
    """Once `importlib_metadata` is imported, as MLflow does, Python's own `entry_points` gives those of its kind."""
    code = """
import importlib_metadata
from importlib.metadata import EntryPoint
from turnout.components.registry import Registry, discover
found = Registry([importlib_metadata.EntryPoint("x", "turnout.builtin", "turnout")])
assert not isinstance(importlib_metadata.EntryPoint("x", "y", "z"), EntryPoint)
print([plugin.name for plugin in found.plugins()], discover().get("materializer", "text").name, *discover().problems)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "['x'] text\n", done.stderr
