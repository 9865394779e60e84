"""The API of Kubeflow Pipelines (v2beta1), as far as it is needed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from itertools import starmap
from pathlib import Path
from typing import Any

from turnout.plugin_api import ConfigError, HttpApi, NotFound, RunState, RunStatus, StepStatus
from turnout_kubeflow.settings import KubeflowSettings

RUNS = "runs/details/"
"""The page of a run, before its id."""
PAGE = 100
"""How many things are asked for at most."""
_ENDED: dict[str, RunState] = {
    "SUCCEEDED": "succeeded",
    "SKIPPED": "succeeded",
    "FAILED": "failed",
    "CANCELED": "cancelled",
}
_TASKS: dict[str, Any] = {"SUCCEEDED": "succeeded", "SKIPPED": "skipped", "FAILED": "failed", "RUNNING": "running"}


class Server(HttpApi):
    """The server that the settings name.

    Raises:
        ConfigError: where the stack names none, or a file that is not there.
    """

    engine = "Kubeflow Pipelines"
    root = "/apis/v2beta1"
    fix_none = "set orchestrator.url in the stack, export the pipeline, or run it here: --stack kubeflow-local"
    fix_url = (
        "see that the server runs, and that orchestrator.url is the API's own address (in a cluster ml-pipeline-ui, "
        "else …/pipeline); a page to sign in at takes orchestrator.token or cookie"
    )
    fix_access = "set orchestrator.token, or token_file, to a token of an account that may do that"
    fix_absent = "see that orchestrator.url is that of Kubeflow Pipelines 2, and that nothing was deleted there"
    fix_request = fix_failure = "see the server's log"

    def __init__(self, settings: KubeflowSettings) -> None:
        super().__init__(settings.url, settings.ca)
        self._settings = settings

    def headers(self) -> Mapping[str, str]:
        settings, token = self._settings, self._settings.token
        if settings.token_file and not token:
            try:
                token = Path(settings.token_file).read_text(encoding="utf-8").strip()
            except OSError as error:
                what = f"the token cannot be read from {settings.token_file}: {error.strerror}"
                raise ConfigError(what, fix="let orchestrator.token_file name a file with a token") from None
        named = {"Authorization": f"Bearer {token}" if token else "", "Cookie": settings.cookie}
        return {name: value for name, value in named.items() if value}

    @property
    def namespace(self) -> str | None:
        """The namespace, None where there are not several users."""
        return None if self._settings.namespace == "kubeflow" else self._settings.namespace

    def newest(self, path: str, *, name: str = "", **query: str | int | None) -> list[dict[str, Any]]:
        """The things of a kind, such as ``/runs``, one page of them at most; those of a *name* where one is given."""
        if name:
            predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
            query["filter"] = json.dumps({"predicates": [predicate]})
        answer = self.call("GET", path, query={"page_size": PAGE, "namespace": self.namespace, **query})
        things = next((value for value in answer.values() if isinstance(value, list)), [])
        return [thing for thing in things if not name or thing["display_name"] == name]

    def make(self, path: str, **fields: Any) -> dict[str, Any]:
        """Make a thing of a kind, once: the call is not made again. Fields that are None are left out."""
        made: dict[str, Any] = self.call("POST", path, {name: one for name, one in fields.items() if one is not None})
        return made

    def remove(self, path: str) -> None:
        """Delete what may be gone already."""
        with contextlib.suppress(NotFound):
            self.call("DELETE", path)

    def start(self, document: bytes, arguments: dict[str, Any], name: str) -> str:
        """Start a run and return Kubeflow's id of it. Asked once: a second time might start a second run."""
        import yaml

        pipeline, *platform = yaml.safe_load_all(document)
        run = self.make(
            "/runs",
            experiment_id=self.experiment(),
            display_name=name,
            pipeline_spec={"pipeline_spec": pipeline, "platform_spec": platform[0]} if platform else pipeline,
            runtime_config={"parameters": arguments},
            service_account=self._settings.service_account or None,
        )
        return str(run["run_id"])

    def experiment(self) -> str:
        """Kubeflow's id of the experiment, made if absent."""
        name = self._settings.experiment
        found = self.newest("/experiments", name=name)
        one = found[0] if found else self.make("/experiments", display_name=name, namespace=self.namespace)
        return str(one["experiment_id"])

    def status(self, engine_run: str, steps: Mapping[str, str]) -> RunStatus:
        """What Kubeflow says of a run and its tasks; ``unknown`` where it has none.

        Args:
            steps: the step of each task, by the task's name. Kubeflow tells of a mapped step as a whole.
        """
        try:
            run = self.call("GET", f"/runs/{engine_run}")
        except NotFound:
            return RunStatus(state="unknown")
        tasks = (run.get("run_details") or {}).get("task_details") or ()
        told = {steps[task["display_name"]]: task for task in tasks if task.get("display_name") in steps}
        return RunStatus(state=_ENDED.get(run["state"], "running"), steps=tuple(starmap(_step, told.items())))

    def stop(self, engine_run: str) -> None:
        """Ask Kubeflow to stop a run."""
        self.call("POST", f"/runs/{engine_run}:terminate", again=True)


def _step(step: str, task: Mapping[str, Any]) -> StepStatus:
    message = (task.get("error") or {}).get("message", "")
    return StepStatus(step=step, state=_TASKS.get(task.get("state", ""), "waiting"), message=message)


def page(settings: KubeflowSettings, place: str) -> str:
    """The address of a page of Kubeflow's UI."""
    return f"{settings.url.rstrip('/')}/#/{place}"
