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


def _bound(name: str) -> str:
    return name.rpartition(" ")[2]


IMPORTED = frozenset(
    _bound(name) for modules in (_STANDARD, _OTHERS, _MOVED) for names in modules.values() for name in names
)
"""The names that a file may import, but for those of callbacks."""


@lru_cache(maxsize=64)
def imports(used: frozenset[str], further: tuple[str, ...]) -> str:
    """The lines at the top of a file.

    Args:
        used: those of the names in :data:`IMPORTED` that the file reads.
        further: lines that import what is not Airflow's.
    """
    lines = [
        *sorted(_lines(_STANDARD, used), key=_place),
        "",
        *sorted([*_lines(_OTHERS, used), *further], key=_place),
    ]
    if moved := _lines(_MOVED, used, 4):
        former = _lines(_FORMER, used, 4)
        lines += ["", "try:", *sorted(moved, key=_place), "except ImportError:  # before Airflow 3.2"]
        lines += sorted(former, key=_place)
    return "\n".join(lines)


def _lines(modules: dict[str, tuple[str, ...]], used: frozenset[str], indent: int = 0) -> list[str]:
    """The lines that import what is used of some modules."""
    lead, lines = " " * indent, []
    for module, names in modules.items():
        taken = sorted((name for name in names if _bound(name) in used), key=_order)
        if not module:
            lines += [f"{lead}import {name}" for name in taken]
        elif taken:
            lines.append(f"{lead}{pysource.imported(module, taken, indent)}")
    return lines


def _order(name: str) -> tuple[bool, bool, str]:
    """Where a name stands among others of its module: constants, classes, functions."""
    return not name.isupper(), name[0].islower(), name


def _place(line: str) -> tuple[bool, str]:
    """Where a line of imports stands among others: modules first, then by their names."""
    words = line.split()
    return words[0] == "from", words[1]
