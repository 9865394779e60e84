"""From a definition to a run: planned, published to the store, submitted to the stack's orchestrator."""

from __future__ import annotations

import getpass
import os
import socket
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from turnout.api.workspace import Workspace
from turnout.components.orchestrator import RunHandle
from turnout.definition.pipeline import PipelineDefinition
from turnout.errors import ConfigError, did_you_mean
from turnout.materializers.choice import Materializers
from turnout.packaging.project import load, root_of
from turnout.plan.model import Plan
from turnout.planning.planner import Planned, make_plan
from turnout.planning.publishing import publish_plan
from turnout.planning.uploads import Uploads
from turnout.records.model import Git, Options, Submission
from turnout.runtime import clock, parameters
from turnout.runtime.artifacts import Artifacts, ContentKind
from turnout.spec.types import ParamType
from turnout.spec.values import convert

_DATETIME = ParamType(kind="datetime")


class Launch:
    """A pipeline planned for a workspace, ready to be exported or submitted."""

    def __init__(self, definition: PipelineDefinition, workspace: Workspace, *, accept: tuple[str, ...] = ()) -> None:
        self.definition = definition
        self.workspace = workspace
        self.planned: Planned = make_plan(
            definition.trace(), workspace.project, workspace.stack, workspace.registry, accept=accept
        )

    @classmethod
    def of(cls, definition: PipelineDefinition, *, stack: str | None = None, accept: tuple[str, ...] = ()) -> Launch:
        """Plan a pipeline in its own project."""
        project = load(root_of(_source(definition)))
        return cls(definition, Workspace(project, stack), accept=accept)

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.planned.plan

    def publish(self) -> None:
        """Put plan, code package and local files into the store, unless they are there."""
        store = self.workspace.store
        self._send(self.planned.uploads)
        publish_plan(store, self.plan, self.planned.package)

    def _send(self, uploads: Uploads) -> None:
        materializers = Materializers(self.workspace.registry.all("materializer"))
        with tempfile.TemporaryDirectory(prefix="turnout-") as folder:
            uploads.send(Artifacts(self.workspace.store, materializers, Path(folder)))

    def submission(self, params: Mapping[str, Any], options: Options) -> Submission:
        """The parameters and options as they travel: checked, local files sent to the store by digest.

        Raises:
            ConfigError: for an unknown, missing or wrong parameter.
        """
        options = msgspec.structs.replace(
            options,
            uuid=options.uuid or str(uuid.uuid4()),
            at=_time(options.at) if options.at else clock.now(),
            started_by=options.started_by or _who(),
            git=options.git or self._git(),
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
        bound = parameters.bind(self.plan, sent, options)
        self._send(uploads)
        return Submission(params={name: bound[name] for name in sent}, options=options)

    def submit(self, params: Mapping[str, Any], options: Options | None = None) -> RunHandle:
        """Publish and start a run. Does not wait for its end."""
        options = options or Options()
        _check_steps(self.plan, options)
        submission = self.submission(params, options)
        self.publish()
        orchestrator = self.workspace.orchestrator
        return orchestrator.submit(self.plan, orchestrator.compile(self.plan), submission, self.workspace.store)

    def _git(self) -> Git | None:
        revision = self.planned.package.revision
        return None if revision is None else Git(revision.commit, revision.dirty)


def _source(definition: PipelineDefinition) -> Path:
    """The file a pipeline is defined in, or for one of a notebook the current folder."""
    file = Path(definition.function.__code__.co_filename)
    return file if file.is_file() else Path.cwd()


def _time(text: str) -> str:
    """The logical time in canonical form."""
    try:
        return str(convert(text, _DATETIME, "at"))
    except ConfigError as error:
        raise ConfigError(f"the logical time {text!r} cannot be read", why=error.why, fix=error.fix) from None


def _check_steps(plan: Plan, options: Options) -> None:
    named = [*options.replace, *(() if options.reuse is None else options.reuse.only)]
    if options.reuse is not None and options.reuse.from_ is not None:
        named.append(options.reuse.from_)
    for name in named:
        if name not in plan.by_name:
            raise ConfigError(
                f"{plan.name} has no step {name!r}. {did_you_mean(name, plan.by_name)}".rstrip(" ."),
                fix=f"its steps are: {', '.join(plan.by_name)}",
            )


def _who() -> str:
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return f"{os.getuid()}@{socket.gethostname()}"
