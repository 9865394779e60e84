"""Which of Kubeflow's artifact types fits an output: what its UI shows for it."""

from __future__ import annotations

from turnout.plugin_api import TypeName

LOGGED = "logged-metrics"
"""The output of every step with the metrics it logged; no output of a step has a hyphen in its name."""
_PREFIXES = {
    "Dataset": ("pandas.", "polars.", "pyarrow.", "numpy:ndarray"),
    "Model": ("sklearn.base:BaseEstimator", "torch.nn.", "keras.", "xgboost.", "lightgbm.", "catboost."),
    "HTML": ("plotly.",),
}
_NUMBERS = ("dict[str, float]", "dict[str, int]")


def schema(declared: TypeName) -> str:
    """The title of the type: ``system.Dataset`` and so on; ``system.Artifact`` where nothing else fits."""
    if declared.text in _NUMBERS and not declared.collection:
        return "system.Metrics"
    for kind, prefixes in _PREFIXES.items():
        if any(name.startswith(prefixes) for name in (declared.name, *declared.bases)):
            return f"system.{kind}"
    return "system.Artifact"


def definition(title: str) -> dict[str, dict[str, str]]:
    """An output of that type, as a component defines it."""
    return {"artifactType": {"schemaTitle": title, "schemaVersion": "0.0.1"}}
