"""Estimators of scikit-learn, as joblib files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from turnout.components.materializer import Unfit
from turnout.materializers.pickled import refuse_paths
from turnout.materializers.sameness import Compared
from turnout.spec.types import ANY, TypeName

PROTOCOL = 5


class Sklearn(Compared):
    """An estimator or pipeline of scikit-learn, or of its interface, as joblib. It is a pickle, and marked as one."""

    name = "sklearn"
    types = ("sklearn.base:BaseEstimator",)
    pickled = True

    def save(self, value: Any, folder: Path) -> None:
        import pickle

        import joblib

        try:
            joblib.dump(value, folder / "model.joblib", compress=0, protocol=PROTOCOL)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise Unfit(f"joblib cannot write it: {error}") from error
        refuse_paths(folder / "model.joblib")

    def load(self, folder: Path, wanted: TypeName = ANY) -> Any:
        import joblib

        return joblib.load(folder / "model.joblib")
