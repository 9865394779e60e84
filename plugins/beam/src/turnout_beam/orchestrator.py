"""The orchestrator ``beam``: a plan becomes a job, which this machine or any runner of Beam runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from turnout.plugin_api import (
    BY_RUNTIME,
    ArtifactStore,
    Bundle,
    Capability,
    DriverOrchestrator,
    Plan,
    PluginError,
    Submission,
    Support,
    UnsupportedError,
    pretty,
)
from turnout_beam import options
from turnout_beam.job import SUBMISSION
from turnout_beam.jobfile import rendered
from turnout_beam.settings import BeamSettings, flags

ENTRYPOINT = "job.py"
REQUIREMENTS = "requirements.txt"
_SUBMISSION = "submission.json"


class BeamOrchestrator(DriverOrchestrator[BeamSettings]):
    """Apache Beam: the DirectRunner on this machine, or a portable runner by its job service."""

    name = "beam"
    local = True
    Config = BeamSettings
    launcher: ClassVar[bool] = True
    capabilities: ClassVar[Mapping[Capability, Support]] = {
        **BY_RUNTIME,
        Capability.RETRIES: "emulated",
        Capability.BACKOFF: "emulated",
        Capability.TIMEOUT: "emulated",
        Capability.MAP: "native",
        Capability.PARAMS: "native",
        Capability.DOCS: "native",
    }

    def compile(self, plan: Plan) -> Bundle:
        """The job's file, and what it needs to be installed.

        Raises:
            UnsupportedError: for a step with an image of its own: workers of Beam have one for all.
        """
        for step in plan.steps:
            if step.image:
                raise UnsupportedError(
                    f"the step {step.name} has an image of its own, {step.image}; beam cannot give it one",
                    where=step.where,
                    why="all steps of a job run where its workers do",
                    fix="remove it from the stack's steps; give the workers an image: "
                    "orchestrator: {options: {sdk_container_image: …}}",
                )
        needed = "".join(f"{name}=={version(name)}\n" for name in ("turnout", "turnout-beam"))
        text = f"# What the launcher of the job and its workers need beside apache-beam.\n{needed}"
        return Bundle(files={ENTRYPOINT: rendered(plan).encode(), REQUIREMENTS: text.encode()}, entrypoint=ENTRYPOINT)

    def prepare(
        self, plan: Plan, engine_run: str, submission: Submission, store: ArtifactStore[Any]
    ) -> Mapping[str, bytes]:
        """Check Beam's options and, of a portable runner, that its job service answers.

        Raises:
            PluginError: where Beam is not installed.
            ConfigError: for an option that Beam does not know.
            RunError: where no job service answers.
        """
        if find_spec("apache_beam") is None:
            raise PluginError("Apache Beam is not installed", fix='pip install "turnout-beam[beam]"')
        options.see_job_service(options.checked(flags(self.config)))
        document = {
            "engine_run": engine_run,
            "isolation": self.config.isolation,
            "submission": msgspec.to_builtins(submission),
        }
        return {_SUBMISSION: pretty(document)}

    def command(self, plan: Plan, folder: Path) -> Sequence[str]:
        return [sys.executable, ENTRYPOINT, *flags(self.config), f"{SUBMISSION}={_SUBMISSION}"]
