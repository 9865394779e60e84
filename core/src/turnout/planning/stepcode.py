"""The code that a step's result depends on: its function's, its classes', and what its inputs bring along.

A value of a declared type such as ``dict`` or an estimator may hold instances of the project's classes, and functions
of the project by name, that the step which is handed it mentions nowhere. They are among what the step that made it
reaches; so this counts for both, except where the declared type says that the value holds plain data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from turnout.base import canonical
from turnout.fingerprint.fingerprint import FOREIGN, Fingerprint, Fingerprints
from turnout.model.inputs import Literal, Param, Upstream
from turnout.model.plan import StepPlan
from turnout.model.spec import ParamSpec, StepSpec
from turnout.model.types import JSON_TYPE, ParamType, TypeName

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
    steps: Sequence[Step],
    prints: Fingerprints,
    own: Callable[[Step], Fingerprint | None],
    params: Iterable[ParamSpec] = (),
) -> dict[str, Fingerprint]:
    """The fingerprint of each step that has code, by name.

    Args:
        steps: all of a pipeline, in topological order.
        own: the fingerprint of a step's function; None where it has none, or none that can be told.
        params: the pipeline's parameters.
    """
    fingerprints: dict[str, Fingerprint] = {}
    carried: dict[str, Fingerprint] = {}
    types = {(step.name, output.name): output.type for step in steps for output in step.outputs}
    param_types = {param.name: param.type for param in params}
    cached: dict[tuple[str, tuple[str, ...]], Fingerprint] = {}
    for step in steps:
        function = own(step)
        input_types = {name: types[name] for name in _given(step)}
        makers = [maker for (maker, _), type_ in input_types.items() if not is_plain(type_)]
        brought = joined([carried[maker] for maker in dict.fromkeys(makers) if maker in carried])
        carried[step.name] = brought
        if function is None:
            continue
        label = str(step.entrypoint).partition(".<locals>")[0]
        handed_on = {name: part for name, part in function.parts.items() if name not in {label, FOREIGN}}
        carried[step.name] = joined([brought, msgspec.structs.replace(function, parts=handed_on)])
        enums = _enums(step, param_types)
        classes = tuple(sorted({*_classes(step), *enums, *(type_.name for type_ in input_types.values())}))
        alike = (function.digest, classes)
        if not (brought.parts or brought.packages) and alike in cached:
            fingerprints[step.name] = cached[alike]
            continue
        of_classes = [part for name in classes if ":" in name and (part := prints.of_class(name)) is not None]
        fingerprints[step.name] = joined([function, joined([*of_classes, brought])])
        if not (brought.parts or brought.packages):
            cached[alike] = fingerprints[step.name]
    return fingerprints


def is_plain(type_: TypeName) -> bool:
    """Whether a value of a declared type holds neither instances of the project's classes nor functions of it."""
    module, _, kind = type_.name.partition(":")
    if module == "builtins":
        return kind in _PLAIN_BUILTINS or _PLAIN_TEXT.fullmatch(type_.text) is not None
    return module.partition(".")[0] in _PLAIN_PACKAGES


def joined(prints: Sequence[Fingerprint]) -> Fingerprint:
    """One fingerprint of several."""
    parts: Parts = {}
    for one in prints:
        _add(parts, one.parts)
    packages = frozenset().union(*(one.packages for one in prints))
    digest = prints[0].digest if prints and parts == prints[0].parts else canonical.digest_of(parts)
    return Fingerprint(digest, dict(sorted(parts.items())), packages)


def _enums(step: Step, params: Mapping[str, ParamType]) -> Iterator[str]:
    """The classes of members that a step is given without a declared type that names them."""
    for given in step.inputs.values():
        if isinstance(given.source, (Literal, Param)):
            type_ = given.source.type if isinstance(given.source, Literal) else params.get(given.source.name, JSON_TYPE)
            if type_.enum != given.type.name:
                yield from type_.enums


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
