"""The code that a step's result depends on: its function's, its classes', and what its inputs bring along.

A value of a declared type such as ``dict`` or an estimator may hold instances of the project's classes, and functions
of the project by name, that the step which is handed it mentions nowhere. They are among what the step that made it
reaches; so this counts for both, except where the declared type says that the value holds plain data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from turnout import canonical
from turnout.packaging.fingerprint import FOREIGN, Fingerprint, Fingerprints
from turnout.plan.model import StepPlan
from turnout.spec.inputs import Upstream
from turnout.spec.model import StepSpec
from turnout.spec.types import TypeName

Step = StepSpec | StepPlan
Parts = dict[str, str]

_PLAIN_BUILTINS = frozenset({"int", "float", "complex", "bool", "str", "bytes", "bytearray", "range", "NoneType"})
_PLAIN_PACKAGES = frozenset({
    "datetime", "decimal", "fractions", "numpy", "pandas", "pathlib", "polars", "pyarrow", "turnout", "uuid",
})  # fmt: skip
_PLAIN_TEXT = re.compile(
    r"((list|dict|tuple|set|frozenset|Sequence)\[|[\]\s,|.]|(str|int|float|complex|bool|bytes|None)(?!\w))+"
)


def step_code(
    steps: Sequence[Step], prints: Fingerprints, own: Callable[[Step], Fingerprint | None]
) -> dict[str, Fingerprint]:
    """The fingerprint of each step that has code, by name.

    Args:
        steps: all of a pipeline, in topological order.
        own: the fingerprint of a step's function; None where it has none, or none that can be told.
    """
    found: dict[str, Fingerprint] = {}
    carried: dict[str, Parts] = {}
    types = {(step.name, output.name): output.type for step in steps for output in step.outputs}
    known: dict[tuple[str, tuple[str, ...]], Fingerprint] = {}
    for step in steps:
        function = own(step)
        given = {name: types[name] for name in _given(step)}
        brought: Parts = {}
        for (maker, _), type_ in given.items():
            if not is_plain(type_):
                _add(brought, carried.get(maker, {}))
        carried[step.name] = dict(brought)
        if function is None:
            continue
        label = str(step.entrypoint).partition(".<locals>")[0]
        _add(carried[step.name], {name: one for name, one in function.parts.items() if name not in {label, FOREIGN}})
        classes = tuple(sorted({*_classes(step), *(type_.name for type_ in given.values())}))
        alike = (function.digest, classes)
        if not brought and alike in known:
            found[step.name] = known[alike]
            continue
        more: Parts = {}
        for name in classes:
            if ":" in name and (of_class := prints.of_class(name)) is not None:
                _add(more, of_class.parts)
        _add(more, brought)
        found[step.name] = _both(function, more)
        if not brought:
            known[alike] = found[step.name]
    return found


def is_plain(type_: TypeName) -> bool:
    """Whether a value of a declared type holds neither instances of the project's classes nor functions of it."""
    module, _, kind = type_.name.partition(":")
    if module == "builtins":
        return kind in _PLAIN_BUILTINS or _PLAIN_TEXT.fullmatch(type_.text) is not None
    return module.partition(".")[0] in _PLAIN_PACKAGES


def _both(function: Fingerprint, more: Parts) -> Fingerprint:
    if not more:
        return function
    parts = dict(function.parts)
    _add(parts, more)
    return Fingerprint(canonical.digest_of(parts), dict(sorted(parts.items())))


def _given(step: Step) -> Iterator[tuple[str, str]]:
    for given in step.inputs.values():
        if isinstance(given.source, Upstream):
            yield given.source.step, given.source.output


def _classes(step: Step) -> Iterator[str]:
    for output in step.outputs:
        yield output.type.name
        if output.materializer:
            yield output.materializer


def _add(parts: Parts, others: Parts) -> None:
    """Add parts to others; where both have one of a name that differs, it is of both."""
    for name, digest in others.items():
        known = parts.setdefault(name, digest)
        if known != digest:
            parts[name] = canonical.digest_of([known, digest])
