"""Binding an endpoint to a stack, a code package, and one run of its pipeline: the endpoint's plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from turnout.base.errors import PlanError, TurnoutError, raise_all
from turnout.components.kinds import MATERIALIZER
from turnout.components.registry import Registry
from turnout.definition.endpoint import EndpointSpec, RequestSpec, TracedEndpoint
from turnout.definition.pipeline import Traced
from turnout.fingerprint.fingerprint import Fingerprint, Fingerprints
from turnout.materializers.choice import Materializers
from turnout.model import endpoint_plan
from turnout.model.endpoint_plan import Binding, Column, EndpointPlan, Expected, Request
from turnout.model.inputs import Output
from turnout.model.plan import Code, Environment, OutputPlan, Plan, StepPlan
from turnout.model.records import Artifact
from turnout.model.spec import StepSpec
from turnout.planning import feature_checks
from turnout.planning.counterparts import counterparts
from turnout.planning.stepcode import Step, step_code
from turnout.project import code as packages
from turnout.project.project import Project
from turnout.stack import writing
from turnout.stack.stack import Stack


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """The run that an endpoint serves.

    ``asked`` is how it was chosen (``latest``, an alias, an id); ``params`` are its parameters, ``outputs`` the
    artifacts of its steps by step and output, ``lists`` the first elements of outputs that are lists, ``tables`` the
    columns and the prototype (:class:`.Request`) of those that requests are like.
    """

    run: str
    asked: str
    plan: Plan
    params: Mapping[str, Any]
    outputs: Mapping[tuple[str, str], Artifact]
    lists: Mapping[tuple[str, str], tuple[Artifact, ...]]
    tables: Mapping[tuple[str, str], tuple[tuple[Column, ...], str]]


class PlannedEndpoint(msgspec.Struct, frozen=True):
    """An endpoint's plan, the code package it names, and what a person should know of it."""

    plan: EndpointPlan
    package: packages.CodePackage
    notes: tuple[str, ...]


def make_endpoint_plan(
    traced: TracedEndpoint,
    pipeline: Traced,
    project: Project,
    stack: Stack,
    registry: Registry,
    served: Served,
    *,
    accept: tuple[str, ...] = (),
) -> PlannedEndpoint:
    """Bind a traced endpoint to a stack and a run.

    Args:
        pipeline: the endpoint's pipeline as it is traced now, whose code is held against the run's.
        accept: ``code``, where steps may serve with other code than the run had.

    Raises:
        PlanErrors: everything that is wrong, at once.
    """
    spec, problems = traced.spec, list[TurnoutError]()
    places = writing.places(stack)
    prints = Fingerprints(project, places)
    code = {name: prints.of(function) for name, function in traced.functions.items()}
    if "code" not in accept:
        problems += _changed(spec, pipeline, prints, served)
    materializers = Materializers(registry.all(MATERIALIZER))
    bindings = tuple(_binding(output, served, problems, spec) for output in spec.bound)
    requests = tuple(_request(request, served, problems, spec) for request in spec.requests)
    if sum(request.value is None for request in requests) > 1:
        problems.append(
            PlanError(
                f"the endpoint {spec.name} takes several tables",
                where=spec.where,
                why="a request has one table of rows, and an answer for each of them",
                fix="take one table, and look the other one up in a step",
            )
        )
    environment = _environment(spec, served, problems)
    here, notes = stack.deployer_type.local, list[str]()
    problems += feature_checks.check(spec.steps, stack, here=here, notes=notes, requests=requests)
    raise_all(f"the endpoint {spec.name} cannot be deployed on the stack {stack.name}", problems)
    package = packages.build(project, traced.values, places, ())
    assert environment is not None
    plan = EndpointPlan(
        project=project.name,
        name=spec.name,
        pipeline=spec.pipeline,
        entrypoint=spec.entrypoint,
        requests=requests,
        steps=tuple(_step(step, code, materializers) for step in spec.steps),
        answer=spec.answer,
        bindings=tuple(one for one in bindings if one is not None),
        expected=_expected(spec, served),
        run=served.run,
        batchable=all(step.batchable for step in spec.steps) and any(one.value is None for one in requests),
        stack=stack.name,
        worker=stack.worker(here=here),
        code=Code(digest=package.digest, roots=project.import_roots),
        environment=environment,
        options=spec.options,
        doc=spec.doc,
        place=spec.place,
    )
    return PlannedEndpoint(endpoint_plan.decode(plan.encode()), package, (*package.notes, *dict.fromkeys(notes)))


def _own(functions: Mapping[str, Any], prints: Fingerprints) -> Any:
    def own(step: Step) -> Fingerprint | None:
        function = functions.get(step.name)
        return None if function is None else prints.of(function)

    return own


def _changed(spec: EndpointSpec, pipeline: Traced, prints: Fingerprints, served: Served) -> list[TurnoutError]:
    """The steps that the endpoint shares with the run's pipeline and whose code is not what it was there."""
    shared = {str(step.entrypoint) for step in spec.steps}
    now = step_code(pipeline.spec.steps, prints, _own(pipeline.functions, prints), pipeline.spec.params)
    changed = [
        step.name
        for step in served.plan.steps
        if str(step.entrypoint) in shared and step.name in now and now[step.name].digest != step.fingerprint
    ]
    if not changed:
        return []
    return [
        PlanError(
            f"the endpoint {spec.name} serves the run {served.run} with other code: {', '.join(changed)} changed since",
            where=spec.where,
            why="what it answers would not be what the run's model was made for",
            fix=f"run {spec.pipeline} again, or accept it: --accept code",
        )
    ]


def _binding(output: Output, served: Served, problems: list[TurnoutError], spec: EndpointSpec) -> Binding | None:
    artifact = served.outputs.get((output.step, output.output))
    if artifact is None:
        problems.append(_missing(output, served, spec))
        return None
    return Binding(step=output.step, output=output.output, run=served.run, asked=served.asked, artifact=artifact)


def _missing(output: Output, served: Served, spec: EndpointSpec) -> PlanError:
    return PlanError(
        f"the run {served.run} has no {output.step}:{output.output}, which the endpoint {spec.name} serves",
        where=spec.where,
        why="the step was skipped, has not succeeded, or is not in that run's pipeline",
        fix=f"choose another run: --run RUN, or run {spec.pipeline} again",
    )


def _request(request: RequestSpec, served: Served, problems: list[TurnoutError], spec: EndpointSpec) -> Request:
    columns, like, prototype = None, None, ""
    if request.like is not None:
        key = (request.like.step, request.like.output)
        like = served.outputs.get(key)
        columns, prototype = served.tables.get(key, ((), ""))
        if like is None:
            problems.append(_missing(request.like, served, spec))
        unknown = [
            name for name in (*request.without, *request.columns) if name not in {column.name for column in columns}
        ]
        if unknown and like is not None:
            problems.append(
                PlanError(
                    f"{'columns' if request.columns else 'without'}= names {', '.join(unknown)}, which "
                    f"{key[0]}:{key[1]} does not have",
                    where=spec.where,
                    fix=f"its columns are: {', '.join(column.name for column in columns)}",
                )
            )
        given = request.columns or [column.name for column in columns if column.name not in request.without]
        columns = tuple(column for column in columns if column.name in given)
    return Request(
        name=request.name,
        type=request.type,
        columns=columns,
        like=like,
        prototype=prototype,
        value=request.value,
        required=request.required,
        default=request.default,
        doc=request.doc,
    )


def _expected(spec: EndpointSpec, served: Served) -> tuple[Expected, ...]:
    same = counterparts(spec, served.plan, served.params)
    expected = []
    for step in spec.steps:
        for output in step.outputs:
            key = (same.get(step.name, ""), output.name)
            if key in served.outputs or key in served.lists:
                made, elements = served.outputs.get(key), served.lists.get(key, ())
                expected.append(Expected(step=step.name, output=output.name, artifact=made, elements=elements))
    return tuple(expected)


def _environment(spec: EndpointSpec, served: Served, problems: list[TurnoutError]) -> Environment | None:
    """The environment of the run: of its steps that the endpoint calls too, else of those whose results it serves."""
    called = {str(step.entrypoint) for step in spec.steps}
    steps = [step for step in served.plan.steps if step.kind == "task"]
    chosen = [step for step in steps if str(step.entrypoint) in called]
    chosen = chosen or [step for step in steps if step.name in {output.step for output in spec.bound}] or steps
    names = {step.environment: step.name for step in chosen}
    if len({served.plan.environments[name].digest for name in names}) > 1:
        problems.append(
            PlanError(
                f"the steps {', '.join(names.values())} of the run {served.run} have different environments",
                where=spec.where,
                why="all steps of an endpoint share one process",
                fix="give them the same requirements",
            )
        )
        return None
    return served.plan.environments[next(iter(names))]


def _step(step: StepSpec, code: Mapping[str, Fingerprint], materializers: Materializers) -> StepPlan:
    outputs = tuple(
        OutputPlan(
            name=one.name, type=one.type, materializer=one.materializer or materializers.for_type(one.type) or "auto"
        )
        for one in step.outputs
    )
    return StepPlan(
        name=step.name,
        entrypoint=step.entrypoint,
        inputs=step.inputs,
        outputs=outputs,
        secrets=step.secrets,
        env=step.env,
        batchable=step.batchable,
        fingerprint=code[step.name].digest if step.name in code else "",
        doc=step.doc,
        place=step.place,
    )
