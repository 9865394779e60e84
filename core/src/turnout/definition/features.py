"""Features by reference: joined to a table in a pipeline, looked up in an endpoint, by the stack's feature store."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from turnout import steps
from turnout.base import durations, names
from turnout.base.errors import DefinitionError, Location
from turnout.definition import fitting, places, step_settings
from turnout.definition.annotations import type_name
from turnout.definition.handles import Handle
from turnout.definition.signature import Parameter, Signature
from turnout.definition.step import result
from turnout.definition.trace import current
from turnout.definition.traced_value import Value
from turnout.definition.wiring import Wiring
from turnout.model.feature_use import Use, entrypoint
from turnout.model.inputs import InputSpec
from turnout.model.inputs import Literal as Written
from turnout.model.spec import OutputSpec, StepSpec
from turnout.model.types import ParamType
from turnout.model.values import shorten

_REFERENCE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*:[A-Za-z_][A-Za-z0-9_-]*\Z", re.ASCII)
_EXAMPLE = 'write Features("airport_weather:wind_speed", entity="origin")'
_TEXT = ParamType(kind="str")
_TEXTS = ParamType(kind="list", items=(_TEXT,))
_MAPPING = ParamType(kind="json")


class Features:
    """Some features of entities, declared once for training and serving.

    Args:
        features: references ``view:feature``.
        service: the name of a feature service in the store, in the stead of references.
        entity: the column of a table that holds the only key of each view.
        keys: the column of a table for each key of the views: ``{"airport": "origin"}``. A key that is left out has a
            column of its own name.
        inputs: columns of a table that features are computed from when they are asked for.
        timestamp: the column with the time as of which features are asked for; by default the one that the first
            feature's view names its own.
        name: the name of the steps that get them; by default the service's, or the first view's, with ``_features``
            after it.

    Raises:
        DefinitionError: for what is no reference, or a name that cannot be used.
    """

    def __init__(
        self,
        *features: str,
        service: str | None = None,
        entity: str | None = None,
        keys: Mapping[str, str] | None = None,
        inputs: Sequence[str] = (),
        timestamp: str | None = None,
        name: str | None = None,
    ) -> None:
        where = places.here()
        _check_references(features, service, where)
        for what, column in (("entity", entity), ("timestamp", timestamp)):
            if column is not None and not (isinstance(column, str) and column):
                raise DefinitionError(
                    f"{what}={shorten(column)} is not the name of a column", where=where, fix=f'write {what}="origin"'
                )
        if entity is not None and keys is not None:
            raise DefinitionError(
                "Features is given entity= and keys=",
                where=where,
                why="both say which column of a table is a key",
                fix=f"write keys={dict(keys)!r} alone" if isinstance(keys, Mapping) else "give one of them",
            )
        if keys is not None and not (isinstance(keys, Mapping) and _all_texts([*keys, *keys.values()])):
            fix = 'write keys={"airport": "origin"}: the view\'s key, and the table\'s column'
            raise DefinitionError(f"keys={shorten(keys)} does not map keys to columns", where=where, fix=fix)
        if isinstance(inputs, str) or not _all_texts(inputs):
            raise DefinitionError(
                f"inputs={shorten(inputs)} are no names of columns", where=where, fix='write inputs=["amount"]'
            )
        base = service or features[0].partition(":")[0]
        own = f"{base}_features".replace("-", "_") if name is None else name
        self.name = names.check(own, "step", where, "Features(…, name={})")
        self.features = features
        self.service = service
        self.entity = entity
        self.keys = None if keys is None else dict(keys)
        self.inputs = tuple(inputs)
        self.timestamp = timestamp

    def historical(
        self,
        entities: Any,
        *,
        timestamp: str | None = None,
        known_at: bool = False,
        cache: bool | str | float | None = None,
    ) -> Any:
        """Join the features to a table, each as it was known at the row's time. For pipelines.

        Args:
            entities: a step's table, with columns for keys, time and inputs.
            timestamp: the column with the time; else what ``Features`` was told.
            known_at: whether only values count that were written by then: what was corrected later is as it was.
            cache: whether, or for how long (``"12h"``), the result is used again while definitions and table are the
                same; by default it is not.

        Raises:
            DefinitionError: outside a pipeline, or for what is no table.
        """
        wiring = self._wiring("historical", entities)
        inputs = self._inputs(entities)
        inputs["timestamp"] = InputSpec(
            source=Written(value=timestamp or self.timestamp, type=ParamType(kind="str", optional=True)),
            type=type_name(str | None),
        )
        if known_at:
            inputs["known_at"] = InputSpec(
                source=Written(value=True, type=ParamType(kind="bool")), type=type_name(bool)
            )
        asked = step_settings.of_step({"cache": cache}, wiring.where).cache
        return self._record(wiring, "historical", inputs, cache=asked or False)

    def online(self, rows: Any, *, timeout: Any = None, on_error: str = "fail") -> Any:
        """Look up the newest values for some rows. For endpoints; never cached.

        Args:
            timeout: how long a look-up may take while a request is answered (``0.2``, ``"2s"``); a second by default.
            on_error: ``fail``, so that the request fails (503 where it took too long), or ``null`` to go on with nulls.

        Raises:
            DefinitionError: outside a pipeline or endpoint, for what is no table, or settings that cannot be.
        """
        wiring = self._wiring("online", rows)
        return self._record(wiring, "online", self._inputs(rows) | _limits(timeout, on_error, wiring.where))

    def materialize(
        self, until: datetime | Handle, *, since: datetime | Handle | None = None, force: bool = False
    ) -> Any:
        """Bring the views of the features online up to a time. For pipelines; a step that acts on what lies outside.

        Its output is ``{"done": True, "views": {…}}``. Where a run must not act (``turnout verify``, a sweep, values in
        the place of steps, a run with reused results, one that is not sealed) it is ``{"done": False, "why": …}``.

        Args:
            until: the end of the window, which is part of it: ``LOGICAL_TIME`` by a parameter of the pipeline, a
                step's result, or a time.
            since: its start; by default where the last window ended.
            force: whether a window that ends before what is online is read again.

        Raises:
            DefinitionError: outside a pipeline, or for what is no time.
        """
        wiring = self._called("materialize")
        wiring = Wiring(wiring.trace, f"the step {self._materializing!r}", wiring.where)
        given = {"until": until, "since": since, "force": force}
        inputs = {
            name: wiring.input(_parameters()[name], value)
            for name, value in given.items()
            if value is not None and value is not False
        }
        return self._record(wiring, "materialize", {**self._asked(), **inputs})

    def named(self, name: str) -> Features:
        """The same features under another step name, to get them a second time.

        Raises:
            DefinitionError: for a name that cannot be used.
        """
        return Features(
            *self.features,
            service=self.service,
            entity=self.entity,
            keys=self.keys,
            inputs=self.inputs,
            timestamp=self.timestamp,
            name=name,
        )

    @property
    def _materializing(self) -> str:
        return (
            self.name if self.name.startswith("materialize_") else f"materialize_{self.name.removesuffix('_features')}"
        )

    def _called(self, method: str) -> Wiring:
        where = places.here()
        trace = current.get()
        if trace is None:
            raise DefinitionError(
                f"Features(…).{method}(…) is called outside a pipeline",
                where=where,
                why="the stack of a run says which feature store answers",
                fix="run `turnout features materialize`, or call it below @pipeline"
                if method == "materialize"
                else "call it below @pipeline; in a test, give the next function a table with these columns",
            )
        return Wiring(trace, f"the step {self.name!r}", where)

    def _wiring(self, method: str, table: Any) -> Wiring:
        wiring = self._called(method)
        if not isinstance(table, Handle) or not self._is_table(table):
            shown = table._show() if isinstance(table, Value) else shorten(table)
            raise DefinitionError(
                f"{wiring.what} takes a table, not {shown}",
                where=wiring.where,
                why="features are joined to its rows",
                fix="give it the output of a step that returns a DataFrame",
            )
        wiring.check(table)
        return wiring

    def _is_table(self, table: Handle) -> bool:
        if isinstance(table._source, Written) or table._param is not None or table._mapped or table._type.collection:
            return False
        return table._type.name == "any" or fitting.is_table(table._type)

    def _inputs(self, table: Handle) -> dict[str, InputSpec]:
        inputs = {"entities": InputSpec(source=table._source, type=table._type), **self._asked()}
        if self.entity is not None:
            inputs["entity"] = InputSpec(source=Written(value=self.entity, type=_TEXT), type=type_name(str))
        if self.keys is not None:
            inputs["keys"] = InputSpec(source=Written(value=self.keys, type=_MAPPING), type=type_name(dict[str, str]))
        if self.inputs:
            inputs["inputs"] = InputSpec(
                source=Written(value=list(self.inputs), type=_TEXTS), type=type_name(list[str])
            )
        return inputs

    def _asked(self) -> dict[str, InputSpec]:
        if self.service is not None:
            return {"service": InputSpec(source=Written(value=self.service, type=_TEXT), type=type_name(str))}
        return {
            "features": InputSpec(source=Written(value=list(self.features), type=_TEXTS), type=type_name(list[str]))
        }

    def _record(
        self,
        wiring: Wiring,
        use: Use,
        inputs: dict[str, InputSpec],
        *,
        cache: bool | float = False,
    ) -> Any:
        trace, acts = wiring.trace, use == "materialize"
        what = (
            f"The features of the service {self.service}"
            if self.service
            else f"The features {', '.join(self.features)}"
        )
        by = self.entity or ", ".join((self.keys or {}).values())
        made = type_name(dict) if acts else inputs["entities"].type
        spec = StepSpec(
            name=trace.claim(self._materializing if acts else self.name, "step", wiring.where),
            entrypoint=entrypoint(use),
            inputs=inputs,
            guards=trace.guards,
            outputs=(OutputSpec(name="output", type=made),),
            cache=cache,
            effect=acts,
            doc=f"{what}{', brought online' if acts else ''}{f', by {by}' if by and not acts else ''}.",
            place=places.place(wiring.where),
        )
        trace.add(spec)
        return result(trace, spec, mapped=False)


@lru_cache(maxsize=1)
def _parameters() -> Mapping[str, Parameter]:
    """What the step that materializes takes."""
    return Signature(steps.materialize, {}).parameters


def _check_references(features: tuple[Any, ...], service: Any, where: Location) -> None:
    for feature in features:
        if not isinstance(feature, str) or not _REFERENCE.match(feature):
            raise DefinitionError(
                f"{shorten(feature)} is not a feature",
                where=where,
                why="a feature is named by its view and itself",
                fix=_EXAMPLE,
            )
    if service is not None and not (isinstance(service, str) and service):
        raise DefinitionError(
            f"service={shorten(service)} is not the name of a feature service",
            where=where,
            fix='write service="delays"',
        )
    if features and service is not None:
        raise DefinitionError(
            "Features is given references and service=",
            where=where,
            why="a service is a list of references that the store keeps",
            fix="give one of them",
        )
    if not features and service is None:
        raise DefinitionError("Features names no feature", where=where, fix=_EXAMPLE)


def _all_texts(values: Any) -> bool:
    return isinstance(values, Sequence) and all(isinstance(value, str) and value for value in values)


def _limits(timeout: Any, on_error: Any, where: Location) -> dict[str, InputSpec]:
    """What endpoints go by when features cannot be looked up; nothing where all is as by default."""
    limits = {}
    if on_error not in ("fail", "null"):
        raise DefinitionError(
            f"on_error={shorten(on_error)} is nothing that a look-up can do",
            where=where,
            fix='write on_error="fail", or on_error="null" to go on with nulls',
        )
    if on_error != "fail":
        limits["on_error"] = InputSpec(source=Written(value=on_error, type=_TEXT), type=type_name(str))
    if timeout is not None:
        seconds = Written(value=durations.seconds(timeout, "timeout", where), type=ParamType(kind="float"))
        limits["timeout"] = InputSpec(source=seconds, type=type_name(float))
    return limits
