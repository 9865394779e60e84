"""Autologging: what MLflow notes by itself while a step's function runs is logged as the step's own.

It goes into a store of MLflow's that lasts as long as the call. From there it takes the way of everything that steps
log: into the run's records, and to the MLflow of the stack; no run of its own comes to be there.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from turnout.plugin_api import log_artifact, log_metric, log_params

_ALLOWED = "MLFLOW_ALLOW_FILE_STORE"
"""The variable by which MLflow is told that its oldest kind of store is meant."""
_MARK = "_mlflow_run_id"
"""The attribute of an estimator in which MLflow notes the run it logged it to."""


@contextmanager
def autologging(flavours: Sequence[str] | None) -> Iterator[None]:
    """Let MLflow log by itself until the block ends, for all libraries it knows or for some.

    Where MLflow fails at it, that is reported, and the step goes on.
    """
    with tempfile.TemporaryDirectory(prefix="turnout-autolog-") as folder:
        recording = _tried(lambda: _Recording(Path(folder), flavours))
        try:
            yield
        finally:
            if recording is not None:
                _tried(recording.end)


class _Recording:
    """A run in a store of its own. MLflow keeps its settings in the process: they are set again at the end."""

    def __init__(self, folder: Path, flavours: Sequence[str] | None) -> None:
        import mlflow

        self._folder = folder
        self._flavours = flavours
        self._uri = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
        self._allowed = os.environ.get(_ALLOWED)
        os.environ[_ALLOWED] = "true"
        mlflow.set_tracking_uri((folder / "runs").as_uri())
        self._run = mlflow.start_run(run_name="step").info.run_id
        self._switch(on=True)

    def end(self) -> None:
        """Log what there is as the step's own."""
        import mlflow

        try:
            self._switch(on=False)
            mlflow.end_run()
            self._unmark()
            self._take_over()
        finally:
            mlflow.set_tracking_uri(self._uri or "")
            if self._allowed is None:
                os.environ.pop(_ALLOWED, None)

    def _switch(self, *, on: bool) -> None:
        import mlflow

        options: dict[str, Any] = {"log_models": False, "log_datasets": False, "silent": True, "disable": not on}
        if self._flavours is None:
            mlflow.autolog(**options, log_traces=False)
            return
        for name in self._flavours:
            import_module(f"mlflow.{name}").autolog(**options)

    def _unmark(self) -> None:
        """Take the run's id from the estimators that MLflow has noted it in: they are what they are without it."""
        base = getattr(sys.modules.get("sklearn.base"), "BaseEstimator", None)
        if base is None:
            return
        for one in gc.get_objects():
            if issubclass(type(one), base) and vars(one).get(_MARK) == self._run:
                delattr(one, _MARK)

    def _take_over(self) -> None:
        from mlflow import MlflowClient

        client = MlflowClient()
        data = client.get_run(self._run).data
        log_params(dict(data.params))
        for name in sorted(data.metrics):
            for point in client.get_metric_history(self._run, name):
                log_metric(name, point.value, x=point.step)
        if client.list_artifacts(self._run):
            for path in sorted(Path(client.download_artifacts(self._run, "", str(self._folder))).iterdir()):
                log_artifact(path.name, path)


def _tried(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except Exception as error:
        print(f"turnout: MLflow cannot log by itself: {type(error).__name__}: {error}", file=sys.stderr)
        return None
