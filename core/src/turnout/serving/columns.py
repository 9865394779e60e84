"""JSON values as values of an Arrow column: exactly what the column's type holds, or a reason why not."""

from __future__ import annotations

import base64
import binascii
import math
import re
import sys
from collections.abc import Callable
from datetime import datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from turnout.model import times

Convert = Callable[[Any], Any]
_WHOLE = 2.0**53
"""Floats up to this one stand for one integer each."""
FLOATS = {16: 65504.0, 32: 3.4028234663852886e38, 64: sys.float_info.max}
"""The largest float of so many bits."""
SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""Floats that JSON has no numbers for."""

# What texts look like, as regular expressions that JSON Schema knows, too.
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
DAY = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
TIME = _CLOCK
MOMENT = rf"{DAY}([Tt ]{_CLOCK})?"
OFFSET = r"([Zz]|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)"
_PART = r"[0-9]{1,9}([.,][0-9]{1,6})?"
DURATION = rf"[+-]?P(?=[0-9T])({_PART}W)?({_PART}D)?(T(?=[0-9])({_PART}H)?({_PART}M)?({_PART}S)?)?"
BASE64 = "[A-Za-z0-9+/]"
DECIMAL = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?"


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
    if of.is_fixed_size_binary(type_):
        return _sized(type_.byte_width)
    if of.is_map(type_):
        return _map(converter(type_.key_type), converter(type_.item_type))
    if of.is_floating(type_):
        return _float(FLOATS[type_.bit_width])
    kinds: list[tuple[Callable[[Any], bool], Convert]] = [
        (of.is_boolean, _bool),
        (of.is_string, _text),
        (of.is_large_string, _text),
        (getattr(of, "is_string_view", of.is_string), _text),
        (of.is_timestamp, _aware if getattr(type_, "tz", None) else _naive),
        (of.is_date, _parsed(times.parse_date, DAY, "a date such as 2026-01-31")),
        (of.is_time, _parsed(time.fromisoformat, TIME, "a time of day such as 12:30:00")),
        (of.is_duration, _parsed(times.parse_duration, DURATION, "a duration such as PT1H30M")),
        (of.is_binary, _bytes),
        (of.is_large_binary, _bytes),
        (of.is_null, _nothing),
    ]
    return next((convert_ for is_kind, convert_ in kinds if is_kind(type_)), _as_it_is)


def integers(type_: Any) -> tuple[int, int]:
    """The least and the largest integer of an Arrow type."""
    bits = type_.bit_width
    return (0, (1 << bits) - 1) if str(type_).startswith("u") else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def _integer(type_: Any) -> Convert:
    low, high = integers(type_)

    def to_integer(value: Any) -> int:
        if isinstance(value, float) and value.is_integer() and abs(value) <= _WHOLE:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise Refused("takes a whole number")
        if not low <= value <= high:
            raise Refused(f"takes whole numbers from {low} to {high}")
        return value

    return to_integer


def _float(most: float) -> Convert:
    def to_float(value: Any) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if -most <= value <= most:
                return float(value)
            raise Refused(f"takes a number from {-most:.6g} to {most:.6g}")
        if isinstance(value, str) and value in SPECIAL:
            return SPECIAL[value]
        raise Refused("takes a number")

    return to_float


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


def _parsed(parse: Callable[[str], Any], pattern: str, takes: str) -> Convert:
    matches = re.compile(pattern).fullmatch

    def to_parsed(value: Any) -> Any:
        try:
            if matches(value):
                return parse(value)
        except (TypeError, ValueError, OverflowError):
            pass
        raise Refused(f"takes {takes}")

    return to_parsed


_moment = _parsed(times.parse_datetime, rf"{MOMENT}{OFFSET}?", "a time such as 2026-01-31T12:00:00")


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


def _decimal(precision: int, scale: int) -> Convert:
    takes = f"takes a decimal of {precision} digits, {scale} of them after the point, as a text"
    matches = re.compile(DECIMAL).fullmatch

    def to_decimal(value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise Refused(takes)
        if isinstance(value, str) and not matches(value):
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


def _sized(length: int) -> Convert:
    def to_bytes(value: Any) -> bytes:
        made = _bytes(value)
        if len(made) != length:
            raise Refused(f"takes {length} bytes in base64")
        return made

    return to_bytes


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


def _map(key: Convert, item: Convert) -> Convert:
    def to_pairs(value: Any) -> list[tuple[Any, Any]]:
        if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
            raise Refused("takes a list of pairs, a key and a value each")
        if any(pair[0] is None for pair in value):
            raise Refused("takes no null as a key")
        return [(key(one), None if other is None else item(other)) for one, other in value]

    return to_pairs


def _nothing(_value: Any) -> None:
    raise Refused("takes null only")


def _as_it_is(value: Any) -> Any:
    return value
