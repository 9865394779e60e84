"""The plan: a pipeline bound to a stack, a code package and locked environments. All an adapter or a worker sees."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import msgspec

from turnout.base import canonical
from turnout.model import encoding
from turnout.model.encoding import Encoded
from turnout.model.spec import OutputSpec, PipelineBase, StepBase

FORMAT = 2
"""The format version of plans that this turnout writes, and the newest it reads."""
MINIMUM_RUNTIME = "0.1.0"
"""The oldest turnout whose runtime can execute the plans this turnout writes."""


class OutputPlan(OutputSpec, frozen=True, kw_only=True):
    """One output. ``materializer`` is a registered name, ``module:qualname`` of the project's own, or ``auto``
    (chosen on the worker by the value's type, and recorded). ``check`` is as in the definition."""

    materializer: str = "auto"


class StepPlan(StepBase, frozen=True, kw_only=True):
    """One step, bound: the fields of :class:`turnout.model.spec.StepBase`, and what planning adds.

    ``environment`` names one of the plan's environments; ``fingerprint`` is the digest of the code the step reaches,
    ``packages`` are those of others that it imports; ``files`` maps each declared file to its digest. ``image`` is a
    container image, for engines that use one; ``profile`` says whether records describe the tables the step makes;
    ``options`` holds each adapter's validated options.
    """

    outputs: tuple[OutputPlan, ...] = ()
    environment: str = "default"
    files: dict[str, str] = msgspec.field(default_factory=dict)
    cache: bool | float = False
    fingerprint: str = ""
    packages: tuple[str, ...] = ()

    @property
    def group(self) -> tuple[str, ...]:
        """The sub-pipelines the step lies in, outermost first."""
        return tuple(self.name.split(".")[:-1])


class Environment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True, forbid_unknown_fields=True):
    """Exact pins (``name==version``, sorted, names normalised) for a Python minor version such as ``3.11``.

    ``local`` names what no index has (an editable folder, a repository), with a digest of its content: it cannot be
    pinned, and counts in the cache key all the same.
    """

    python: str
    pins: tuple[str, ...] = ()
    local: dict[str, str] = {}

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of its canonical bytes."""
        return canonical.digest_of(self)

    @cached_property
    def versions(self) -> dict[str, str]:
        """The versions of its distributions by name; empty for those whose content counts."""
        return {**dict(pin.split("==", 1) for pin in self.pins), **dict.fromkeys(self.local, "")}


class Code(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The code package: the digest of its archive and the import roots in it, relative, ``.`` for its top."""

    digest: str
    roots: tuple[str, ...] = (".",)


class Component(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A component of the stack that workers use: its type by name and its settings, references unresolved."""

    type: str
    config: dict[str, Any] = {}


class PackageIndex(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where workers take packages from when they make an environment; references unresolved.

    A relative folder of ``find_links`` is in the code package.
    """

    index_url: str = ""
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    offline: bool = False


class Worker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The worker's side of the stack. The artifact store is not in it: a worker is told that by its environment."""

    tracker: Component = Component(type="none")
    feature_store: Component = Component(type="none")
    secrets: Component = Component(type="env")
    observers: tuple[Component, ...] = ()
    policies: tuple[Component, ...] = ()
    index: PackageIndex = PackageIndex()


class Plan(PipelineBase, Encoded, frozen=True, kw_only=True):
    """A complete, canonical, immutable plan.

    ``steps`` are in topological order. ``instance`` is the orchestrator's ``instance`` in the stack, from which
    run ids are derived. ``stack`` is the stack's name.
    """

    format: int = msgspec.field(default=FORMAT)
    runtime: str
    project: str
    steps: tuple[StepPlan, ...] = ()
    orchestrator: str
    instance: str = "default"
    stack: str
    worker: Worker = Worker()
    code: Code
    environments: dict[str, Environment] = msgspec.field(default_factory=dict)
    accepted: tuple[str, ...] = ()

    @cached_property
    def by_name(self) -> dict[str, StepPlan]:
        """The steps by their names."""
        return {step.name: step for step in self.steps}

    @cached_property
    def downstream(self) -> dict[str, tuple[str, ...]]:
        """For each step the names of those that need it directly."""
        followers: dict[str, list[str]] = {step.name: [] for step in self.steps}
        for step in self.steps:
            for name in step.upstream:
                followers[name].append(step.name)
        return {name: tuple(names) for name, names in followers.items()}

    def _repr_html_(self) -> str:
        from turnout.model.drawing import draw

        return draw(self.steps)


def settled(plan: Plan) -> Plan:
    """The plan in canonical order, as a worker decodes it; its bytes are kept with it."""
    data = plan.encode()
    found = decode(data)
    msgspec.structs.force_setattr(found, "_encoded", data)
    return found


def decode(data: bytes, where: str = "the plan") -> Plan:
    """Read a plan's bytes.

    Raises:
        PlanError: when it is not a plan, or of a newer format than this turnout knows, or needs a newer runtime.
    """
    again = "export or submit the pipeline again, with the turnout that its workers have"
    return encoding.decode(data, _decoded, FORMAT, where, again=again, used="where the step runs")


_decoder = msgspec.json.Decoder(Plan)


@lru_cache(maxsize=4)
def _decoded(data: bytes) -> Plan:
    """A plan is decoded once: who submits a run, who runs it and who sums it up are often one process."""
    return _decoder.decode(data)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a plan."""
    import inspect

    schema = msgspec.json.schema(Plan)
    for one in schema["$defs"].values():  # the interpreter takes the indentation out of docstrings since Python 3.13
        if "description" in one:
            one["description"] = inspect.cleandoc(one["description"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "turnout plan", **schema}
