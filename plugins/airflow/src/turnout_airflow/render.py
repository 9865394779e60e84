"""The templates of DAG files. All that a template is given goes in as a literal, or as source made of literals."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from turnout.plugin_api import pysource

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **given: Any) -> str:
    """A template's text.

    Raises:
        TypeError: where the template writes a value that is no source: it lacks ``| repr``.
    """
    return _environment().get_template(template).render(given)


class Program(NamedTuple):
    """What a DAG file holds beside its DAG: constants, functions, operators; and the names it makes and reads."""

    text: pysource.Code
    names: frozenset[str]


@lru_cache(maxsize=64)
def program(template: str, slots: frozenset[tuple[str, Any]]) -> Program:
    """The program of the files whose template is given the same: nothing in it is of a single plan."""
    text = render(template, layout="program.jinja", **dict(slots))
    return Program(pysource.Code(text), pysource.globals_of(text))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # as late as this: it is slow to import

    environment = Environment(
        loader=PackageLoader("turnout_airflow"),
        undefined=StrictUndefined,
        finalize=_source,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        autoescape=False,  # noqa: S701 - for HTML; this is Python
    )
    environment.filters |= {"repr": lambda value: pysource.Code(pysource.literal(value)), "plain": _plain}
    return environment


def _source(value: Any) -> pysource.Code:
    if not isinstance(value, pysource.Code):
        raise TypeError(f"a template writes {type(value).__name__} as it is; write it as a literal: | repr")
    return value


def _plain(value: Any) -> pysource.Code:
    """A text as part of a docstring: what would end it, or be an escape in it, is left out."""
    return pysource.Code("".join(char for char in str(value) if char.isprintable() and char not in '"\\'))
