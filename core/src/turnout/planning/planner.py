"""Binding a definition to a stack, a code package and locked environments: the plan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from turnout.artifacts.saving import ContentKind
from turnout.base import canonical
from turnout.base.errors import Location, PlanError, TurnoutError, raise_all
from turnout.components.kinds import MATERIALIZER, ORCHESTRATOR
from turnout.components.registry import Registry
from turnout.definition.pipeline import Traced
from turnout.environment import environment as environments
from turnout.environment.pins import python_minor
from turnout.fingerprint.fingerprint import Fingerprint, Fingerprints
from turnout.materializers.choice import Materializers
from turnout.model.feature_use import feature_use
from turnout.model.inputs import Collected, Element, InputSpec, Literal, Output, Param
from turnout.model.plan import MINIMUM_RUNTIME, Code, Environment, OutputPlan, Plan, StepPlan, settled
from turnout.model.spec import ParamSpec, PipelineBase, PipelineSpec, StepBase, StepSpec
from turnout.model.types import ParamType
from turnout.planning import feature_checks
from turnout.planning.capabilities import gaps
from turnout.planning.overrides import engine_options, override_pipeline, override_step
from turnout.planning.policies import forbidden
from turnout.planning.stepcode import Step, step_code
from turnout.planning.uploads import Uploads
from turnout.project import code as packages
from turnout.project.project import Project
from turnout.stack import writing
from turnout.stack.stack import Stack


class Planned(msgspec.Struct, frozen=True):
    """A plan, what a store needs for it, and what a person should know of it."""

    plan: Plan
    package: packages.CodePackage
    uploads: Uploads
    notes: tuple[str, ...]


def make_plan(
    traced: Traced,
    project: Project,
    stack: Stack,
    registry: Registry,
    *,
    accept: tuple[str, ...] = (),
    given: Mapping[str, Any] | None = None,
) -> Planned:
    """Bind a traced pipeline to a stack.

    Reads the project's files; writes nothing and reaches no network, except that an environment which the
    running interpreter does not satisfy is resolved by uv, once.

    Args:
        given: the parameters that the run to come is given, or several values of each: a file that is the default
            need not be there, and one that is given is no code, however large.

    Raises:
        PlanErrors: everything that is wrong, at once.
    """
    problems: list[TurnoutError] = []
    spec = override_pipeline(traced.spec, stack, problems)
    overridden = [override_step(step, stack, problems) for step in spec.steps]
    spec = msgspec.structs.replace(spec, steps=tuple(step for step, _ in overridden))
    over = stack.pipeline_overrides(spec.name).options
    options = engine_options(spec.options, stack, over, f"pipeline {spec.name}", spec.where, problems)
    accepted = tuple(sorted({*stack.accept, *accept}))
    _check_python(stack, problems)
    asked_at = {step.name: places for step, places in overridden}
    problems.extend(gaps(spec, stack.component(ORCHESTRATOR, resolve=False), accepted, asked_at))
    uploads = Uploads(project)
    params = tuple(_param(param, uploads, problems, spec, param.name in (given or {})) for param in spec.params)
    materializers = Materializers(registry.all(MATERIALIZER))
    locks = _Locks(project, stack, problems)
    places = writing.places(stack)
    code = _code(spec, traced, Fingerprints(project, places))
    planned = []
    for step in spec.steps:
        fingerprint = code.get(step.name)
        planned.append(
            StepPlan(
                **{
                    **{name: getattr(step, name) for name in StepBase.__struct_fields__},
                    "inputs": {name: _input(given, uploads, problems, step) for name, given in step.inputs.items()},
                    "outputs": tuple(_output(output, materializers) for output in step.outputs),
                    "environment": locks.name_for(step),
                    "files": _files(step, project, problems),
                    "cache": _cache(step, spec.params),
                    "fingerprint": fingerprint.digest if fingerprint else "",
                    "packages": tuple(sorted(fingerprint.packages)) if fingerprint else (),
                }
            )
        )
    notes = list[str]()
    problems += feature_checks.check(spec.steps, stack, here=stack.orchestrator_type.local, notes=notes)
    problems.sort(key=_position)
    raise_all(f"{spec.name} cannot be planned for the stack {stack.name}", problems)
    values = [value for name, value in (given or {}).items() if any(_takes_file(param, name) for param in params)]
    package = packages.build(project, traced.values, places, uploads.data(values, _named(planned, code)))
    plan = Plan(
        **{
            **{name: getattr(spec, name) for name in PipelineBase.__struct_fields__},
            "runtime": MINIMUM_RUNTIME,
            "project": project.name,
            "params": params,
            "steps": tuple(planned),
            "orchestrator": stack.orchestrator_type.name,
            "instance": stack.instance,
            "stack": stack.name,
            "worker": stack.worker(),
            "code": Code(digest=package.digest, roots=project.import_roots),
            "environments": locks.environments,
            "options": options,
            "accepted": accepted,
        }
    )
    plan = settled(plan)  # in canonical order: an adapter sees the same here as who reads the plan elsewhere
    raise_all(f"{spec.name} is not allowed on the stack {stack.name}", forbidden(plan, package.revision, registry))
    return Planned(plan, package, uploads, (*package.notes, *locks.notes, *dict.fromkeys(notes)))


def _content(type_: ParamType) -> ContentKind:
    return "folder" if type_.kind == "folder" else "file"


def _param(
    param: ParamSpec, uploads: Uploads, problems: list[TurnoutError], spec: PipelineSpec, is_given: bool
) -> ParamSpec:
    if param.type.kind not in {"file", "folder"} or not isinstance(param.default, dict) or "path" not in param.default:
        return param
    try:
        value = uploads.add(
            param.default["path"], _content(param.type), f"the default of the parameter {param.name}", spec.where
        )
    except TurnoutError as error:
        if is_given:
            return msgspec.structs.replace(param, required=True, default=None)
        problems.append(error)
        return param
    return msgspec.structs.replace(param, default=value)


def _input(given: InputSpec, uploads: Uploads, problems: list[TurnoutError], step: StepSpec) -> InputSpec:
    source = given.source
    if not isinstance(source, Literal) or source.type.kind not in {"file", "folder"} or not source.value:
        return given
    if "path" not in source.value:
        return given
    try:
        value = uploads.add(
            source.value["path"], _content(source.type), f"an input of the step {step.name}", step.where
        )
    except TurnoutError as error:
        problems.append(error)
        return given
    return msgspec.structs.replace(given, source=msgspec.structs.replace(source, value=value))


def _output(output: Any, materializers: Materializers) -> OutputPlan:
    chosen = output.materializer or materializers.for_type(output.type) or "auto"
    return OutputPlan(name=output.name, type=output.type, materializer=chosen, check=output.check)


def _cache(step: StepSpec, params: tuple[ParamSpec, ...]) -> bool | float:
    """The cache policy: as asked for, else only where the inputs say all there is to say."""
    if step.effect:
        return False
    if step.cache is not None:
        return step.cache
    if step.kind != "task" or step.secrets or feature_use(step) is not None:
        return False
    kinds = {param.name: param.type.kind for param in params}
    for given in step.inputs.values():
        match given.source:
            case Output() | Element() | Collected():
                return True
            case Param(name=name) if kinds[name] in {"file", "folder"}:
                return True
            case Literal(type=type_) if type_.kind in {"file", "folder"}:
                return True
    return False


def _takes_file(param: ParamSpec, name: str) -> bool:
    return param.name == name and param.type.kind in {"file", "folder"}


def _named(steps: list[StepPlan], code: Mapping[str, Fingerprint]) -> set[str]:
    """The files that steps name: those they declare, and those their code names."""
    return {path for step in steps for path in step.files} | {path for one in code.values() for path in one.parts}


def _code(spec: PipelineSpec, traced: Traced, prints: Fingerprints) -> dict[str, Fingerprint]:
    """The fingerprints of the steps; of one whose function is not here, by its name."""

    def own(step: Step) -> Fingerprint | None:
        if (function := traced.functions.get(step.name)) is not None:
            return prints.of(function)
        if step.entrypoint is None:
            return None
        name = str(step.entrypoint)
        return Fingerprint(canonical.digest_of(name), {name: canonical.digest_of(name)})

    return step_code(spec.steps, prints, own, spec.params)


def _files(step: StepSpec, project: Project, problems: list[TurnoutError]) -> dict[str, str]:
    digests: dict[str, str] = {}
    for pattern in step.files:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            problems.append(
                PlanError(
                    f"the step {step.name} declares the file {pattern!r}, which is not inside the project",
                    where=step.where,
                    fix="give a pattern relative to the project's root; data from elsewhere is a File parameter",
                )
            )
            continue
        matches = [path for path in sorted(project.root.glob(pattern)) if path.is_file()]
        if not matches:
            problems.append(
                PlanError(
                    f"the step {step.name} declares the file {pattern!r}, and there is none",
                    where=step.where,
                    why=f"patterns start from the project's root {project.root}",
                    fix="correct the pattern in files=",
                )
            )
        digests.update({path.relative_to(project.root).as_posix(): canonical.digest_file(path)[0] for path in matches})
    return digests


def _of_step(error: TurnoutError, step: StepSpec) -> PlanError:
    """The error of a lock, said of the step whose requirements led to it."""
    return PlanError(f"the step {step.name}: {error.what}", where=step.where, why=error.why, fix=error.fix)


def _check_python(stack: Stack, problems: list[TurnoutError]) -> None:
    """A lock holds for the Python that plans: a stack that wants another one is refused."""
    requested, running = stack.environment.python, python_minor()
    if requested is None or requested == running:
        return
    section = stack.document.get("environment")
    node = None if section is None else section.get("python")
    problems.append(
        PlanError(
            f"the stack {stack.name} wants Python {requested} on its workers, and this is Python {running}",
            where=None if node is None else node.at,
            why="packages are locked for the Python that plans",
            fix=f'plan with Python {requested}, or write `python: "{running}"` in the stack',
        )
    )


def _position(error: TurnoutError) -> tuple[str, int]:
    return (error.where.file, error.where.line or 0) if isinstance(error.where, Location) else ("", 0)


class _Locks:
    """The locked environments of a plan: one for the project, one for each set of further requirements."""

    def __init__(self, project: Project, stack: Stack, problems: list[TurnoutError]) -> None:
        self.project = project
        self.stack = stack
        self.problems = problems
        self.notes: list[str] = []
        self.environments: dict[str, Environment] = {}
        self._names: dict[tuple[str, ...], str] = {}

    def name_for(self, step: StepSpec) -> str:
        """The name of the environment of a step."""
        wanted = tuple(sorted(step.requirements))
        if wanted not in self._names:
            self._names[wanted] = self._lock(wanted, step)
        return self._names[wanted]

    def _lock(self, wanted: tuple[str, ...], step: StepSpec) -> str:
        name = "default" if not wanted else "env_" + canonical.digest_of(wanted)[:12]
        try:
            locked = environments.lock(self.project, wanted, self.stack.package_index)
        except TurnoutError as error:
            self.problems.append(_of_step(error, step) if wanted else error)
            return name
        self.notes.extend(note for note in locked.notes if note not in self.notes)
        self.environments[name] = Environment(python=locked.python, pins=locked.pins, local=locked.local)
        return name
