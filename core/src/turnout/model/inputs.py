"""Where a step's input comes from: a closed set of five sources."""

from __future__ import annotations

from typing import Any

import msgspec

from turnout.model.types import ANY, JSON_TYPE, ParamType, TypeName


class Literal(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="kind",
    tag="literal",
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """A value written in the definition, in canonical form (see :mod:`turnout.model.values`)."""

    value: Any = None
    type: ParamType = JSON_TYPE


class Param(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="kind",
    tag="param",
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """A run-time parameter of the pipeline."""

    name: str


class Output(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="kind",
    tag="output",
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """The whole output of a step that is not mapped; of a list output, all elements as a list."""

    step: str
    output: str


class Element(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="kind",
    tag="element",
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """One element: of a list output of a plain step, or of the same index of a mapped step's output."""

    step: str
    output: str


class Collected(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="kind",
    tag="collected",
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """The outputs of all elements of a mapped step, as a list in the order of their index."""

    step: str
    output: str


Source = Literal | Param | Output | Element | Collected
Upstream = (Output, Element, Collected)


class InputSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One input of a step: its source and the type the step's signature asks for.

    ``check`` is that type again where it has bounds, to which a value is held when the step runs.
    """

    source: Source
    type: TypeName = ANY
    check: ParamType | None = None
