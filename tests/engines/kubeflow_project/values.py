"""Parameters whose order, class, zone and sign count; each step tells what it is given."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict
from zoneinfo import ZoneInfo

from turnout import pipeline, step


class Shade(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Odd(enum.Enum):
    NOTHING = None
    SOMETHING = "something"


class Training(TypedDict):
    rate: float
    shades: list[Shade]


PARIS = datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Paris"))
NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - has no zone, and stays so
SHADES = {"z": [Shade.RED, None], "a": []}
ORDER = {"z": 1, "a": 2}
TRAINING: Training = {"shades": [Shade.BLUE], "rate": 1}
TREE = {"z": (1, -0.0), "a": 2}


@step
def tell(value) -> str:
    return repr(value)


@pipeline
def values(
    shades: dict[str, list[Shade | None]] = SHADES,
    odd: tuple[Odd, ...] = (Odd.NOTHING,),
    pair: tuple[int, str] = (2, "b"),
    either: Sequence[int] = (1, 2),
    order: dict[str, int] = ORDER,
    given: dict[str, int] = ORDER,
    zone: datetime = PARIS,
    naive: datetime = NAIVE,
    sign: float = -0.0,
    training: Training = TRAINING,
    tree=TREE,
    none: str | None = "x",
):
    tell.named("of_shades")(shades)
    tell.named("of_odd")(odd)
    tell.named("of_pair")(pair)
    tell.named("of_either")(either)
    tell.named("of_order")(order)
    tell.named("of_given")(given)
    tell.named("of_zone")(zone)
    tell.named("of_naive")(naive)
    tell.named("of_sign")(sign)
    tell.named("of_training")(training)
    tell.named("of_tree")(tree)
    tell.named("of_none")(none)
