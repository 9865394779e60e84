"""The imports of a DAG file: what Airflow 3.0 and 3.1 have elsewhere is tried where it is now, then where it was."""

from __future__ import annotations

from collections.abc import Iterable

from turnout_airflow.source import imported

FORMER = {
    "AirflowException": "airflow.exceptions",
    "AirflowFailException": "airflow.exceptions",
    "AirflowSkipException": "airflow.exceptions",
    "SkipMixin": "airflow.providers.standard.utils.skipmixin",
    "CronDataIntervalTimetable": "airflow.timetables.interval",
    "DeltaDataIntervalTimetable": "airflow.timetables.interval",
    "CronTriggerTimetable": "airflow.timetables.trigger",
}
"""Where Airflow 3.0 and 3.1 have what is in its SDK since 3.2; what else a file takes of it was always there."""


def imports(standard: Iterable[str], sdk: Iterable[str], others: Iterable[str]) -> str:
    """The lines at the top of a file.

    Args:
        standard: lines that import from the standard library.
        sdk: names of Airflow's SDK.
        others: further lines.
    """
    names = sorted(sdk, key=lambda name: (not name.isupper(), name[0].islower(), name))
    moved = [name for name in names if name in FORMER]
    steady = [name for name in names if name not in FORMER]
    lines = [
        *sorted(standard, key=_place),
        "",
        *sorted([imported("airflow.sdk", steady), *others], key=_place),
        "",
        "try:",
        *_indented({name: _module(name) for name in moved}),
        "except ImportError:  # before Airflow 3.2",
        *_indented({name: FORMER[name] for name in moved}),
    ]
    return "\n".join(lines)


def _module(name: str) -> str:
    return "airflow.sdk.exceptions" if name.endswith("Exception") else "airflow.sdk"


def _indented(places: dict[str, str]) -> list[str]:
    """The lines that import names, each from its module, as the body of a block."""
    modules: dict[str, list[str]] = {}
    for name, module in places.items():
        modules.setdefault(module, []).append(name)
    return [f"    {imported(module, modules[module], 4)}" for module in sorted(modules)]


def _place(line: str) -> tuple[bool, str]:
    """Where a line of imports stands among others: modules first, then by their names."""
    words = line.split()
    return words[0] == "from", words[1]
