"""Estimators of scikit-learn, as pickles that joblib reads, too."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from turnout.components.materializer import Unfit
from turnout.materializers.pickled import PROTOCOL, Executed, refuse_paths
from turnout.model.types import ANY, TypeName

JOBLIB = "model.joblib"
"""The file of an estimator that turnout 0.1.0 saved."""


class Sklearn(Executed):
    """An estimator or pipeline of scikit-learn, or of its interface. It is a pickle, and marked as one."""

    name = "sklearn"
    types = ("sklearn.base:BaseEstimator",)
    file = "model.pickle"

    def save(self, value: Any, folder: Path) -> None:
        try:
            with (folder / self.file).open("wb") as stream:
                pickle.dump(value, stream, protocol=PROTOCOL)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise Unfit(f"pickle cannot write it: {error}") from error
        refuse_paths(folder / self.file)

    def load(self, folder: Path, wanted: TypeName = ANY) -> Any:
        if not (folder / JOBLIB).exists():
            return super().load(folder, wanted)
        import joblib

        return joblib.load(folder / JOBLIB)
