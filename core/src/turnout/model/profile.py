"""What a table is like, as its artifact's record has it."""

from __future__ import annotations

import msgspec


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A column of a table: what is missing (``nulls``) and lowest and highest are of all rows, the rest of the sample.

    ``type`` is Arrow's name of it. ``quantiles`` are values at the probabilities of
    :data:`turnout.materializers.profile.PROBABILITIES`, of numbers and times; ``distinct`` is the count of different
    values and ``top`` the most frequent with their counts, of texts, categories and bools. Times are ISO 8601 texts.
    """

    name: str
    type: str
    nulls: int = 0
    minimum: float | int | str | None = None
    maximum: float | int | str | None = None
    quantiles: tuple[float | int | str, ...] = ()
    distinct: int | None = None
    top: tuple[tuple[bool | str, int], ...] = ()


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a table is like, without its rows. It follows from the table, and is no part of its digest.

    ``sampled`` is the number of rows, every n-th, that quantiles and frequent values are taken from; None for all.
    ``omitted`` counts the columns beyond those that are profiled.
    """

    rows: int
    sampled: int | None = None
    columns: tuple[ColumnProfile, ...] = ()
    omitted: int = 0
