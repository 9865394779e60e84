"""Models that a step made, as MLflow has them: in the flavour of their library, with signature and example."""

from __future__ import annotations

import re
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from turnout.plugin_api import Artifact, Traced
from turnout_mlflow.tags import DIGEST, OUTPUT, STEP, UNSAVED, Origin

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature

_FLAVOURS = {
    "sklearn": "mlflow.sklearn",
    "xgboost": "mlflow.xgboost",
    "lightgbm": "mlflow.lightgbm",
    "catboost": "mlflow.catboost",
    "torch": "mlflow.pytorch",
    "statsmodels": "mlflow.statsmodels",
}
"""The module of MLflow that saves the models of a library."""

_ROWS = 5
_LONGEST = 2000
_OUTSIDE_NAMES = re.compile(r"[^\w\- ]")


def flavour(artifact: Artifact) -> str | None:
    """The library whose model an artifact may be, by its record alone."""
    library = artifact.type.partition(":")[0].partition(".")[0]
    if library in _FLAVOURS:
        return library
    return "sklearn" if artifact.materializer == "sklearn" else None


def log(
    client: MlflowClient, experiment: str, run: str, origin: Origin, output: Traced, inputs: Iterable[Traced]
) -> LoggedModel | None:
    """Make an output a model of a run, once; None for what is no model that MLflow can save here.

    Args:
        inputs: the tables that the step read: one that has the model's features gives signature and example.
    """
    from mlflow.entities import LoggedModelOutput

    known = find(client, experiment, run, origin)
    if known is not None and known.status == "READY":
        return known
    library = flavour(output.artifact)
    if library is None or find_spec(library) is None:
        return None
    value = output.load()
    if library != "torch" and not hasattr(value, "predict"):
        return None
    with tempfile.TemporaryDirectory(prefix="turnout-model-") as folder, _silenced():
        path = Path(folder) / "model"
        try:
            _save(value, library, path, _example(value, inputs))
        except Exception as error:  # the value is an artifact all the same
            client.set_tag(run, f"{UNSAVED}.{_name(origin)}", f"{type(error).__name__}: {error}"[:_LONGEST])
            return None
        model = known or client.create_logged_model(
            experiment, name=_name(origin), source_run_id=run, tags=origin.tags(), model_type=library
        )
        client.log_model_artifacts(model.model_id, str(path))
    client.log_outputs(run, [LoggedModelOutput(model.model_id, step=0)])
    return client.finalize_logged_model(model.model_id, "READY")


def find(client: MlflowClient, experiment: str, run: str, origin: Origin) -> LoggedModel | None:
    """The model that an output has become in a run."""
    condition = " AND ".join(f"tags.`{name}` = '{origin.tags()[name]}'" for name in (STEP, OUTPUT, DIGEST))
    found = client.search_logged_models([experiment], filter_string=f"source_run_id = '{run}' AND {condition}")
    return min(found, key=lambda model: (model.status != "READY", model.creation_timestamp), default=None)


def _save(value: Any, library: str, path: Path, example: Any) -> None:
    """Save a model; one that its own example does not fit is saved without it."""
    saver = import_module(_FLAVOURS[library])
    options: dict[str, Any] = {"pip_requirements": saver.get_default_pip_requirements()}
    if library == "sklearn":
        options |= _sklearn_form(value)
    if example is not None and (shown := _signed(value, example)) is not None:
        options["signature"], options["input_example"] = shown
    saver.save_model(value, str(path), **options)


def _signed(value: Any, example: Any) -> tuple[ModelSignature, Any] | None:
    """The signature of a model, and the example it is taken from; None where the model does not take the example.

    Texts that the model takes as categories only were made so by its step. MLflow has no such type: it takes the
    columns as they are given.
    """
    from mlflow.models import infer_signature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    texts = example.select_dtypes(exclude=["number", "bool", "datetime", "datetimetz", "timedelta"]).columns
    for given in (example, example.astype(dict.fromkeys(texts, "category"))):
        try:
            signature = infer_signature(given, value.predict(given))
        except Exception as error:
            print(f"turnout: no signature: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        categories = set(given.select_dtypes("category").columns)
        columns = [ColSpec(AnyType(), one.name) if one.name in categories else one for one in signature.inputs]
        signature.inputs = Schema(columns)
        return signature, given
    return None


def _sklearn_form(value: Any) -> dict[str, Any]:
    """The form without a pickle, trusting the types that the model of this very step consists of; else the pickle."""
    from skops import io

    try:
        data = io.dumps(value)
        trusted = io.get_untrusted_types(data=data)
        io.loads(data, trusted=trusted)
    except Exception:
        return {"serialization_format": "cloudpickle"}
    return {"serialization_format": "skops", "skops_trusted_types": trusted}


def _example(value: Any, inputs: Iterable[Traced]) -> Any:
    """The first rows of a table that has all features of a model by name; None where none has."""
    wanted = list(getattr(value, "feature_names_in_", ()))
    if not wanted:
        return None
    for item in inputs:
        if item.artifact.materializer != "table":
            continue
        table = item.load()
        table = table.to_pandas() if hasattr(table, "to_pandas") else table
        if set(wanted) <= set(table.columns):
            return table[wanted].head(_ROWS)
    return None


def _name(origin: Origin) -> str:
    """MLflow's name of a model must not hold the characters of its addresses."""
    label = origin.step if origin.element is None else f"{origin.step}-{origin.element}"
    named = label if origin.output == "output" else f"{label}-{origin.output}"
    return _OUTSIDE_NAMES.sub("_", named)


@contextmanager
def _silenced() -> Iterator[None]:
    """What MLflow has to say about how a model is saved is for those who call it themselves."""
    import logging

    logger = logging.getLogger("mlflow")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
