"""Endpoints on Beam: what ``RunInference`` takes, so that a job predicts by the steps that training used."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from turnout.plugin_api import BadRequest, EndpointPlan, PlanError, RunError, Service, decode_endpoint

if TYPE_CHECKING:
    from apache_beam.ml.inference.base import ModelHandler, PredictionResult

_one_at_a_time = threading.Lock()
"""Held while rows are answered: a step has its process to itself."""


def model_handler(
    endpoint: Any,
    *,
    stack: str | None = None,
    run: str | None = None,
    accept: Sequence[str] = (),
    batch: int = 1000,
    same_environment: bool = True,
) -> ModelHandler[Any, PredictionResult, Any]:
    """The model handler of an endpoint, for ``beam.ml.inference.RunInference``.

    It takes rows, a ``dict`` or a ``beam.Row`` each, and gives a ``PredictionResult`` for each: ``example`` is the row,
    ``inference`` its answer as the endpoint gives it, ``model_id`` the endpoint's version. Workers read code and
    artifacts from the store of the stack, so they have to reach it.

    Args:
        endpoint: what ``@endpoint`` made.
        stack: as for ``turnout run``.
        run: which run it serves, in place of what its definition says; it is pinned here, not on the workers.
        accept: ``code``, to serve with other code than the run had.
        batch: how many rows are answered at once, at most.
        same_environment: whether workers must have exactly the packages of the run.

    Raises:
        ConfigError: when there is no such run.
        PlanError: when the run cannot be served, or the endpoint needs more than rows.
    """
    deployment = endpoint.prepare(stack=stack, run=run, accept=tuple(accept))
    plan: EndpointPlan = deployment.plan
    further = [request.name for request in plan.requests if request.value is not None and request.required]
    if plan.table is None or further:
        raise PlanError(
            f"the endpoint {plan.name} cannot answer rows alone: "
            + (f"it also needs {', '.join(further)}" if further else "it takes no table"),
            where=plan.where,
            fix="give its other parameters defaults, and let it take one table",
        )
    deployment.publish()
    environ = deployment.workspace.store.environment()
    return _handler()(plan.encode(), dict(environ), batch, same_environment=same_environment)


class Model:
    """An endpoint loaded on a worker."""

    def __init__(self, plan: bytes, environ: Mapping[str, str], *, same_environment: bool) -> None:
        self._work = tempfile.TemporaryDirectory(prefix="turnout-")
        self.service = Service.open(decode_endpoint(plan), environ, Path(self._work.name))
        if same_environment and (missing := self.service.missing):
            raise PlanError(
                f"the endpoint {self.service.plan.name} is to be answered by other packages than its run had: "
                f"{', '.join(missing[:5])} are not here",
                fix="install these on the workers, or accept what they have: model_handler(…, same_environment=False)",
            )

    def predict(self, rows: Sequence[Any]) -> Sequence[Any]:
        """One answer for each row.

        Raises:
            RunError: for rows that the endpoint refuses.
            Exception: whatever a step raises.
        """
        plain = [msgspec.to_builtins(_named(row), builtin_types=(float,), enc_hook=_plain) for row in rows]
        try:
            with _one_at_a_time:
                answers: Sequence[Any] = self.service.predict(plain)
        except BadRequest as refused:
            raise RunError(f"the endpoint {self.service.plan.name} refuses a row: {refused}") from None
        return answers


def _named(row: Any) -> dict[str, Any]:
    """A row by the names of its columns."""
    return dict(row) if isinstance(row, Mapping) else row._asdict()


def _plain(value: Any) -> Any:
    """A scalar of numpy or pandas as JSON has it; what is missing is None."""
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "item"):
        return value.item()
    raise NotImplementedError(f"a {type(value).__name__} is no value of a row")


def _handler() -> type[Any]:
    """The class of handlers, made now: its base is Beam's."""
    from apache_beam.ml.inference.base import ModelHandler, PredictionResult

    class EndpointHandler(ModelHandler[Any, PredictionResult, Model]):  # type: ignore[misc]
        """Loads an endpoint on a worker, and answers batches of rows."""

        def __init__(self, plan: bytes, environ: dict[str, str], batch: int, *, same_environment: bool) -> None:
            super().__init__(max_batch_size=batch)
            self._plan = plan
            self._environ = environ
            self._same_environment = same_environment
            self._version = decode_endpoint(plan).digest

        def load_model(self) -> Model:
            return Model(self._plan, self._environ, same_environment=self._same_environment)

        def run_inference(
            self, batch: Sequence[Any], model: Model, inference_args: dict[str, Any] | None = None
        ) -> Iterable[PredictionResult]:
            answers = model.predict(batch)
            return [PredictionResult(row, answer, self._version) for row, answer in zip(batch, answers, strict=True)]

        def get_metrics_namespace(self) -> str:
            return "turnout"

    return EndpointHandler
