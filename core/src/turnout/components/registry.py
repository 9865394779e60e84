"""The components there are: collected from plugins by hooks, chosen by name, each broken plugin a named problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, lru_cache
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, TypeVar, overload

import msgspec

from turnout.base.errors import ConfigError, Location, PluginError, TurnoutError, did_you_mean, nearest
from turnout.components import discovery, kinds
from turnout.components.contract import fault_of, lazy_fault, misnamed
from turnout.components.kinds import Kind, noun
from turnout.components.lazy import Lazy

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

KINDS: Mapping[str, str] = {kind: kind.hook for kind in kinds.KINDS}
"""The kinds of components, each with the hook that collects it."""
T = TypeVar("T")


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a plugin, or one component of it, cannot be used. ``kind`` and ``type`` name the component if it is one."""

    plugin: str
    distribution: str = ""
    cause: str
    fix: str
    kind: str = ""
    type: str = ""

    def __str__(self) -> str:
        return f"{self.title}: {self.cause}"

    @property
    def title(self) -> str:
        """The plugin as a person knows it."""
        if not self.distribution:
            return f"the plugin {self.plugin!r}"
        return f"the plugin {self.plugin!r} of {self.distribution}"


class PluginInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A plugin: where it comes from, the names of what it brings by kind, and what is wrong with it."""

    name: str
    distribution: str = ""
    version: str = ""
    components: dict[str, tuple[str, ...]] = {}
    problems: tuple[Problem, ...] = ()


class _Plugin(msgspec.Struct, frozen=True):
    name: str
    load: Callable[[], object]
    distribution: str = ""
    origin: Distribution | None = None

    @property
    def version(self) -> str:
        """The version of its distribution, if it is of one."""
        return "" if self.origin is None else self.origin.version

    def problem(self, cause: str, fix: str | None = None, *, kind: str = "", type: str = "") -> Problem:  # noqa: A002
        package = self.distribution or self.name
        return Problem(
            plugin=self.name,
            distribution=self.distribution,
            cause=cause,
            fix=fix or f"install a version of {package} that works, or uninstall it",
            kind=str(kind),
            type=type,
        )


class _Collected(msgspec.Struct, frozen=True):
    """What was collected of one kind: the components by name (some not yet imported), whose each is, the problems."""

    types: dict[str, Any]
    owners: dict[str, str]
    problems: list[Problem]


class Registry:
    """The components of a set of plugins. Hooks are called when a kind is first asked for.

    Args:
        plugins: modules or objects with implementations of the hooks of :mod:`turnout.components.hookspecs`, or the
            entry points that name such; of several, the first come first.
        installable: what could be installed: the distribution for each type name. By default turnout's own
            extras that stand for plugins.
    """

    def __init__(
        self, plugins: Iterable[object | EntryPoint] = (), *, installable: Mapping[str, str] | None = None
    ) -> None:
        import pluggy

        from turnout.components import hookspecs

        self._manager = pluggy.PluginManager("turnout")
        self._manager.add_hookspecs(hookspecs)
        self._plugins: dict[str, _Plugin] = {}
        self._load_problems: list[Problem] = []
        self._collected: dict[str, _Collected] = {}
        self._installable = installable
        for given in plugins:
            self._register(_described(given))

    @classmethod
    def discover(cls) -> Registry:
        """The plugins of all installed distributions: the core's first, then by name."""
        return cls(discovery.entry_points())

    def _register(self, plugin: _Plugin) -> None:
        from pluggy import PluginValidationError

        taken = self._plugins.get(plugin.name)
        if taken is not None:
            cause = f"another plugin of that name is installed, from {taken.distribution or 'this program'}"
            self._load_problems.append(plugin.problem(cause))
            return
        self._plugins[plugin.name] = plugin
        try:
            module = plugin.load()
            self._manager.register(module, name=plugin.name)
        except PluginValidationError as error:
            if self._manager.has_plugin(plugin.name):
                self._manager.unregister(name=plugin.name)
            cause = " ".join(str(error).split())
            self._load_problems.append(plugin.problem(f"a hook does not fit: {cause}"))
        except (Exception, SystemExit) as error:  # a plugin's import may raise anything
            self._load_problems.append(plugin.problem(f"it cannot be loaded: {_shown(error)}"))
        else:
            self._load_problems.extend(self._unknown_hooks(plugin, module))

    def _unknown_hooks(self, plugin: _Plugin, module: object) -> Iterable[Problem]:
        """The hooks of a plugin that turnout does not know, or that lack their decorator."""
        implemented = set()
        for caller in self._manager.get_hookcallers(module) or ():
            implemented.add(caller.name)
            if not caller.has_spec():
                hint = did_you_mean(caller.name, KINDS.values())
                yield plugin.problem(f"it implements the unknown hook {caller.name}. {hint}".rstrip())
        for hook in KINDS.values():
            if hook not in implemented and callable(getattr(module, hook, None)):
                yield plugin.problem(f"its {hook} is not marked as a hook", "decorate it with @hookimpl")

    def _kind(self, kind: str) -> _Collected:
        if kind not in self._collected:
            self._collected[kind] = self._collect(kind)
        return self._collected[kind]

    def _collect(self, kind: str) -> _Collected:
        offers: dict[str, list[tuple[_Plugin, Any]]] = {}
        problems: list[Problem] = []
        implementations = {impl.plugin_name: impl for impl in getattr(self._manager.hook, KINDS[kind]).get_hookimpls()}
        for plugin in self._plugins.values():
            if plugin.name not in implementations:
                continue
            try:
                components = list(implementations[plugin.name].function())
            except Exception as error:  # a plugin's hook may raise anything
                problems.append(plugin.problem(f"its hook {KINDS[kind]} failed: {_shown(error)}", kind=kind))
                continue
            for component in components:
                name = getattr(component, "name", None)
                fault = lazy_fault(component) if isinstance(component, Lazy) else fault_of(kind, component)
                if fault:
                    shown = name if isinstance(name, str) else ""
                    problems.append(plugin.problem(fault, kind=kind, type=shown))
                else:
                    offers.setdefault(str(name), []).append((plugin, component))
        types, owners = {}, {}
        for name, bringers in offers.items():
            if len(bringers) == 1:
                types[name], owners[name] = bringers[0][1], bringers[0][0].name
            else:
                problems.extend(_duplicates(kind, name, [plugin for plugin, _ in bringers]))
        return _Collected(types, owners, problems)

    def _imported(self, kind: str, name: str) -> Any:
        """A component that was collected, imported now where its plugin left that for later; None if it is unusable."""
        collected = self._kind(kind)
        offered = collected.types[name]
        if not isinstance(offered, Lazy):
            return offered
        try:
            component = offered.load()
            fault = fault_of(kind, component) or misnamed(offered, component)
        except (Exception, SystemExit) as error:  # a plugin's import may raise anything
            fault = f"its {noun(kind)} {name!r} cannot be imported: {_shown(error)}"
        if fault is None:
            collected.types[name] = component
            return component
        del collected.types[name]
        owner = self._plugins[collected.owners.pop(name)]
        collected.problems.append(owner.problem(fault, kind=kind, type=name))
        return None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of components."""
        return tuple(KINDS)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything that is wrong with the plugins. Asks all hooks, and imports all components."""
        for kind in KINDS:
            self.all(kind)
        return (*self._load_problems, *(problem for kind in KINDS for problem in self._kind(kind).problems))

    def plugins(self) -> tuple[PluginInfo, ...]:
        """The plugins, in the order they were registered. Asks all hooks, and imports all components."""
        problems = self.problems
        return tuple(
            PluginInfo(
                name=plugin.name,
                distribution=plugin.distribution,
                version=plugin.version,
                components={
                    str(kind): names
                    for kind in KINDS
                    if (names := tuple(n for n, owner in self._kind(kind).owners.items() if owner == plugin.name))
                },
                problems=tuple(problem for problem in problems if problem.plugin == plugin.name),
            )
            for plugin in self._plugins.values()
        )

    @overload
    def all(self, kind: Kind[T]) -> tuple[T, ...]: ...
    @overload
    def all(self, kind: str) -> tuple[Any, ...]: ...
    def all(self, kind: str) -> tuple[Any, ...]:
        """Every usable component of a kind, in the order of plugins."""
        found = [self._imported(kind, name) for name in self.names(kind)]
        return tuple(component for component in found if component is not None)

    def names(self, kind: str) -> tuple[str, ...]:
        """The names of the components of a kind, in the order of plugins; those known to be unusable left out."""
        return tuple(self._kind(kind).types)

    def distribution(self, kind: str, name: str) -> str:
        """The distribution whose plugin brings a component; empty where none does, or none is known."""
        owner = self._kind(kind).owners.get(name)
        return "" if owner is None else self._plugins[owner].distribution

    @overload
    def get(self, kind: Kind[T], name: str, where: Location | str | None = None) -> T: ...
    @overload
    def get(self, kind: str, name: str, where: Location | str | None = None) -> Any: ...
    def get(self, kind: str, name: str, where: Location | str | None = None) -> Any:
        """The component of a kind by its name: a class, or for ``command`` a click command.

        Args:
            where: the place that asks for it, for the error.

        Raises:
            ConfigError: when no plugin brings it, with the nearest name and what to install.
            PluginError: when a plugin that brings it is broken, naming the problem.
        """
        collected = self._kind(kind)
        if name in collected.types and (component := self._imported(kind, name)) is not None:
            return component
        for problem in (*collected.problems, *self._load_problems):
            same = problem.type == name if problem.type else name in _short_names(problem)
            if same and problem.kind in {"", kind}:
                raise PluginError(
                    f"the {noun(kind)} {name!r} cannot be used", where=where, why=str(problem), fix=problem.fix
                )
        raise self._unknown(kind, name, where)

    def _unknown(self, kind: str, name: str, where: Location | str | None) -> TurnoutError:
        broken = (*self._load_problems, *self._kind(kind).problems)
        others = [noun(other) for other in KINDS if other != kind and name in self._kind(other).types]
        near = nearest(name, [*self.names(kind), *self.installable])
        hints = []
        if others and not broken:
            hints.append(f"There is {'an' if others[0][0] in 'aeiou' else 'a'} {others[0]} of that name")
        elif near and near != name:
            hints.append(f"Did you mean {near!r}?")
        if not others and near in self.installable and near not in self.names(kind):
            hints.append(f"It is not installed: pip install 'turnout[{near}]'")
        text = f"unknown {noun(kind)} {name!r}"
        fix = f"use one of {', '.join(sorted(self.names(kind))) or 'those a plugin brings'}"
        return ConfigError(
            f"{text}. {' '.join(hints)}" if hints else text,
            where=where,
            why=f"it may be missing because {'; '.join(map(str, broken))}" if broken else None,
            fix=None if near else broken[0].fix if broken else fix,
        )

    @cached_property
    def installable(self) -> Mapping[str, str]:
        """The distributions that could be installed for more types, by the type's name."""
        known = discovery.extras() if self._installable is None else self._installable
        present = {plugin.distribution for plugin in self._plugins.values()}
        return {name: package for name, package in known.items() if package not in present}


@lru_cache(maxsize=1)
def discover() -> Registry:
    """The registry of the installed plugins, made once a process."""
    return Registry.discover()


def _described(given: Any) -> _Plugin:
    if hasattr(given, "group") and hasattr(given, "load"):  # an entry point, also of the backport importlib_metadata
        dist = given.dist
        return _Plugin(given.name, given.load, dist.name if dist else "", dist)
    name = getattr(given, "__name__", None) or type(given).__name__
    return _Plugin(str(name), lambda: given)


def _duplicates(kind: str, name: str, plugins: list[_Plugin]) -> Iterable[Problem]:
    for plugin in plugins:
        others = [other.distribution or other.name for other in plugins if other is not plugin]
        rivals = " and ".join(dict.fromkeys(others)) or "itself"
        fix = f"uninstall all but one of {', '.join(dict.fromkeys(p.distribution or p.name for p in plugins))}"
        yield plugin.problem(f"its {noun(kind)} {name!r} is also brought by {rivals}", fix, kind=kind, type=name)


def _shown(error: BaseException) -> str:
    """An exception's type and text, and the module and line that raised it."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    raised_in = ""
    for frame, line in walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if not module.startswith(("importlib", "turnout.components.registry", "turnout.components.lazy")):
            raised_in = f" ({module}, line {line})"
    return text + raised_in


def _short_names(problem: Problem) -> set[str]:
    """The type names a broken plugin probably brings: its own name, and its distribution's without ``turnout-``."""
    return {problem.plugin, problem.plugin.replace("turnout_", ""), problem.distribution.replace("turnout-", "")}
