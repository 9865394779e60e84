"""What holds for components of every kind: settings, a name, and a constructor that does nothing."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest

from turnout.components.base import Component, Config
from turnout.components.hookspecs import hookimpl
from turnout.components.registry import KINDS, Registry
from turnout.environment.probe import Probed, probe
from turnout.testing.suite import Suite

_MAKE = """
from importlib import import_module
import msgspec
found = import_module(argument[0])
for part in argument[1].split("."):
    found = getattr(found, part)
made = found() if argument[2] is None else found(msgspec.convert(argument[2], found.Config))
"""


class ComponentSuite(Suite):
    """The base of the suites of each kind."""

    kind: ClassVar[str]

    @pytest.fixture
    def component(self) -> Component[Any]:
        """The component under test."""
        raise NotImplementedError

    def test_it_is_registered_without_a_problem(self, component: Component[Any]) -> None:
        registry = registry_of(self.kind, type(component))
        assert [str(problem) for problem in registry.problems] == []
        assert registry.get(self.kind, component.name) is type(component)

    def test_its_settings_are_frozen_and_refuse_what_they_do_not_know(self, component: Component[Any]) -> None:
        config = component.config
        assert isinstance(config, Config)
        given = msgspec.to_builtins(config)
        assert msgspec.convert(given, type(config)) == config, "settings must survive the way through a plan"
        with pytest.raises(msgspec.ValidationError, match="unknown field"):
            msgspec.convert({**given, "no_such_setting": 1}, type(config))
        for field in msgspec.structs.fields(config):
            with pytest.raises(AttributeError):
                setattr(config, field.name, None)

    def test_each_setting_is_described(self, component: Component[Any]) -> None:
        assert undescribed(type(component.config)) == [], "annotate it: Annotated[…, msgspec.Meta(description=…)]"

    def test_making_it_does_nothing(self, component: Component[Any]) -> None:
        """No import of the tool, no connection, no file: a stack is checked without its tools."""
        probed = made_elsewhere(component, msgspec.to_builtins(component.config))
        assert probed.error == ""
        assert probed.imported == (), "import the tool inside the methods that need it"
        assert probed.acts == (), "the constructor keeps the config and does nothing else"


def registry_of(kind: str, component: Any) -> Registry:
    """A registry of a single component, brought as a plugin would."""
    hook = hookimpl(lambda: (component,))
    return Registry([type("Plugin", (), {KINDS[kind]: staticmethod(hook)})()])


def undescribed(config: type[msgspec.Struct], prefix: str = "") -> list[str]:
    """The settings, nested ones included, without a description."""
    found = []
    for field in msgspec.structs.fields(config):
        info = msgspec.inspect.type_info(field.type)
        schema = (info.extra_json_schema or {}) if isinstance(info, msgspec.inspect.Metadata) else {}
        if not _description(info) and not schema.get("description"):
            found.append(prefix + field.encode_name)
        for nested in _structs(info):
            found += undescribed(nested, f"{prefix}{field.encode_name}.")
    return found


def _description(info: Any) -> str:
    while isinstance(info, msgspec.inspect.Metadata):
        if text := (info.extra_json_schema or {}).get("description"):
            return str(text)
        info = info.type
    return ""


def _structs(info: Any) -> list[type[msgspec.Struct]]:
    if isinstance(info, msgspec.inspect.StructType):
        return [info.cls]
    inner = [getattr(info, name, None) for name in ("type", "item_type", "value_type")]
    inner += [*getattr(info, "types", ()), *getattr(info, "item_types", ())]
    return [struct for one in inner if isinstance(one, msgspec.inspect.Type) for struct in _structs(one)]


def made_elsewhere(component: Any, config: Any) -> Probed:
    """What happens when a process imports the component's module and makes it."""
    kind = type(component)
    own = {base.__module__.partition(".")[0] for base in kind.__mro__}  # where its bases come from is no tool
    return probe(_MAKE, [kind.__module__, kind.__qualname__, config], own=sorted(own))
