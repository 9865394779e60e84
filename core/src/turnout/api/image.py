"""Images for the steps of a pipeline, one for each of its plan's environments; and the one that serves an endpoint."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from turnout.api.deployment import Deployment
from turnout.api.launch import Launch
from turnout.artifacts.artifacts import Artifacts, copy_artifact
from turnout.base.errors import ConfigError
from turnout.components.kinds import MATERIALIZER, ORCHESTRATOR
from turnout.images import builder as builders
from turnout.images import dockerfile as images
from turnout.images import wheels
from turnout.images.dockerfile import Image, Wheel
from turnout.materializers.choice import Materializers
from turnout.model.plan import Environment
from turnout.project.unpacking import extract
from turnout.runtime.interpreter import own_requirements
from turnout.stores.local import LocalConfig, LocalStore

BASE = "docker.io/library/python:{python}-slim"
"""The image that others are built on, where nothing else is said."""


class StepImage(msgspec.Struct, frozen=True, kw_only=True):
    """The image of one environment: its tag, the steps that are locked to it, and the folder it is built from."""

    environment: str
    steps: tuple[str, ...]
    tag: str
    folder: Path
    image: Image


class Images:
    """The images of a planned pipeline.

    Args:
        base: the image they are built on; it has Python, pip and a shell. Else the stack's
            ``environment.base_image``, else the slim one of Python's own.
        tag: the name of the image; where there are several environments, the others' have theirs at its end.
        folder: where the files go that it is built from; where there are several environments, in folders of these
            names. Else ``.turnout/images`` in the project.
        bake_code: whether the images hold the project's code as well.

    Raises:
        ConfigError: when the base cannot be the name of an image.
    """

    def __init__(
        self,
        launch: Launch | Deployment,
        *,
        base: str | None = None,
        tag: str | None = None,
        folder: Path | None = None,
        bake_code: bool = False,
    ) -> None:
        self._launch = launch
        self._settings = launch.workspace.stack.environment
        self._base = base or self._settings.base_image or BASE
        if self._base.split() != [self._base]:
            raise ConfigError(f"{self._base!r} is not the name of an image", fix="name one: --base registry/name:tag")
        self._tag = tag
        self._folder = folder
        self._bake = bake_code

    @cached_property
    def each(self) -> tuple[StepImage, ...]:
        """One image for each environment, the project's own first.

        Raises:
            PlanError: when something that it must hold is not installed here, or cannot stand beside the pins.
        """
        return tuple(self._of(name, one) for name, one in self._environments.items())

    @property
    def _environments(self) -> Mapping[str, Environment]:
        assert isinstance(self._launch, Launch)
        return self._launch.plan.environments

    def _steps(self, environment: str) -> tuple[str, ...]:
        """The names of the steps that are locked to an environment."""
        return tuple(step.name for step in self._launch.plan.steps if step.environment == environment)

    def _add(self, folder: Path) -> None:
        """Write what else is copied into the image."""

    def write(self) -> None:
        """Write the files that the images are built from; wheels of what no index has are built for them.

        Raises:
            ConfigError: when a folder holds anything else.
            PlanError: when a wheel cannot be built.
        """
        made: dict[str, Wheel] = {}
        for one in self.each:
            _clear(one.folder)
            for name, distribution in wheels.of_local(one.image.local).items():
                if name not in made:
                    made[name] = wheels.build(distribution)
            for name, data in images.files(one.image, [made[name] for name in sorted(one.image.local)]).items():
                path = one.folder / name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)
            if one.image.code:
                extract(self._launch.planned.package.data, one.folder / "code")
            self._add(one.folder)
            _open(one.folder)

    def build(
        self,
        builder: str | None = None,
        *,
        pip_config: Path | None = None,
        push: bool = False,
        options: Sequence[str] = (),
    ) -> str:
        """Build the images of the files that were written, push them if asked to, and return the builder's name.

        Args:
            builder: ``docker``, ``podman`` or ``buildah``; else the stack's ``environment.builder``, else the first
                that there is.
            pip_config: pip's configuration, where packages come from an index of its own; it is in no layer.
            options: more options of the builder's own.

        Raises:
            ConfigError: when there is no builder.
            RunError: when it fails.
        """
        found = builder or self._settings.builder or builders.find()
        if found is None:
            one = self.each[0]
            raise ConfigError(
                "nothing here builds images: there is no docker that answers, no podman and no buildah",
                why=f"the Dockerfile is written, {one.folder / 'Dockerfile'}, and not built",
                fix=f"build it where there is one: docker build --tag {one.tag} {one.folder}",
            )
        for one in self.each:
            builders.build(found, one.tag, one.folder, pip_config, options)
        for one in self.each if push else ():
            builders.push(found, one.tag)
        return found

    def _of(self, name: str, environment: Environment) -> StepImage:
        launch = self._launch
        needed = wheels.needed(self._own, environment.pins)
        indexed = tuple(one.pin for one in needed.values() if one.origin == "index")
        others = wheels.of_local(one.name for one in needed.values() if one.origin != "index")
        image = Image(
            project=launch.plan.project,
            base=self._base.replace("{python}", environment.python),
            python=environment.python,
            pins=environment.pins,
            own=tuple(sorted(indexed)),
            local={**environment.local, **{name: one.content for name, one in sorted(others.items())}},
            code=launch.plan.code.digest if self._bake else "",
            **self._served,
        )
        several = len(self._environments) > 1
        tag = self._tag or image.tag
        if self._tag and several and name != "default":
            tag += f"-{name}" if ":" in tag.rpartition("/")[2] else f":{name}"
        folder = launch.workspace.project.state / "images" / image.digest[:12]
        if self._folder is not None:
            folder = self._folder / name if several else self._folder
        return StepImage(environment=name, steps=self._steps(name), tag=tag, folder=folder, image=image)

    @property
    def _served(self) -> Mapping[str, str]:
        """What an image has besides that is no step's."""
        return {}

    @cached_property
    def _own(self) -> tuple[str, ...]:
        workspace = self._launch.workspace
        found = own_requirements(self._launch.plan.worker, workspace.registry, workspace.store)
        orchestrator = workspace.stack.orchestrator_type
        launcher = workspace.registry.distribution(ORCHESTRATOR, orchestrator.name) if orchestrator.launcher else ""
        return tuple(dict.fromkeys([*found, *filter(None, [launcher])]))


class EndpointImage(Images):
    """The image that serves an endpoint: its environment, code, plan, and the artifacts that it is bound to.

    Args:
        deployment: the endpoint, planned.
        options: those of :class:`Images`, but for ``bake_code``.
    """

    def __init__(self, deployment: Deployment, **options: Any) -> None:
        super().__init__(deployment, bake_code=True, **options)
        self._deployment = deployment

    @property
    def _environments(self) -> Mapping[str, Environment]:
        return {"default": self._deployment.plan.environment}

    def _steps(self, environment: str) -> tuple[str, ...]:
        return tuple(step.name for step in self._deployment.plan.steps)

    @property
    def _served(self) -> Mapping[str, str]:
        plan = self._deployment.plan
        return {"endpoint": plan.name, "version": plan.digest}

    @cached_property
    def _own(self) -> tuple[str, ...]:
        workspace = self._deployment.workspace
        found = own_requirements(self._deployment.plan.worker, workspace.registry, workspace.store)
        return ("turnout[serve]", *found)

    def _add(self, folder: Path) -> None:
        """Write the plan, and a store with what it is bound to: what requests are only like is not among it."""
        plan, workspace = self._deployment.plan, self._deployment.workspace
        (folder / "endpoint.json").write_bytes(plan.encode())
        materializers = Materializers(workspace.registry.all(MATERIALIZER))
        with tempfile.TemporaryDirectory(prefix="turnout-") as work:
            source = Artifacts(workspace.store, materializers, Path(work, "source"))
            target = Artifacts(LocalStore(LocalConfig(root=str(folder / "store"))), materializers, Path(work, "target"))
            for one in plan.bindings:
                copy_artifact(source, target, one.artifact)
        for place in ("store/.staging", "store/claims"):
            shutil.rmtree(folder / place, ignore_errors=True)


def _clear(folder: Path) -> None:
    """Take away what was written here before; what someone else wrote is left alone, and refused."""
    if folder.is_dir() and any(folder.iterdir()):
        file = folder / "Dockerfile"
        if not (file.is_file() and images.MARK in file.read_text(encoding="utf-8", errors="replace")):
            raise ConfigError(f"{folder} holds other files", fix="give a folder of the image's own: -o DIR")
        for name in ("wheels", "code", "store"):
            shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def _open(folder: Path) -> None:
    """Let everyone read what is copied into an image, whatever this user's files are like: steps run as others."""
    for path in folder.rglob("*"):
        runs = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if runs else 0o644)
