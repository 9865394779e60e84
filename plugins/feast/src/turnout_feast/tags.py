"""The tags of Feast's own integration with MLflow, by which it tells which model was learned from which features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from turnout_feast.repository import Repository

_LONGEST = 4_990
"""Characters of a tag, as Feast cuts them for MLflow."""


def tags(repository: Repository, features: Sequence[str], services: Sequence[str]) -> dict[str, str]:
    """What Feast sets where it retrieves features for training in a run of MLflow.

    A service is named where it stands for exactly these features: one of *services*, if there is one, for Feast serves
    a model by it.
    """
    found = {
        "feast.project": str(repository.store.project),
        "feast.retrieval_type": "historical",
        "feast.feature_views": _joined(sorted({feature.partition(":")[0] for feature in features})),
        "feast.feature_refs": _joined(features),
        "feast.feature_count": str(len(features)),
    }
    fitting = repository.services_of(features)
    if service := next((one for one in (*services, *fitting) if one in fitting), None):
        found["feast.feature_service"] = service
    return found


def _joined(names: Iterable[str]) -> str:
    """Names in one text; where it would be too long, as many as fit, each whole."""
    found = ""
    for name in names:
        longer = f"{found},{name}" if found else name
        if len(longer) > _LONGEST:
            break
        found = longer
    return found
