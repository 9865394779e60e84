"""JSON values as values of an Arrow column: exactly what the column's type holds, or a reason why not."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from datetime import datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from turnout.model import times

Convert = Callable[[Any], Any]
_WHOLE = 2.0**53
"""Floats up to this one stand for one integer each."""


class Refused(ValueError):
    """A value that its column does not hold; its text says what the column takes."""


def converter(type_: Any) -> Convert:
    """What makes a JSON value one of the Arrow type *type_*; null is not asked about.

    Whole floats are integers: clients that know numbers only as floats send them so. Nothing else is converted.
    """
    import pyarrow.types as of

    if of.is_integer(type_):
        return _integer(type_)
    if of.is_dictionary(type_):
        return converter(type_.value_type)
    if of.is_decimal(type_):
        return _decimal(type_.precision, type_.scale)
    if of.is_list(type_) or of.is_large_list(type_) or of.is_fixed_size_list(type_):
        return _list(converter(type_.value_type))
    if of.is_struct(type_):
        fields = [type_.field(n) for n in range(type_.num_fields)]
        return _struct({field.name: converter(field.type) for field in fields})
    kinds: list[tuple[Callable[[Any], bool], Convert]] = [
        (of.is_floating, _float),
        (of.is_boolean, _bool),
        (of.is_string, _text),
        (of.is_large_string, _text),
        (getattr(of, "is_string_view", of.is_string), _text),
        (of.is_timestamp, _aware if getattr(type_, "tz", None) else _naive),
        (of.is_date, _parsed(times.parse_date, "a date such as 2026-01-31")),
        (of.is_time, _time),
        (of.is_duration, _parsed(times.parse_duration, "a duration such as PT1H30M")),
        (of.is_binary, _bytes),
        (of.is_large_binary, _bytes),
        (of.is_null, _nothing),
    ]
    return next((convert_ for is_kind, convert_ in kinds if is_kind(type_)), _as_it_is)


def _integer(type_: Any) -> Convert:
    bits = type_.bit_width
    signed = str(type_).startswith("int")
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)

    def to_integer(value: Any) -> int:
        if isinstance(value, float) and value.is_integer() and abs(value) <= _WHOLE:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise Refused("takes a whole number")
        if not low <= value <= high:
            raise Refused(f"takes whole numbers from {low} to {high}")
        return value

    return to_integer


def _float(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise Refused("takes a number that a float can hold") from None
    if value in ("NaN", "Infinity", "-Infinity"):
        return {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}[value]
    raise Refused("takes a number")


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise Refused("takes true or false")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Refused("takes a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Refused("takes text that UTF-8 can encode") from None
    return value


def _parsed(parse: Callable[[str], Any], takes: str) -> Convert:
    def to_parsed(value: Any) -> Any:
        try:
            return parse(value)
        except (TypeError, AttributeError, ValueError, OverflowError):
            raise Refused(f"takes {takes}") from None

    return to_parsed


_moment = _parsed(times.parse_datetime, "a time such as 2026-01-31T12:00:00")


def _aware(value: Any) -> datetime:
    moment: datetime = _moment(value)
    if not times.has_zone(value):
        raise Refused("takes a time with its offset, such as 2026-01-31T12:00:00Z")
    return moment


def _naive(value: Any) -> datetime:
    moment: datetime = _moment(value)
    if times.has_zone(value):
        raise Refused("takes a time without an offset, such as 2026-01-31T12:00:00")
    return moment.replace(tzinfo=None)


def _time(value: Any) -> time:
    try:
        made = time.fromisoformat(value)
    except (TypeError, ValueError):
        raise Refused("takes a time of day such as 12:30:00") from None
    if made.tzinfo is not None:
        raise Refused("takes a time of day without an offset")
    return made


def _decimal(precision: int, scale: int) -> Convert:
    takes = f"takes a decimal of {precision} digits, {scale} of them after the point, as a text"

    def to_decimal(value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise Refused(takes)
        try:
            made = Decimal(value)
        except InvalidOperation:
            raise Refused(takes) from None
        if not made.is_finite() or made.adjusted() >= precision - scale or -int(made.as_tuple().exponent) > scale:
            raise Refused(takes)
        return made

    return to_decimal


def _bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise Refused("takes bytes in base64") from None


def _list(each: Convert) -> Convert:
    def to_list(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise Refused("takes a list")
        return [None if item is None else each(item) for item in value]

    return to_list


def _struct(fields: dict[str, Convert]) -> Convert:
    def to_struct(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or not value.keys() <= fields.keys():
            raise Refused(f"takes an object with the fields {', '.join(fields)}")
        return {name: None if item is None else fields[name](item) for name, item in value.items()}

    return to_struct


def _nothing(_value: Any) -> None:
    raise Refused("takes null only")


def _as_it_is(value: Any) -> Any:
    return value
