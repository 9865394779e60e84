"""The orchestrator ``kubeflow-local``: the same specification, run on this machine by kfp.local."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from turnout.plugin_api import (
    ArtifactError,
    Bundle,
    Capability,
    Plan,
    PluginError,
    RunError,
    RunHandle,
    RunInfo,
    RunState,
    RunStatus,
    Submission,
    Support,
    Watcher,
    encode,
    run_id,
)
from turnout_kubeflow import containers, driver, inputs
from turnout_kubeflow.launch import LOGS
from turnout_kubeflow.orchestrator import CAPABILITIES, ENTRYPOINT, Compiling
from turnout_kubeflow.run import last_mark
from turnout_kubeflow.settings import KubeflowLocalSettings
from turnout_kubeflow.watching import Records

LOOK = 0.5
"""Seconds between two looks at a run."""


class KubeflowLocalRun(RunHandle):
    """A run of kfp.local in processes of its own. What became of it, the records say, whatever kfp says."""

    def __init__(
        self, plan: Plan, engine_run: str, folder: Path, process: subprocess.Popen[bytes], store: Any, watch: Watcher
    ) -> None:
        self.engine_run = engine_run
        self.run_id = run_id(plan.project, plan.name, plan.instance, engine_run)
        self._marks = f"{plan.project}/runs/{self.run_id}/finish"
        self._folder = folder
        self._process = process
        self._store = store
        self._records = Records(plan, self.run_id, store, watch)

    def wait(self, timeout: float | None = None) -> RunState:
        limit = None if timeout is None else time.monotonic() + timeout
        while self._process.poll() is None:
            left = LOOK if limit is None else min(LOOK, limit - time.monotonic())
            if left <= 0:
                return "running"
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(left)
            self._records.look()
        self._records.look(ended=True)
        return last_mark(self._store, self._marks) or "failed"

    def cancel(self) -> None:
        if self._process.poll() is None:
            driver.ask_to_stop(self._folder)
            self._process.wait()


class KubeflowLocalOrchestrator(Compiling[KubeflowLocalSettings]):
    """kfp.local: no cluster, and no container unless steps are started by their images."""

    name = "kubeflow-local"
    Config = KubeflowLocalSettings
    cluster = False
    capabilities: ClassVar[Mapping[Capability, Support]] = {
        **CAPABILITIES,
        Capability.CPU: "emulated",
        Capability.MEMORY: "refused",
        Capability.GPU: "refused",
    }

    def submit(self, plan: Plan, bundle: Bundle, submission: Submission, store: Any) -> RunHandle:
        """Start kfp.local in the background.

        Raises:
            PluginError: where kfp, or what containers take, is not installed.
            RunError: where steps start in containers, and nothing answers that could start them.
        """
        engine_run = submission.options.uuid or str(uuid.uuid4())
        return self._start(plan, bundle, engine_run, submission, store)

    def resume(self, plan: Plan, run: RunInfo, store: Any) -> RunHandle:
        """Start kfp.local again for the same run: it calls every step, and those that are committed say so at once."""
        folder = self._folder(plan, run.engine_run)
        if driver.locked(folder):
            raise RunError(
                f"the run {run.id} is in progress",
                why="its driver lives on this machine",
                fix=f"wait for it, or stop it: turnout runs cancel {run.id[:8]}",
            )
        driver.forget(folder)
        submission = Submission(params=run.params, options=run.options)
        return self._start(plan, self.compile(plan), run.engine_run, submission, store)

    def _start(self, plan: Plan, bundle: Bundle, engine_run: str, submission: Submission, store: Any) -> RunHandle:
        if find_spec("kfp") is None:
            raise PluginError("kfp is not installed", fix='pip install "turnout-kubeflow[kfp]"')
        if self.config.launch == "image":
            containers.check([self.config.image, *(step.image for step in plan.steps if step.image)])
        folder = self._folder(plan, engine_run)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ENTRYPOINT).write_bytes(bundle.files[ENTRYPOINT])
        options = msgspec.to_builtins(submission.options)
        more = {"engine_run": engine_run, "options": options}
        document = {
            "plan": plan.digest,
            "engine_run": engine_run,
            "submission": encode(submission).decode(),
            "arguments": inputs.arguments(plan, submission.params, more),
            "containers": self._containers(plan, store),
        }
        (folder / "arguments.json").write_text(json.dumps(document), encoding="utf-8")
        environ = {**os.environ, **store.environment(), LOGS: str(folder)}
        command = [sys.executable, "-m", "turnout_kubeflow.driver", str(folder)]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(
            command, cwd=folder, env=environ, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
        )
        while process.poll() is None and not (folder / "begun").exists():
            time.sleep(0.01)
        return KubeflowLocalRun(plan, engine_run, folder, process, store, self.watch)

    def status(self, plan: Plan, engine_run: str) -> RunStatus:
        """``running`` while its driver lives on this machine, ``failed`` where that was killed."""
        folder = self._folder(plan, engine_run)
        if driver.locked(folder):
            return RunStatus(state="running")
        killed = (folder / "begun").exists() and not (folder / "ended").exists()
        return RunStatus(state="failed" if killed else "unknown")

    def logs(self, plan: Plan, engine_run: str, step: str, index: int | None = None) -> Iterator[str]:
        """The lines of a step's log file, all attempts in order."""
        path = self._folder(plan, engine_run) / (f"{step}.log" if index is None else f"{step}.{index}.log")
        if not path.exists():
            raise ArtifactError(
                f"there is no log of {step} on this machine",
                why=f"looked for {path}",
                fix="the step has not run here, or its log was removed",
            )
        yield from path.read_text(encoding="utf-8", errors="replace").splitlines()

    def cancel(self, plan: Plan, engine_run: str) -> None:
        """Ask the driver, in whatever process of this machine it was submitted, to stop the run."""
        folder = self._folder(plan, engine_run)
        if not driver.locked(folder):
            raise RunError(
                f"the run {folder.name} does not run on this machine", fix="see how it went: turnout runs list"
            )
        driver.ask_to_stop(folder)

    def _containers(self, plan: Plan, store: Any) -> dict[str, Any] | None:
        """What containers are given: variables of the driver's by their names, folders of this machine, the network."""
        if self.config.launch != "image":
            return None
        shared = [] if "://" in store.address else [store.address]
        folders = [*shared, *(str(Path(folder).absolute()) for folder in self.config.folders)]
        names = {*store.environment(), LOGS, *(name for name in self._variables(plan) if name in os.environ)}
        return {"environment": sorted(names), "folders": folders, "network": self.config.network}

    def _variables(self, plan: Plan) -> set[str]:
        """The variables that the stack names, and those that steps ask for themselves or as secrets."""
        found = {*self.config.variables, *(name for step in plan.steps for name in step.env)}
        secrets = plan.worker.secrets
        if secrets.type == "env":
            prefix = secrets.config.get("prefix", "")
            found |= {f"{prefix}{name}" for step in plan.steps for name in step.secrets.values()}
        return found

    def _folder(self, plan: Plan, engine_run: str) -> Path:
        return Path(self.config.folder).absolute() / run_id(plan.project, plan.name, plan.instance, engine_run)
