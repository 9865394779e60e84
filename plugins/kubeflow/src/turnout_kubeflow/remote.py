"""A Kubeflow Pipelines server, by kfp's own client: signing in, asking again, and runs."""

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

from turnout.plugin_api import (
    ConfigError,
    PluginError,
    RunError,
    RunState,
)
from turnout_kubeflow.settings import KubeflowSettings

TRIES = 4
"""How often a question is asked of a server that fails to answer."""
RUNS = "runs/details/"
"""The page of a run, before its id."""
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

    @property
    def namespace(self) -> str | None:
        """The namespace, None where there are not several users."""
        return None if self._settings.namespace == "kubeflow" else self._settings.namespace

    @cached_property
    def client(self) -> Any:
        """kfp's client of it.

        Raises:
            ConfigError: where the stack names no server.
            PluginError: where kfp is not installed.
            RunError: where the server does not answer.
        """
        if not self._settings.url:
            raise ConfigError(
                "the kubeflow orchestrator does not know its server",
                fix="set orchestrator.url in the stack, export the pipeline, or run it here: --stack kubeflow-local",
            )
        if find_spec("kfp") is None:
            raise PluginError("kfp is not installed", fix='pip install "turnout-kubeflow[kfp]"')
        given = self._access()
        self._greet(given)
        with _quiet():
            from kfp import Client

            return Client(host=self._settings.url, namespace=self._settings.namespace, **given)

    def _access(self) -> dict[str, Any]:
        """How kfp's client signs in, and what it trusts."""
        settings = self._settings
        found: dict[str, Any] = {"ssl_ca_cert": settings.ca or None}
        if settings.ca and not Path(settings.ca).is_file():
            raise ConfigError(f"there is no file {settings.ca}", fix="let orchestrator.ca name a file of certificates")
        if settings.cookie:
            found["cookies"] = settings.cookie
        if settings.token:
            found["existing_token"] = settings.token
        elif settings.token_file:
            if not Path(settings.token_file).is_file():
                raise ConfigError(
                    f"there is no file {settings.token_file}",
                    fix="let orchestrator.token_file name a file with a token",
                )
            with _quiet():
                from kfp.client import ServiceAccountTokenVolumeCredentials

            found["credentials"] = ServiceAccountTokenVolumeCredentials(settings.token_file)
        return found

    def _greet(self, access: dict[str, Any]) -> None:
        """See that the server answers: kfp's client would ask for half a minute, and say only that it failed."""
        from kfp_server_api import ApiClient, Configuration, HealthzServiceApi

        configuration = Configuration(host=self._settings.url.rstrip("/"))
        configuration.ssl_ca_cert = access["ssl_ca_cert"]
        configuration.retries = False
        if set(access) & {"existing_token", "credentials"}:
            configuration.api_key = {"authorization": access.get("existing_token", "")}
            configuration.api_key_prefix = {"authorization": "Bearer"}
        if "credentials" in access:
            configuration.refresh_api_key_hook = access["credentials"].refresh_api_key_hook
        answer = self.ask(
            HealthzServiceApi(ApiClient(configuration, cookie=access.get("cookies"))).healthz_service_get_healthz
        )
        if getattr(answer, "multi_user", None) is None:
            raise RunError(
                f"what answers at {self._settings.url} is not Kubeflow Pipelines",
                why="a page came back, perhaps to sign in at",
                fix="give the API's own address (in a cluster ml-pipeline-ui, else …/pipeline), and a token or cookie",
            )

    def start(self, document: bytes, arguments: dict[str, Any], name: str) -> str:
        """Start a run and return Kubeflow's id of it. Asked once: a second time might start a second run."""
        experiment = self.experiment()
        with file_of(document) as path:
            run = self.ask(
                self.client.run_pipeline,
                experiment,
                name,
                pipeline_package_path=path,
                params=arguments,
                service_account=self._settings.service_account or None,
                tries=1,
            )
        return str(run.run_id)

    def experiment(self) -> str:
        """Kubeflow's id of the experiment, made if absent."""
        settings = self._settings
        made = self.ask(self.client.create_experiment, settings.experiment, namespace=self.namespace, tries=1)
        return str(made.experiment_id)

    def state(self, engine_run: str) -> RunState:
        """What Kubeflow says of a run; ``unknown`` where it has none."""
        run = self.ask(self.client.get_run, engine_run, absent=True)
        return "unknown" if run is None else _STATES.get(str(run.state), "running")

    def stop(self, engine_run: str) -> None:
        """Ask Kubeflow to stop a run."""
        self.ask(self.client.terminate_run, engine_run)

    def page(self, place: str) -> str:
        """The address of a page of Kubeflow's UI."""
        return f"{self._settings.url.rstrip('/')}/#/{place}"

    def ask(self, call: Callable[..., Any], *given: Any, tries: int = TRIES, absent: bool = False, **more: Any) -> Any:
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
            except AttributeError as error:  # what comes of the client's own report of a certificate
                if not isinstance(error.__context__, ApiException):
                    raise
                raise RunError(
                    f"Kubeflow Pipelines at {self._settings.url} has a certificate that is not trusted",
                    why=str(error.__context__.reason).splitlines()[-1],
                    fix="let orchestrator.ca name a file with the certificate of who signed it",
                ) from None
            except HTTPError as error:
                if left:
                    time.sleep(0.25 * 2 ** (tries - left))
                    continue
                raise RunError(
                    f"Kubeflow Pipelines at {self._settings.url} cannot be reached",
                    why=type(error).__name__,
                    fix="see that the server runs and that orchestrator.url is right",
                ) from None
        raise AssertionError("the last try returns or raises")

    def _refusal(self, error: Any) -> RunError:
        fix = "see the server's log"
        if error.status in {401, 403}:
            fix = "set orchestrator.token, or token_file, to a token of an account that may do that"
        elif error.status == 404:
            fix = "see that orchestrator.url is that of Kubeflow Pipelines 2, and that nothing was deleted there"
        return RunError(f"Kubeflow Pipelines at {self._settings.url} answered {error.status} {error.reason}", fix=fix)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The client prints links and warns of its own version: neither is for who runs a pipeline."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def file_of(document: bytes) -> Iterator[str]:
    """A file of that content, for the client, which takes paths alone."""
    with tempfile.TemporaryDirectory(prefix="turnout-") as folder:
        path = Path(folder, "pipeline.yaml")
        path.write_bytes(document)
        yield str(path)
