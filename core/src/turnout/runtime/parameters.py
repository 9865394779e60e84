"""Run-time parameters: converted strictly by their declared types, once a run, by its first worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from turnout.base import canonical
from turnout.base.errors import ConfigError, did_you_mean
from turnout.model.forms import is_same_but_for_order
from turnout.model.plan import Plan
from turnout.model.records import Options, Submission
from turnout.model.spec import ParamSpec
from turnout.model.times import to_utc
from turnout.model.types import ParamType
from turnout.model.values import convert, shorten

VARIABLE = "TURNOUT_PARAMS"
_DATETIME = ParamType(kind="datetime")


def parse_submission(text: str | None) -> Submission:
    """Read ``TURNOUT_PARAMS``; nothing given is no parameters and no options.

    Raises:
        ConfigError: when it is not the JSON object it must be.
    """
    if not text:
        return Submission()
    try:
        submission = msgspec.json.decode(text.encode(), type=Submission)
    except (*canonical.UNREADABLE, UnicodeEncodeError) as error:
        raise ConfigError(
            f"{VARIABLE} cannot be read: {error}",
            why='it is one JSON object: {"params": {…}, "options": {…}}',
            fix="let the engine write it with a JSON encoder",
        ) from error
    for step, outputs in submission.options.replace.items():
        if not all(isinstance(given, str) for given in outputs.values()):
            raise ConfigError(
                f"{VARIABLE} describes what stands in for {shorten(step)}",
                why="what a description leads to would be read, and run, without being on record",
                fix="name an output that is: RUN/STEP:OUTPUT, or a digest; `turnout run` and .run(replace=…) do",
            )
    return submission


def settle(options: Options) -> Options:
    """The options with their times in canonical form.

    Raises:
        ConfigError: for a time that cannot be read.
    """
    at = None if options.at is None else to_utc(convert(options.at, _DATETIME, "at"))
    interval = options.interval
    if interval is not None:
        start, end = (to_utc(convert(moment, _DATETIME, "interval")) for moment in interval)
        interval = start, end
    return msgspec.structs.replace(options, at=at, interval=interval)


def bind(plan: Plan, given: Mapping[str, Any], options: Options, *, canonical: bool = True) -> dict[str, Any]:
    """The canonical value of every parameter of a run; raises ConfigError for an unknown, missing or wrong one.

    Args:
        canonical: as :func:`turnout.model.values.convert` takes it.
    """
    known = {param.name: param for param in plan.params}
    for name in given:
        if name not in known:
            raise ConfigError(
                f"the pipeline {plan.name} has no parameter {name!r}. {did_you_mean(name, known)}".rstrip(),
                fix=f"its parameters are: {', '.join(known) or 'none'}",
            )
    return {
        name: _given(param, given[name], canonical=canonical) if name in given else _missing(param, options, plan.name)
        for name, param in known.items()
    }


def _given(param: ParamSpec, given: Any, *, canonical: bool) -> Any:
    """The value that was given; the default where it is that but for an order, which some engines lose."""
    value = convert(given, param.type, param.name, canonical=canonical)
    if not param.required and param.source == "value" and is_same_but_for_order(value, param.default):
        value = param.default
    return _checked_file(param, value, given)


def _missing(param: ParamSpec, options: Options, pipeline: str) -> Any:
    if param.source == "value":
        if param.required:
            raise ConfigError(
                f"the parameter {param.name!r} of {pipeline} is not given and has no default",
                fix=f"give it: -p {param.name}=… ({param.type})",
            )
        return param.default
    if param.source == "logical_time":
        value = options.at
    else:
        value = None if options.interval is None else options.interval[param.source == "interval_end"]
    if value is None:
        raise ConfigError(
            f"the parameter {param.name!r} of {pipeline} is the run's {param.source.replace('_', ' ')}",
            why="the engine gave none",
            fix=f"give it: -p {param.name}=2026-01-31T00:00:00Z",
        )
    return convert(value, param.type, param.name)


def _checked_file(param: ParamSpec, value: Any, given: Any) -> Any:
    if param.type.kind == "folder" and isinstance(value, dict) and "url" in value:
        raise ConfigError(
            f"the parameter {param.name!r} is a folder, which cannot be read from a URL",
            fix="give a local folder to `turnout run`, or an archive's URL to a File parameter",
        )
    if param.type.kind in {"file", "folder"} and isinstance(value, dict) and "path" in value:
        raise ConfigError(
            f"the parameter {param.name!r} is a local path, {given!r}, which a worker cannot rely on",
            why="a local file is uploaded by who submits the run, and replaced by its digest",
            fix="submit with `turnout run`, or give a URL",
        )
    return value
