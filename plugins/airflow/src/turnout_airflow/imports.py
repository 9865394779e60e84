"""The imports of a DAG file, by the names that it uses: what Airflow 3.0 and 3.1 have elsewhere is tried where it is
now, then where it was."""

from __future__ import annotations

from functools import lru_cache

from turnout.plugin_api import pysource

_STANDARD = {
    "": ("json", "os", "signal", "subprocess", "sys"),
    "datetime": ("datetime", "timedelta", "timezone"),
    "pathlib": ("Path",),
    "tempfile": ("TemporaryDirectory",),
}
_OTHERS = {
    "airflow.sdk": (
        "Asset",
        "BaseOperator",
        "DAG",
        "DeadlineAlert",
        "DeadlineReference",
        "Label",
        "Param",
        "SyncCallback",
        "TaskGroup",
    ),
    "airflow.providers.cncf.kubernetes.operators.pod": ("KubernetesPodOperator",),
    "airflow.providers.docker.exceptions": ("DockerContainerFailedException",),
    "airflow.providers.docker.operators.docker": ("DockerOperator",),
    "docker.types": ("DeviceRequest", "Mount"),
    "kubernetes.client": ("models as k8s",),
}
_MOVED = {
    "airflow.sdk": (
        "CronDataIntervalTimetable",
        "CronTriggerTimetable",
        "DeltaDataIntervalTimetable",
        "DeltaTriggerTimetable",
        "SkipMixin",
    ),
    "airflow.sdk.exceptions": ("AirflowException", "AirflowFailException", "AirflowSkipException"),
}
_FORMER = {
    "airflow.exceptions": _MOVED["airflow.sdk.exceptions"],
    "airflow.providers.standard.utils.skipmixin": ("SkipMixin",),
    "airflow.timetables.interval": ("CronDataIntervalTimetable", "DeltaDataIntervalTimetable"),
    "airflow.timetables.trigger": ("CronTriggerTimetable", "DeltaTriggerTimetable"),
}
"""Where Airflow 3.0 and 3.1 have what has moved since; what else a file takes of it was always there."""


IMPORTED = frozenset(
    pysource.bound(name) for modules in (_STANDARD, _OTHERS, _MOVED) for names in modules.values() for name in names
)
"""The names that a file may import, but for those of callbacks."""


@lru_cache(maxsize=64)
def imports(used: frozenset[str], further: tuple[str, ...]) -> str:
    """The lines at the top of a file.

    Args:
        used: those of the names in :data:`IMPORTED` that the file reads.
        further: lines that import what is not Airflow's.
    """
    lines = [*pysource.imports(_STANDARD, used), "", *pysource.imports(_OTHERS, used, further)]
    if moved := pysource.imports(_MOVED, used, indent=4):
        lines += ["", "try:", *moved, "except ImportError:  # before Airflow 3.2"]
        lines += pysource.imports(_FORMER, used, indent=4)
    return "\n".join(lines)
