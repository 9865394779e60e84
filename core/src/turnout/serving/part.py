"""One step of an endpoint by itself: a node of a graph of services, which takes what the nodes before it have made."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from turnout.artifacts.artifacts import Artifacts
from turnout.artifacts.blobs import entries
from turnout.base.errors import ArtifactError, ConfigError, PlanError, RunError, TurnoutError
from turnout.components.artifact_store import ArtifactStore
from turnout.components.registry import Registry
from turnout.materializers.choice import AUTO
from turnout.model.endpoint_plan import EndpointPlan
from turnout.model.inputs import Output, Param
from turnout.model.plan import OutputPlan
from turnout.model.records import Artifact, OutputRecord
from turnout.serving.answers import Answer, encoded
from turnout.serving.lookups import Pending
from turnout.serving.service import Observe, Service
from turnout.serving.tables import BadRequest
from turnout.stores.local import LocalConfig, LocalStore


class Handed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value between two nodes: its record, and the files of each artifact by digest and path (base64 in JSON)."""

    record: OutputRecord
    files: dict[str, dict[str, bytes]] = {}


class Forwarded(Answer, frozen=True):
    """The answer of a node that others follow: ``next`` is the body of the request to the next one."""

    @property
    def document(self) -> dict[str, Any]:
        """The answer as ``POST /predict`` gives it."""
        return {"next": self.values}


class Part(Service):
    """One step of one version of an endpoint; nodes are asked in the order of the plan's steps.

    The body of a request is what the first node was asked, with what nodes before this one have made, by
    ``STEP:OUTPUT``. A value between two nodes has the form that it would have in a store, so that it arrives as it was
    given; one that only a pickle can hold is refused, for nothing is unpickled from a request.

    Raises:
        ConfigError: when the endpoint has no such step, or the step gives what only a pickle can hold.
    """

    def __init__(
        self, plan: EndpointPlan, step: str, store: ArtifactStore[Any], work: Path, registry: Registry | None = None
    ) -> None:
        super().__init__(plan, store, work, registry)
        names = [one.name for one in plan.steps]
        if step not in names:
            raise ConfigError(
                f"the endpoint {plan.name} has no step {step!r}", fix=f"name one of its steps: {', '.join(names)}"
            )
        place = names.index(step)
        self.steps = (plan.steps[place],)
        self.batchable = False
        self._first, self._last = place == 0, place == len(names) - 1
        made = {(one.name, output.name): output for one in plan.steps[: place + 1] for output in one.outputs}
        after = [_sources(one) for one in plan.steps[place + 1 :]]
        self._kept: dict[str, tuple[tuple[str, str], OutputPlan]] = {
            ":".join(key): (key, output)
            for key, output in made.items()
            if any(key in sources for sources in after) or key == (plan.answer.step, plan.answer.output)
        }
        """What the nodes after this one are to know, by its name in a request."""
        for (name, output), planned in (kept for kept in self._kept.values() if kept[0][0] == step):
            chosen = planned.materializer
            if chosen != AUTO and not self._last and self.artifacts.materializers.named(chosen).pickled:
                raise ConfigError(
                    f"the step {name} of the endpoint {plan.name} cannot be a node: {output} is kept as a pickle",
                    why="nothing is unpickled from a request",
                    fix="answer the whole endpoint in one node, or let the step give a table, an array or plain values",
                )
        needed = _sources(self.steps[0]) | ({(plan.answer.step, plan.answer.output)} if self._last else set())
        self._taken = {":".join(key): key for key in made if key in needed and key[0] != step}
        self._asked = {spec.source.name for spec in self.steps[0].inputs.values() if isinstance(spec.source, Param)}

    def answer_stored(self) -> tuple[int, dict[tuple[str, str], Any]]:
        """Nothing: stored rows are for the first node, and the whole was tried on them when it was deployed."""
        return 0, {}

    def decode(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that the step takes; the first node reads all of a request, so that it is refused there."""
        if self._first:
            return super().decode(body)
        asked = [request for request in self.plan.requests if request.name in self._asked]
        return {request.name: self._argument(request, body) for request in asked}

    def answer(self, body: Mapping[str, Any], observe: Observe = lambda _part, _seconds: None) -> Answer:
        """Answer a request of a client, or of the node before.

        Raises:
            BadRequest: for a request that the endpoint refuses, or without what earlier nodes have made.
            RunError: when a value cannot be handed on.
            Exception: whatever the step raises.
        """
        answering = self._answer(body, observe)
        try:
            while True:
                next(answering).wait()
        except StopIteration as end:
            answer: Answer = end.value
            return answer

    async def answer_later(self, body: Mapping[str, Any], observe: Observe) -> Answer:
        """As :meth:`answer`; other requests are answered while features are looked up."""
        answering = self._answer(body, observe)
        while True:
            try:
                pending = next(answering)
            except StopIteration as end:
                answer: Answer = end.value
                return answer
            await pending.wait_async()

    def _answer(self, body: Mapping[str, Any], observe: Observe) -> Generator[Pending, None, Answer]:
        handed = {name: value for name, value in body.items() if ":" in name}
        requests = {name: value for name, value in body.items() if ":" not in name}
        with tempfile.TemporaryDirectory(dir=self.artifacts.work) as folder:
            desk = self._desk(Path(folder))
            arguments = self.decode(body if self._first else requests)
            made = {key: self._read(desk, name, handed) for name, key in self._taken.items()}
            yield from self._make(arguments, made, observe)
            if not self._last:
                own = {
                    name: self._written(desk, name, made[key], output)
                    for name, (key, output) in self._kept.items()
                    if key in made and name not in handed
                }
                passed = {name: value for name, value in handed.items() if name in self._kept}
                return Forwarded({**requests, **passed, **own}, by_row=False)
            table = self.plan.table
            rows = requests.get(table.name) if table is not None else None
            count = len(rows) if isinstance(rows, list) else None
            return encoded(made[self.plan.answer.step, self.plan.answer.output], count, self.plan.answer.step)

    def _desk(self, folder: Path) -> Artifacts:
        """Where values are written and read while one request is answered."""
        store = LocalStore(LocalConfig(root=str(folder / "store")))
        return Artifacts(store, self.artifacts.materializers, folder / "work", self.components.redactor, self._allow)

    def _allow(self, artifact: Artifact) -> None:
        if artifact.marked or self.artifacts.materializers.named(artifact.materializer).pickled:
            raise PlanError("it is a pickle", why="nothing is unpickled from a request")
        if self.artifacts.allow is not None:
            self.artifacts.allow(artifact)

    def _written(self, desk: Artifacts, name: str, value: Any, output: OutputPlan) -> Any:
        try:
            record = desk.save(value, output)
            for artifact in record.artifacts:
                self._allow(artifact)
        except TurnoutError as error:
            raise RunError(
                f"{name} cannot be handed to the next node: {error.what}",
                why=error.why,
                fix="answer both steps in one node, or return a table, an array or plain values",
            ) from error
        files = {one.digest: _content(desk.local_folder(one)) for one in record.artifacts if not one.inline}
        return msgspec.to_builtins(Handed(record, files))

    def _read(self, desk: Artifacts, name: str, handed: Mapping[str, Any]) -> Any:
        if name not in handed:
            raise BadRequest("is missing: ask the node before this one, and send what it answers as next", name)
        try:
            value = msgspec.convert(handed[name], Handed)
            if value.record.artifact is None and value.record.elements is None:
                raise ArtifactError("its record names no artifact")
            for artifact in value.record.artifacts:
                if not artifact.inline:
                    _put(desk, artifact, value.files.get(artifact.digest, {}))
            return desk.load_output(value.record, self._type(name))
        except (msgspec.ValidationError, TurnoutError, OSError) as error:
            raise BadRequest(f"is not what a node before this one gives: {error}", name) from None

    def _type(self, name: str) -> Any:
        key = self._taken[name]
        for spec in self.steps[0].inputs.values():
            if isinstance(source := spec.source, Output) and (source.step, source.output) == key:
                return spec.type
        return next(
            output.type for step in self.plan.steps for output in step.outputs if (step.name, output.name) == key
        )


def _sources(step: Any) -> set[tuple[str, str]]:
    """The outputs of other steps that a step takes."""
    return {(s.step, s.output) for spec in step.inputs.values() if isinstance(s := spec.source, Output)}


def _content(folder: Path) -> dict[str, bytes]:
    return {
        entry.path: b"" if entry.path.endswith("/") else (folder / entry.path).read_bytes() for entry in entries(folder)
    }


def _put(desk: Artifacts, artifact: Artifact, files: Mapping[str, bytes]) -> None:
    """Write an artifact's files to the desk.

    Raises:
        ArtifactError: when they are not those of the artifact.
    """
    with desk.blobs.staging() as folder:
        for name, data in files.items():
            path = folder / name
            if not path.resolve().is_relative_to(folder.resolve()):
                raise ArtifactError(f"the file {name!r} lies outside its artifact")
            if name.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        manifest = desk.blobs.write(folder, artifact.materializer, artifact.type)
    if manifest.digest != artifact.digest:
        raise ArtifactError(f"the files of {artifact.digest[:12]} are not those that it names")
