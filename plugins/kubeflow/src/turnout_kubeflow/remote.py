"""A Kubeflow Pipelines server, by kfp's own client: experiments, runs, pipelines and their versions."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from turnout.plugin_api import (
    ConfigError,
    FinishMark,
    Plan,
    PluginError,
    RunError,
    RunHandle,
    RunState,
    Watcher,
    run_id,
)
from turnout_kubeflow.names import valid
from turnout_kubeflow.settings import KubeflowSettings
from turnout_kubeflow.watching import Records

TRIES = 4
"""How often a question is asked of a server that fails to answer."""
_STATES: dict[str, RunState] = {
    "PENDING": "running",
    "RUNNING": "running",
    "CANCELING": "running",
    "PAUSED": "running",
    "SUCCEEDED": "succeeded",
    "SKIPPED": "succeeded",
    "FAILED": "failed",
    "CANCELED": "cancelled",
}


class Server:
    """The server that the settings name."""

    def __init__(self, settings: KubeflowSettings) -> None:
        self._settings = settings

    @cached_property
    def _client(self) -> Any:
        if not self._settings.url:
            raise ConfigError(
                "the kubeflow orchestrator does not know its server",
                fix="set orchestrator.url in the stack, export the pipeline, or run it here: --stack kubeflow-local",
            )
        if find_spec("kfp") is None:
            raise PluginError("kfp is not installed", fix='pip install "turnout-kubeflow[kfp]"')
        self._greet()
        with _quiet():
            from kfp import Client

            settings = self._settings
            return Client(host=settings.url, namespace=settings.namespace, existing_token=settings.token or None)

    def _greet(self) -> None:
        """See that the server answers: kfp's client would ask for half a minute, and say only that it failed."""
        from kfp_server_api import ApiClient, Configuration, HealthzServiceApi

        settings = self._settings
        token = {"authorization": settings.token} if settings.token else {}
        configuration = Configuration(
            host=settings.url.rstrip("/"), api_key=token, api_key_prefix=dict.fromkeys(token, "Bearer")
        )
        configuration.retries = False
        self._ask(HealthzServiceApi(ApiClient(configuration)).healthz_service_get_healthz)

    def start(self, document: bytes, arguments: dict[str, Any], name: str) -> str:
        """Start a run and return Kubeflow's id of it. Asked once: a second time might start a second run."""
        settings = self._settings
        client = self._client
        namespace = None if settings.namespace == "kubeflow" else settings.namespace
        experiment = self._ask(client.create_experiment, settings.experiment, namespace=namespace, tries=1)
        with _file(document) as path:
            run = self._ask(
                client.run_pipeline,
                experiment.experiment_id,
                name,
                pipeline_package_path=path,
                params=arguments,
                service_account=settings.service_account or None,
                tries=1,
            )
        return str(run.run_id)

    def state(self, engine_run: str) -> RunState:
        """What Kubeflow says of a run; ``unknown`` where it has none."""
        run = self._ask(self._client.get_run, engine_run, absent=True)
        return "unknown" if run is None else _STATES.get(str(run.state), "running")

    def stop(self, engine_run: str) -> None:
        """Ask Kubeflow to stop a run."""
        self._ask(self._client.terminate_run, engine_run)

    def publish(self, plan: Plan, document: bytes) -> str:
        """Upload a pipeline, or a version of it unless it is there; returns where it is."""
        client, name, version = self._client, plan.name, f"{valid(plan.name)}-{plan.digest[:12]}"
        pipeline = self._ask(client.get_pipeline_id, name)
        with _file(document) as path:
            if pipeline is None:
                made = self._ask(client.upload_pipeline, path, name, tries=1)
                pipeline = made.pipeline_id
            versions = self._ask(client.list_pipeline_versions, pipeline, page_size=100).pipeline_versions or []
            if not any(one.display_name == version for one in versions):
                self._ask(client.upload_pipeline_version, path, version, pipeline_id=pipeline, tries=1)
        return f"{self._settings.url.rstrip('/')}/#/pipelines/details/{pipeline}"

    def link(self, engine_run: str) -> str:
        """The page of a run."""
        return f"{self._settings.url.rstrip('/')}/#/runs/details/{engine_run}"

    def _ask(self, call: Callable[..., Any], *given: Any, tries: int = TRIES, absent: bool = False, **more: Any) -> Any:
        """Make a call of the client; again where the server fails and nothing can happen twice."""
        from kfp_server_api.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        for left in reversed(range(tries)):
            try:
                with _quiet():
                    return call(*given, **more)
            except ApiException as error:
                if absent and error.status == 404:
                    return None
                if error.status and error.status >= 500 and left:
                    time.sleep(0.25 * 2 ** (tries - left))
                    continue
                raise self._refusal(error) from None
            except HTTPError as error:
                raise RunError(
                    f"Kubeflow Pipelines at {self._settings.url} cannot be reached",
                    why=type(error).__name__,
                    fix="see that the server runs and that orchestrator.url is right",
                ) from None
        raise AssertionError("the last try returns or raises")

    def _refusal(self, error: Any) -> RunError:
        fix = "see the server's log"
        if error.status in {401, 403}:
            fix = "set orchestrator.token to a token of an account that may do that"
        elif error.status == 404:
            fix = "see that orchestrator.url is that of Kubeflow Pipelines 2, and that nothing was deleted there"
        return RunError(f"Kubeflow Pipelines at {self._settings.url} answered {error.status} {error.reason}", fix=fix)


class KubeflowRun(RunHandle):
    """A run on a server. Its state is what the finish mark in the store says, whatever Kubeflow says."""

    def __init__(
        self, plan: Plan, engine_run: str, server: Server, store: Any, interval: float, watch: Watcher
    ) -> None:
        self.engine_run = engine_run
        self.run_id = run_id(plan.project, plan.name, plan.instance, engine_run)
        self.url = server.link(engine_run)
        self._marks = f"{plan.project}/runs/{self.run_id}/finish"
        self._server = server
        self._store = store
        self._interval = interval
        self._records = Records(plan, self.run_id, store, watch)

    def wait(self, timeout: float | None = None) -> RunState:
        limit = None if timeout is None else time.monotonic() + timeout
        while (state := self._server.state(self.engine_run)) == "running":
            self._records.look()
            left = self._interval if limit is None else limit - time.monotonic()
            if left <= 0:
                return "running"
            time.sleep(min(left, self._interval))
        self._records.look(ended=True)
        marked = last_mark(self._store, self._marks)
        if marked is not None:
            return marked
        return "unknown" if state == "succeeded" else state

    def cancel(self) -> None:
        if self._server.state(self.engine_run) == "running":
            self._server.stop(self.engine_run)


def last_mark(store: Any, folder: str) -> RunState | None:
    """The state in the newest finish mark of a run, or None where there is none."""
    numbers = sorted(int(name.removesuffix(".json")) for name in store.children(folder))
    data = store.read(f"{folder}/{numbers[-1]}.json") if numbers else None
    return None if data is None else msgspec.json.decode(data, type=FinishMark).state


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The client prints links and warns of its own version: neither is for who runs a pipeline."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _file(document: bytes) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="turnout-") as folder:
        path = Path(folder, "pipeline.yaml")
        path.write_bytes(document)
        yield str(path)
