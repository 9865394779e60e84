"""What a table is like, as the commands show it."""

from __future__ import annotations

from typing import Any

import click

from turnout.model.profile import ColumnProfile, Profile

SHOWN = 5
"""How many frequent values of a column are shown."""


def print_profile(profile: Profile) -> None:
    """Print the profile of a table, a line a column."""
    sampled = f", quantiles and frequent values of {profile.sampled} of them" if profile.sampled else ""
    click.echo(f"  {'rows':<13} {profile.rows}{sampled}")
    width = max((len(column.name) for column in profile.columns), default=0)
    kinds = max((len(_kind(column)) for column in profile.columns), default=0)
    for column in profile.columns:
        nulls = f"{column.nulls} missing" if column.nulls else ""
        told = ", ".join(filter(None, [nulls, described(column)]))
        click.echo(f"  {'column':<13} {column.name:<{width}}  {_kind(column):<{kinds}}  {told}".rstrip())
    if profile.omitted:
        click.echo(f"  {'column':<13} … and {profile.omitted} more")


def described(column: ColumnProfile) -> str:
    """The spread of a column of numbers or times, or the frequent values of another."""
    if column.minimum is not None:
        middle = column.quantiles[len(column.quantiles) // 2] if column.quantiles else None
        return f"{_text(column.minimum)} to {_text(column.maximum)}" + (f", median {_text(middle)}" if middle else "")
    if column.distinct:
        top = ", ".join(f"{_text(value)} ({count})" for value, count in column.top[:SHOWN])
        return f"{column.distinct} different: {top}" + (", …" if column.distinct > SHOWN else "")
    return ""


def _kind(column: ColumnProfile) -> str:
    return "category" if column.type.startswith("dictionary<") else column.type


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
