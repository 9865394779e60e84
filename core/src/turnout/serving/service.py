"""An endpoint that answers: its steps' functions and what they are bound to, loaded once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from turnout.artifacts.artifacts import Artifacts
from turnout.base import context
from turnout.base.cache_folder import cache_folder
from turnout.base.errors import ConfigError, PlanError, RunError
from turnout.components.artifact_store import ArtifactStore
from turnout.components.kinds import MATERIALIZER
from turnout.components.registry import Registry, discover
from turnout.environment import environment
from turnout.materializers.choice import Materializers
from turnout.model.bounds import check_python
from turnout.model.endpoint_plan import EndpointPlan, Request
from turnout.model.inputs import InputSpec, Literal, Output, Param
from turnout.model.plan import StepPlan
from turnout.model.scalars import Misfit
from turnout.model.values import convert, revive, shorten
from turnout.runtime.code import Code
from turnout.runtime.forbidden import allow_reading
from turnout.runtime.store import worker_store
from turnout.runtime.worker_components import WorkerComponents
from turnout.serving.answers import Answer, encoded
from turnout.serving.lookups import Lookup, Pending, Pool, is_lookup
from turnout.serving.tables import BadRequest, TableReader, stored_rows

Observe = Callable[[str, float], None]
"""Is told the seconds of a part of answering, and its name: ``decode``, ``features``, ``step:predict``, ``encode``."""


class Service:
    """One version of an endpoint in this process. One request at a time.

    Args:
        work: a folder of this process's own, for what is fetched from the store.
    """

    def __init__(
        self, plan: EndpointPlan, store: ArtifactStore[Any], work: Path, registry: Registry | None = None
    ) -> None:
        self.plan = plan
        self.steps = plan.steps
        self.batchable = plan.batchable
        self._registry = registry
        self.code = Code(plan.code, store, cache_folder())
        self.components = WorkerComponents(plan.worker, lambda: self.registry, lambda: self.code.unpacked)
        materializers = Materializers(self.registry.all(MATERIALIZER), load_project=self.code.load_class)
        allow = partial(allow_reading, self.components.policies) if plan.worker.policies else None
        self.artifacts = Artifacts(store, materializers, work, self.components.redactor, allow)
        self._reach = _Reach(self.components)
        self._readers = {request.name: TableReader(request) for request in plan.requests if request.value is None}

    @cached_property
    def registry(self) -> Registry:
        """The plugins of this process."""
        return self._registry or discover()

    @cached_property
    def functions(self) -> dict[str, Callable[..., Any]]:
        """The function of each step, by its name."""
        found = {}
        for step in self.steps:
            if step.entrypoint is None:
                raise PlanError(f"the step {step.name} of the endpoint {self.plan.name} has no function")
            found[step.name] = self.code.load(step.entrypoint)
        return found

    @cached_property
    def bound(self) -> dict[tuple[str, str], Any]:
        """What the run made, loaded: shared by all requests."""
        types = {
            (source.step, source.output): spec.type
            for step in self.steps
            for spec in step.inputs.values()
            if isinstance(source := spec.source, Output)
        }
        return {
            key: self.artifacts.load(one.artifact, types[key]) for key, one in self.plan.bound.items() if key in types
        }

    @cached_property
    def _literals(self) -> dict[tuple[str, str], Any]:
        return {
            (step.name, name): revive(spec.source.value, spec.source.type, self.code.load_class)
            for step in self.steps
            for name, spec in step.inputs.items()
            if isinstance(spec.source, Literal)
        }

    @cached_property
    def lookups(self) -> dict[str, Lookup]:
        """The steps that look features up, by their names.

        Raises:
            ConfigError: when the stack's feature store has no such features.
        """
        pool, found = Pool(), {}
        for step in filter(is_lookup, self.steps):
            settings = {name: value for (owner, name), value in self._literals.items() if owner == step.name}
            found[step.name] = Lookup(step, settings, self.components.feature_store, pool)
        return found

    @property
    def missing(self) -> tuple[str, ...]:
        """The packages of the endpoint's environment that this process has not, or in another version."""
        return environment.missing(self.plan.environment.pins)

    @classmethod
    def open(cls, plan: EndpointPlan, environ: Mapping[str, str], work: Path) -> Service:
        """The service of an endpoint, loaded; *environ* are the variables by which its store is found.

        Raises:
            TurnoutError: when something is not there, or may not be read.
        """
        service = cls(plan, worker_store(environ), work)
        service.load()
        return service

    def load(self) -> None:
        """Load everything, with the secrets that steps ask for as variables.

        Raises:
            TurnoutError: when something is not there, or may not be read.
        """
        for step in self.steps:
            os.environ.update({variable: self.components.secret(name) for variable, name in step.secrets.items()})
        self.functions, self.bound, self._literals, self.lookups  # noqa: B018 - each is made now

    def answer_stored(self) -> tuple[int, dict[tuple[str, str], Any]]:
        """Answer stored rows, those of the table that requests are like: which loads what the first request needs.

        Returns:
            How many rows there were, 0 where the endpoint cannot be tried; and what each step made, by step and output.

        Raises:
            RunError: when they cannot be answered.
        """
        table = self.plan.table
        others = [request.name for request in self.plan.requests if request.required and request is not table]
        if table is None or table.like is None or others:
            return 0, {}
        rows = stored_rows(self.artifacts.local_folder(table.like), [one.name for one in table.columns or ()])
        if not rows:
            return 0, {}
        try:
            made = self.run(self.decode({table.name: rows}), lambda _part, _seconds: None)
            encoded(made[self.plan.answer.step, self.plan.answer.output], len(rows), self.plan.answer.step)
        except Exception as error:
            raise RunError(
                f"the endpoint {self.plan.name} cannot answer rows like those it was made for: "
                f"{type(error).__name__}: {error}",
                why=f"it was tried on {len(rows)} rows of {table.like.digest[:12]} before it is served",
                fix="run its steps on such rows in a test",
            ) from error
        return len(rows), made

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> Any:
        """One answer for each row, of an endpoint that needs no more than rows.

        Raises:
            BadRequest: for rows that the endpoint refuses.
            Exception: whatever a step raises.
        """
        name = self.plan.table.name if self.plan.table is not None else "rows"
        return self.answer({name: list(rows)}).values

    def decode(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a request: tables of its rows, and values by their declared types.

        Raises:
            BadRequest: naming what is wrong, and where.
        """
        names = {request.name for request in self.plan.requests}
        for name in body:
            if name not in names:
                raise BadRequest(f"the endpoint takes {', '.join(sorted(names)) or 'nothing'}", name)
        try:
            return {request.name: self._argument(request, body) for request in self.plan.requests}
        except RecursionError:
            raise BadRequest("the body is nested too deeply") from None

    def _argument(self, request: Request, body: Mapping[str, Any]) -> Any:
        if request.name not in body:
            if request.required:
                raise BadRequest("is missing", request.name)
            assert request.value is not None
            return revive(request.default, request.value, self.code.load_class)
        value = body[request.name]
        if request.value is None:
            return self._readers[request.name].of_rows(value)
        try:
            return revive(convert(value, request.value, request.name, text=False), request.value, self.code.load_class)
        except ConfigError as error:
            raise BadRequest(error.what, request.name) from None

    def reader(self, name: str) -> TableReader:
        """What makes the table of a request parameter."""
        return self._readers[name]

    def run(self, arguments: Mapping[str, Any], observe: Observe) -> dict[tuple[str, str], Any]:
        """What the steps make of the arguments of a request, by step and output."""
        made: dict[tuple[str, str], Any] = {}
        self.make(arguments, made, observe)
        return made

    def make(self, arguments: Mapping[str, Any], made: dict[tuple[str, str], Any], observe: Observe) -> None:
        """Call the steps, and add what they give to *made*, by step and output."""
        for pending in self._make(arguments, made, observe):
            pending.wait()

    def _make(
        self, arguments: Mapping[str, Any], made: dict[tuple[str, str], Any], observe: Observe
    ) -> Iterator[Pending]:
        """Call the steps; whoever goes on lets each look-up of features wait that comes between."""
        for step in self.steps:
            started = time.perf_counter()
            inputs = {name: self._input(step, name, arguments, made) for name in step.inputs}
            lookup = self.lookups.get(step.name)
            if lookup is None:
                with _active(self._reach):
                    result = self.functions[step.name](**inputs)
            else:
                pending = lookup.start(inputs["entities"])
                yield pending
                result = pending.result()
            names = [output.name for output in step.outputs]
            values = (result,) if len(names) == 1 else result
            made.update({(step.name, name): value for name, value in zip(names, values, strict=True)})
            observe(f"step:{step.name}" if lookup is None else "features", time.perf_counter() - started)

    def _input(
        self, step: StepPlan, name: str, arguments: Mapping[str, Any], made: Mapping[tuple[str, str], Any]
    ) -> Any:
        spec: InputSpec = step.inputs[name]
        match spec.source:
            case Literal():
                return self._literals[step.name, name]
            case Param(name=request):
                value = arguments[request]
            case Output(step=maker, output=output):
                key = (maker, output)
                return self.bound[key] if key in self.bound else made[key]
            case _:
                raise AssertionError(spec.source)
        if spec.check is not None:
            try:
                check_python(value, spec.check)
            except Misfit as misfit:
                why = f"{misfit.path} {misfit.why}".strip()
                raise BadRequest(f"is {shorten(value)}: {why}", request) from None
        return value

    def answer(self, body: Mapping[str, Any], observe: Observe = lambda _part, _seconds: None) -> Answer:
        """Answer a request.

        Raises:
            BadRequest: for a request that the endpoint refuses.
            Exception: whatever a step raises.
        """
        started = time.perf_counter()
        arguments = self.decode(body)
        rows = None if self.plan.table is None else len(body.get(self.plan.table.name, ()))
        observe("decode", time.perf_counter() - started)
        if rows == 0:  # many models fail on an empty table
            return Answer([], by_row=True)
        return self.answered(arguments, rows, observe)

    async def answer_later(self, body: Mapping[str, Any], observe: Observe) -> Answer:
        """As :meth:`answer`; other requests are answered while features are looked up."""
        started = time.perf_counter()
        arguments, made = self.decode(body), dict[tuple[str, str], Any]()
        rows = None if self.plan.table is None else len(body.get(self.plan.table.name, ()))
        observe("decode", time.perf_counter() - started)
        for pending in self._make(arguments, made, observe):
            await pending.wait_async()
        return self._encoded(made, rows, observe)

    def answered(self, arguments: Mapping[str, Any], rows: int | None, observe: Observe) -> Answer:
        """Answer with arguments that were decoded; *rows* is how many there are, None where no table is taken."""
        return self._encoded(self.run(arguments, observe), rows, observe)

    def _encoded(self, made: Mapping[tuple[str, str], Any], rows: int | None, observe: Observe) -> Answer:
        started = time.perf_counter()
        answer = encoded(made[self.plan.answer.step, self.plan.answer.output], rows, self.plan.answer.step)
        observe("encode", time.perf_counter() - started)
        return answer


class _Reach:
    """What a step can reach while it answers: features; what it logs goes nowhere."""

    def __init__(self, components: WorkerComponents) -> None:
        self._components = components

    def log_metric(self, name: str, value: float, x: int | None) -> None:
        """Nothing is kept."""

    def log_param(self, name: str, value: Any) -> None:
        """Nothing is kept."""

    def log_artifact(self, name: str, value: Any) -> None:
        """Nothing is kept."""

    def feature_store(self) -> Any:
        """The stack's feature store."""
        return self._components.feature_store


@contextmanager
def _active(reach: _Reach) -> Iterator[None]:
    context.activate(reach)
    try:
        yield
    finally:
        context.activate(None)
