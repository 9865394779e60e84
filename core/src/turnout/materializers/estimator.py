"""Estimators of scikit-learn, as joblib files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from turnout.components.materializer import Unfit
from turnout.materializers.pickled import Executed, refuse_paths

PROTOCOL = 5


class Sklearn(Executed):
    """An estimator or pipeline of scikit-learn, or of its interface, as joblib. It is a pickle, and marked as one."""

    name = "sklearn"
    types = ("sklearn.base:BaseEstimator",)
    file = "model.joblib"

    def save(self, value: Any, folder: Path) -> None:
        import pickle

        import joblib

        try:
            joblib.dump(value, folder / self.file, compress=0, protocol=PROTOCOL)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise Unfit(f"joblib cannot write it: {error}") from error
        refuse_paths(folder / self.file)

    def read(self, stream: BinaryIO) -> Any:
        import joblib

        return joblib.load(stream)
