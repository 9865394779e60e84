"""The error texts of msgspec that messages about a stack's settings are made from: a release that words them otherwise
is seen here, not in a message that has lost its place."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta


class Colour(Enum):
    RED = "red"


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    size: int = 0


class Needy(msgspec.Struct):
    size: int


TEXTS = [
    ("a", int, "Expected `int`, got `str`"),
    (None, int, "Expected `int`, got `null`"),
    (1.5, int, "Expected `int`, got `float`"),
    (True, float, "Expected `float`, got `bool`"),
    (1, str | None, "Expected `str | null`, got `int`"),
    ({}, tuple[int, ...], "Expected `array`, got `object`"),
    ([], dict[str, int], "Expected `object`, got `array`"),
    (-1, Annotated[int, Meta(ge=0)], "Expected `int` >= 0"),
    (0.0, Annotated[float, Meta(gt=0)], "Expected `float` > 0.0"),
    (9, Annotated[int, Meta(le=5)], "Expected `int` <= 5"),
    (9.0, Annotated[float, Meta(lt=5)], "Expected `float` < 5.0"),
    ("x", Annotated[str, Meta(pattern="^3$")], "Expected `str` matching regex '^3$'"),
    ("", Annotated[str, Meta(min_length=1)], "Expected `str` of length >= 1"),
    ("blue", Literal["red"], "Invalid enum value 'blue'"),
    ("blue", Colour, "Invalid enum value 'blue'"),
    ({}, Needy, "Object missing required field `size`"),
    ({"sise": 1}, Inner, "Object contains unknown field `sise`"),
    ({"size": "a"}, Inner, "Expected `int`, got `str` - at `$.size`"),
    ([1, "a"], tuple[int, ...], "Expected `int`, got `str` - at `$[1]`"),
    ({"a": "b"}, dict[str, int], "Expected `int`, got `str` - at `$[...]`"),
    ([{"size": "a"}], list[Inner], "Expected `int`, got `str` - at `$[0].size`"),
]


@pytest.mark.parametrize(("value", "kind", "text"), TEXTS, ids=[text for _, _, text in TEXTS])
def test_an_error_is_worded_as_it_is_parsed(value: Any, kind: Any, text: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(value, kind)
    assert str(caught.value) == text
