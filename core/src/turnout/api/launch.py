"""From a definition to a run: planned, published to the store, submitted to the stack's orchestrator."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from turnout.api.history import find_run
from turnout.api.workspace import Workspace, user
from turnout.artifacts import outputs
from turnout.artifacts.artifacts import Artifacts
from turnout.artifacts.saving import ContentKind
from turnout.base import clock
from turnout.base.errors import ConfigError, UnsupportedError, did_you_mean
from turnout.base.identity import run_id
from turnout.base.texts import encodable
from turnout.components.kinds import MATERIALIZER
from turnout.components.orchestrator import Bundle, Interrupted, RunHandle
from turnout.definition import reading
from turnout.definition.pipeline import PipelineDefinition
from turnout.definition.places import written
from turnout.materializers.choice import Materializers
from turnout.model import records
from turnout.model.plan import Plan, StepPlan
from turnout.model.records import Git, Options, OutputRecord, Record, Submission
from turnout.model.times import to_utc
from turnout.model.types import ParamType
from turnout.model.values import convert
from turnout.planning import publishing
from turnout.planning.planner import Planned, make_plan
from turnout.planning.publishing import bundle_files, publish_plan
from turnout.planning.uploads import Uploads
from turnout.project.project import Project, load, root_of
from turnout.runtime import parameters, profiles
from turnout.runtime.state import mark_cancelled
from turnout.stores import layout

if TYPE_CHECKING:
    from turnout.api.run import Run

_DATETIME = ParamType(kind="datetime")


class Launch:
    """A pipeline planned for a workspace, ready to be exported or submitted."""

    def __init__(
        self,
        definition: PipelineDefinition,
        workspace: Workspace,
        *,
        accept: tuple[str, ...] = (),
        given: Mapping[str, Any] | None = None,
    ) -> None:
        self.definition = definition
        self.workspace = workspace
        self.planned: Planned = make_plan(
            definition.trace(), workspace.project, workspace.stack, workspace.registry, accept=accept, given=given
        )

    @classmethod
    def of(
        cls,
        definition: PipelineDefinition,
        *,
        stack: str | None = None,
        accept: tuple[str, ...] = (),
        given: Mapping[str, Any] | None = None,
    ) -> Launch:
        """Plan a pipeline in its own project.

        Args:
            given: as for :func:`turnout.planning.planner.make_plan`.
        """
        project = project_of(definition)
        reading.refresh(definition, project)
        return cls(definition, Workspace(project, stack), accept=accept, given=given)

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.planned.plan

    @cached_property
    def compiled(self) -> Bundle:
        """The engine's files alone, and what it has to say of them."""
        return self.workspace.compiler.compile(self.plan)

    def publish(self) -> None:
        """Put plan, code package and local files into the store, unless they are there."""
        store = self.workspace.store
        self._send(self.planned.uploads)
        publish_plan(store, self.plan, self.planned.package)

    def export(self) -> Bundle:
        """The engine's files, and beside them all that its workers need: plan, code, and where the store is.

        Raises:
            UnsupportedError: when the orchestrator needs no files.
        """
        bundle = self.compiled
        if not bundle.files:
            raise UnsupportedError(
                f"the {self.workspace.compiler.name} orchestrator makes no files that could be exported",
                fix="choose another stack: --stack NAME",
            )
        files = {**bundle.files, **bundle_files(self.workspace.store, self.plan, self.planned.package)}
        return msgspec.structs.replace(bundle, files=files)

    def activate(self) -> str:
        """Publish to the store and to the orchestrator; run nothing. Returns where the engine finds it."""
        self.publish()
        orchestrator = self.workspace.orchestrator
        publishing.keep(self.workspace.store, self.plan, user())
        return orchestrator.publish(self.plan, self.compiled, self.workspace.store)

    def _send(self, uploads: Uploads) -> None:
        if uploads:
            with self._artifacts() as artifacts:
                uploads.send(artifacts)

    @contextmanager
    def _artifacts(self) -> Iterator[Artifacts]:
        """Saving to the stack's store, by what this process has imported."""
        materializers = Materializers(self.workspace.registry.all(MATERIALIZER))
        with tempfile.TemporaryDirectory(prefix="turnout-") as folder:
            yield Artifacts(self.workspace.store, materializers, Path(folder))

    def submission(self, params: Mapping[str, Any], options: Options) -> Submission:
        """The parameters and options as they travel: checked, local files sent to the store by digest.

        Raises:
            ConfigError: for an unknown, missing or wrong parameter.
        """
        options = msgspec.structs.replace(
            options,
            tags={encodable(name): encodable(value) for name, value in options.tags.items()},
            uuid=options.uuid or str(uuid.uuid4()),
            at=_time(options.at) if options.at else clock.now(),
            started_by=encodable(options.started_by or user()),
            git=options.git or self._git(),
            stack_digest=self.workspace.stack.digest,
        )
        types = {param.name: param.type for param in self.plan.params}
        uploads = Uploads(self.workspace.project)
        sent = dict(params)
        for name, value in params.items():
            if name in types and types[name].kind in {"file", "folder"} and value is not None:
                canonical = convert(value, types[name], name)
                if "path" in canonical:
                    path = str(Path.cwd() / canonical["path"])
                    kind: ContentKind = "folder" if types[name].kind == "folder" else "file"
                    sent[name] = uploads.add(path, kind, f"the parameter {name}")
                else:
                    sent[name] = canonical
        bound = parameters.bind(self.plan, sent, options, canonical=False)
        self._send(uploads)
        return Submission(params={name: bound[name] for name in sent}, options=options)

    def replacements(self, values: Mapping[str, Any]) -> dict[str, dict[str, str | OutputRecord]]:
        """Values that stand in for the outputs of steps, saved in the store, and by name: as outputs on record.

        Raises:
            ConfigError: for a step that cannot be replaced, or other outputs than it has.
            ArtifactError: for a value of another type than declared.
        """
        _check_names(self.plan, values)
        named: dict[str, dict[str, str | OutputRecord]] = {}
        plan, store = self.plan, self.workspace.store
        place = run_id(plan.project, plan.name, plan.instance, f"replace {uuid.uuid4()}")
        with self._artifacts() as artifacts:
            for name, value in values.items():
                given = _by_output(plan.by_name[name], value)
                made: dict[str, OutputRecord] = {}
                for output in plan.by_name[name].outputs:
                    if not output.type.collection:
                        outputs.check(given[output.name], output.type, output.name)
                    made[output.name] = profiles.stripped(artifacts.save(given[output.name], output))
                record = Record(run=place, step=name, state="succeeded", plan=plan.digest, outputs=made)
                store.create(layout.record(plan.project, place, name, None), records.encode(record))
                named[name] = {output: f"{place}/{name}:{output}" for output in made}
        return named

    def submit(
        self, params: Mapping[str, Any], options: Options | None = None, replace: Mapping[str, Any] | None = None
    ) -> RunHandle:
        """Publish and start a run. Does not wait for its end.

        Args:
            replace: as for :meth:`turnout.api.pipeline.Pipeline.run`.
        """
        options = options or Options()
        if options.reuse is not None:
            _check_names(self.plan, (*options.reuse.only, *filter(None, [options.reuse.from_])))
            earlier = find_run(self.workspace.store, self.workspace.project.name, options.reuse.run)
            options = msgspec.structs.replace(options, reuse=msgspec.structs.replace(options.reuse, run=earlier.id))
        if replace:
            options = msgspec.structs.replace(options, replace=self.replacements(replace))
        if (
            options.effects is None
            and self.plan.orchestrator != "local"
            and any(step.effect for step in self.plan.steps)
        ):
            options = msgspec.structs.replace(options, effects=False)
        submission = self.submission(params, options)
        self.publish()
        orchestrator = self.workspace.orchestrator
        try:
            return orchestrator.submit(self.plan, self.compiled, submission, self.workspace.store)
        except Interrupted as stop:
            mark_cancelled(self.workspace.store, self.plan, stop.handle.run_id)
            raise

    def cancel(self, handle: RunHandle) -> None:
        """Ask the engine to stop a run that was submitted, and mark that this was meant."""
        handle.cancel()
        mark_cancelled(self.workspace.store, self.plan, handle.run_id)

    def ended(self, handle: RunHandle) -> Run:
        """The run that was submitted, when it has ended; what this process knows of it is not read again.

        Raises:
            ConfigError: when it ended before anything was written of it.
        """
        from turnout.api.run import Run

        run = Run(handle.run_id, workspace=self.workspace)
        run.known, run.attempted = handle.records, handle.attempted
        if run.info.plan == self.plan.digest:
            run.plan = self.plan
        return run

    def _git(self) -> Git | None:
        revision = self.planned.package.revision
        return None if revision is None else Git(revision.commit, revision.dirty)


def project_of(definition: PipelineDefinition) -> Project:
    """The project that a pipeline is defined in."""
    return load(root_of(_source(definition)))


def _source(definition: PipelineDefinition) -> Path:
    """The file a pipeline is defined in, or for one of a notebook the current folder."""
    file = Path(written(definition.function).__code__.co_filename)
    return file if file.is_file() else Path.cwd()


def _time(text: str) -> str:
    """The logical time in canonical form."""
    try:
        return to_utc(convert(text, _DATETIME, "at"))
    except ConfigError as error:
        raise ConfigError(f"the logical time {text!r} cannot be read", why=error.why, fix=error.fix) from None


def _check_names(plan: Plan, names: Iterable[str]) -> None:
    for name in names:
        if name not in plan.by_name:
            raise ConfigError(
                f"{plan.name} has no step {name!r}. {did_you_mean(name, plan.by_name)}".rstrip(" ."),
                fix=f"its steps are: {', '.join(plan.by_name)}",
            )


def _by_output(step: StepPlan, value: Any) -> Mapping[str, Any]:
    """What stands in for each output of a step."""
    names = [output.name for output in step.outputs]
    if step.mapped or not names:
        kind = "mapped" if step.mapped else "a guard" if step.kind == "gate" else "without outputs"
        raise ConfigError(f"{step.name} is {kind} and cannot be replaced", fix="replace a step before it")
    if len(names) == 1:
        return {names[0]: value}
    if not isinstance(value, Mapping) or set(value) != set(names):
        raise ConfigError(
            f"{step.name} has the outputs {', '.join(names)}, and one value is given for each",
            fix=f"write replace={{{step.name!r}: {{{', '.join(f'{name!r}: …' for name in names)}}}}}",
        )
    return value
