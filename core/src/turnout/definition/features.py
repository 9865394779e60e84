"""Features by reference: joined to a table in a pipeline, looked up in an endpoint, by the stack's feature store."""

from __future__ import annotations

import re
from typing import Any

from turnout.base import names
from turnout.base.errors import DefinitionError
from turnout.definition import fitting, places
from turnout.definition.annotations import type_name
from turnout.definition.handles import Handle
from turnout.definition.step import result
from turnout.definition.trace import Trace, current
from turnout.definition.values import Value
from turnout.definition.wiring import Wiring
from turnout.model.inputs import InputSpec, Literal
from turnout.model.spec import Entrypoint, OutputSpec, StepSpec
from turnout.model.types import ParamType
from turnout.model.values import shorten

_REFERENCE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*:[A-Za-z_][A-Za-z0-9_-]*\Z", re.ASCII)
_TEXT = ParamType(kind="str")


class Features:
    """Some features of an entity.

    Args:
        features: references ``view:feature``.
        entity: the column of a table that holds the entity's key.
        timestamp: the column with the time as of which features are wanted; by default the one that the first
            feature's view names its own.
        name: the name of the steps that get them; the first view's, with ``_features`` after it, by default.

    Raises:
        DefinitionError: for what is no reference, or a name that cannot be used.
    """

    def __init__(self, *features: str, entity: str, timestamp: str | None = None, name: str | None = None) -> None:
        where = places.here()
        for feature in features:
            if not isinstance(feature, str) or not _REFERENCE.match(feature):
                raise DefinitionError(
                    f"{shorten(feature)} is not a feature",
                    where=where,
                    why="a feature is named by its view and itself",
                    fix='write Features("airport_weather:wind_speed", entity="origin")',
                )
        if not features:
            raise DefinitionError(
                "Features names no feature",
                where=where,
                fix='write Features("airport_weather:wind_speed", entity="origin")',
            )
        for what, column in (("entity", entity), ("timestamp", timestamp)):
            if not (isinstance(column, str) and column) and not (what == "timestamp" and column is None):
                raise DefinitionError(
                    f"{what}={shorten(column)} is not the name of a column", where=where, fix=f'write {what}="origin"'
                )
        own = f"{features[0].partition(':')[0]}_features".replace("-", "_") if name is None else name
        self.name = names.check(own, "step", where, "Features(…, name={})")
        self.features = features
        self.entity = entity
        self.timestamp = timestamp

    def historical(self, entities: Any) -> Any:
        """Join the features to a table, each as it was known at the row's time. For pipelines; never cached.

        Raises:
            DefinitionError: outside a pipeline, or for what is no table.
        """
        trace, wiring = self._wiring("historical", entities)
        inputs = self._inputs(entities)
        inputs["timestamp"] = InputSpec(
            source=Literal(value=self.timestamp, type=ParamType(kind="str", optional=True)), type=type_name(str | None)
        )
        return self._record(trace, wiring, "historical", inputs)

    def online(self, rows: Any) -> Any:
        """Look up the newest values for some rows. For endpoints; never cached.

        Raises:
            DefinitionError: outside a pipeline or endpoint, or for what is no table.
        """
        trace, wiring = self._wiring("online", rows)
        return self._record(trace, wiring, "online", self._inputs(rows))

    def named(self, name: str) -> Features:
        """The same features under another step name, to get them a second time.

        Raises:
            DefinitionError: for a name that cannot be used.
        """
        return Features(*self.features, entity=self.entity, timestamp=self.timestamp, name=name)

    def _wiring(self, method: str, table: Any) -> tuple[Trace, Wiring]:
        where = places.here()
        trace = current.get()
        if trace is None:
            raise DefinitionError(
                f"Features(…).{method}(…) is called outside a pipeline",
                where=where,
                why="the stack of a run says which feature store answers",
                fix="call it below @pipeline; in a test, give the next function a table with these columns",
            )
        wiring = Wiring(trace, f"the step {self.name!r}", where)
        if not isinstance(table, Handle) or not self._is_table(table):
            shown = table._show() if isinstance(table, Value) else shorten(table)
            raise DefinitionError(
                f"{wiring.what} takes a table, not {shown}",
                where=where,
                why="features are joined to its rows",
                fix="give it the output of a step that returns a DataFrame",
            )
        wiring.check(table)
        return trace, wiring

    def _is_table(self, table: Handle) -> bool:
        if isinstance(table._source, Literal) or table._param is not None or table._mapped or table._type.collection:
            return False
        return table._type.name == "any" or fitting.is_table(table._type)

    def _inputs(self, table: Handle) -> dict[str, InputSpec]:
        texts = ParamType(kind="list", items=(_TEXT,))
        return {
            "entities": InputSpec(source=table._source, type=table._type),
            "features": InputSpec(source=Literal(value=list(self.features), type=texts), type=type_name(list[str])),
            "entity": InputSpec(source=Literal(value=self.entity, type=_TEXT), type=type_name(str)),
        }

    def _record(self, trace: Trace, wiring: Wiring, method: str, inputs: dict[str, InputSpec]) -> Any:
        spec = StepSpec(
            name=trace.claim(self.name, "step", wiring.where),
            entrypoint=Entrypoint(module="turnout.steps", qualname=method),
            inputs=inputs,
            guards=trace.guards,
            outputs=(OutputSpec(name="output", type=inputs["entities"].type),),
            cache=False,
            doc=f"The features {', '.join(self.features)}, by {self.entity}.",
            place=places.place(wiring.where),
        )
        trace.add(spec)
        return result(trace, spec, mapped=False)
