"""What decorators are told: the settings of a step, checked where they are written, and the options of engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from turnout.base.canonical import is_json
from turnout.base.errors import DefinitionError, Location, did_you_mean
from turnout.model.declared import changes, settings_of
from turnout.model.spec import StepSpec

_UNSET = StepSpec(name="unset")


def of_step(keywords: Mapping[str, Any], where: Location) -> StepSpec:
    """A spec with the settings that ``@step`` is told, as they are declared there, and no more; None says nothing.

    Raises:
        DefinitionError: for what cannot be meant.
    """
    settings = {setting.name: setting for setting in settings_of(StepSpec) if setting.in_python}
    values = {
        name: settings[name].read(value, where)
        for name, value in keywords.items()
        if name in settings and value is not None
    }
    fields = changes(_UNSET, settings.values(), values)
    if problem := fields.get("retry", _UNSET.retry).problem:
        raise DefinitionError(problem, where=where, fix="ask for fewer retries, or let the delay grow less")
    engines = {name: value for name, value in keywords.items() if name not in settings and name != "options"}
    merged = options(keywords.get("options"), engines, "@step", ("name", *settings, "options"), where)
    if merged:
        fields["options"] = merged
    return msgspec.structs.replace(_UNSET, **fields)


def options(
    given: Any, keywords: Mapping[str, Any], what: str, known: tuple[str, ...], where: Location
) -> dict[str, Any]:
    """The options of engines: ``options={"airflow": {…}}``, or each as a keyword, ``airflow={…}``.

    Args:
        what: what has the options, for the message: ``@step``.
        known: the names of the settings that are no options.
    """
    if given is not None and not isinstance(given, Mapping):
        raise DefinitionError(
            f"options={given!r} is not an object of objects",
            where=where,
            fix='write options={"airflow": {"pool": "gpu"}}',
        )
    merged: dict[str, Any] = {}
    for source in (given or {}, keywords):
        for engine, values in source.items():
            if not isinstance(engine, str) or not isinstance(values, Mapping):
                guess = did_you_mean(str(engine), known)
                raise DefinitionError(
                    f"{what} has no setting {engine!r}. {guess}".rstrip(),
                    where=where,
                    why=f"its settings are {', '.join(known)}",
                    fix='write the options of an engine as an object: airflow={"pool": "gpu"}',
                )
            merged[engine] = {**merged.get(engine, {}), **values}
    if not is_json(merged):
        raise DefinitionError(
            f"the options of {what} are not JSON",
            where=where,
            why="they are kept in the plan",
            fix="use texts, finite numbers, bools, lists and objects only",
        )
    return merged
