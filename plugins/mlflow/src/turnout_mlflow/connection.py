"""Calls of MLflow: its settings stand in its environment for the time of a call, and its errors become ours."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from turnout.plugin_api import PluginError, RunError

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"
DELETED = "is deleted"
"""How it ends what is said of an experiment that somebody has removed."""

_USERINFO = re.compile(r"(?<=://)[^/@\s]*@")
_STATUS = re.compile(r"error code (\d{3})\b")
_REFUSED = re.compile(r"authentication failed|access denied", re.IGNORECASE)
_FORBIDDEN = re.compile(r"read-?only|permission[ _]denied", re.IGNORECASE)
_ASIDE = "(raised as a result of "
"""How a line begins in which SQLAlchemy says when it noticed an error, not which."""
_DATABASES = {"sqlite", "postgresql", "mysql", "mssql"}


class Connection:
    """An MLflow by its URI. Nothing is imported, opened or sent before the first call."""

    def __init__(
        self, uri: str, *, username: str | None, password: str | None, token: str | None, timeout: int, retries: int
    ) -> None:
        self.uri = uri
        basic = base64.b64encode(f"{username}:{password}".encode()).decode()  # as a server is shown it
        self._secrets = [secret for secret in (password and basic, password, token) if secret]
        given = {
            "MLFLOW_TRACKING_USERNAME": username,
            "MLFLOW_TRACKING_PASSWORD": password,
            "MLFLOW_TRACKING_TOKEN": token,
            "MLFLOW_HTTP_REQUEST_TIMEOUT": str(timeout),
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(retries),
            "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
            # a step's output is the user's own, and nothing is told to anyone but this MLflow
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            "GIT_PYTHON_REFRESH": "quiet",
        }
        self._environ = {name: value for name, value in given.items() if value is not None}

    @contextmanager
    def client(self, doing: str) -> Iterator[MlflowClient]:
        """MLflow's client, for calls whose errors say what was being done.

        Raises:
            PluginError: where MLflow is not installed.
            RunError: for whatever MLflow raises, without a credential.
        """
        if find_spec("mlflow") is None:
            raise PluginError(
                "MLflow is not installed where this step runs", fix="pip install 'turnout-mlflow[mlflow]'"
            )
        with _set(self._environ):
            try:
                yield self._client
            except Exception as error:
                raise RunError(
                    f"MLflow at {self._hidden(self.uri)} failed {doing}",
                    why=_first_line(error, self._hidden),
                    fix=_fix(error),
                ) from None

    @cached_property
    def _client(self) -> MlflowClient:
        import logging

        from mlflow import MlflowClient

        for name in ("alembic", "mlflow.store.db.utils", "mlflow.tracking"):  # a database that is made says much
            logging.getLogger(name).setLevel(logging.WARNING)
        uri = self.uri
        if self.database is not None:
            self.database.parent.mkdir(parents=True, exist_ok=True)
            uri = f"{SQLITE}{self.database}"
        if uri.partition(":")[0].partition("+")[0] in _DATABASES:
            _see_open(uri)
        return MlflowClient(uri, uri)

    @cached_property
    def database(self) -> Path | None:
        """The SQLite file as a whole path, or None for another kind of URI."""
        return Path(self.uri.removeprefix(SQLITE)).absolute() if self.uri.startswith(SQLITE) else None

    def page(self, run: str) -> str | None:
        """The address of a run's page, where a server has one."""
        if not self.uri.startswith(("http://", "https://")):
            return None
        return f"{self._hidden(self.uri).rstrip('/')}/#/runs/{run}"

    def _hidden(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _USERINFO.sub("", text)


def _see_open(uri: str) -> None:
    """Open a database once, and close it: where that fails, MLflow would try again for minutes."""
    from sqlalchemy import create_engine

    engine = create_engine(uri)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def _first_line(error: Exception, hidden: Callable[[str], str]) -> str:
    lines = [line for line in hidden(str(error)).splitlines() if line.strip() and not line.startswith(_ASIDE)]
    return (lines[0] if lines else type(error).__name__)[:500]


def _fix(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"pip install {error.name}, which this kind of address needs, where steps run"
    text = str(error)
    status = found[1] if (found := _STATUS.search(text)) else None
    if status == "401" or _REFUSED.search(text):
        return "check username and password, or the token, that the stack names"
    if status == "403" or _FORBIDDEN.search(text):
        return "check that the user that the stack names may write there"
    if text.endswith(DELETED):
        return "restore it in MLflow, or set another: tracker.experiment in the stack"
    if status == "404" or "not found" in text:
        return "check the uri that the stack names: what answers there is no MLflow, or not the one that has the run"
    return "see that it answers there"


@contextmanager
def _set(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
