"""The steps by which a plan uses the feature store, and what each asks of it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from turnout.model.inputs import InputSpec
from turnout.model.inputs import Literal as Written
from turnout.model.spec import Entrypoint, StepBase

Use = Literal["historical", "online", "materialize"]
MODULE = "turnout.steps"


class FeatureUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a step asks of the feature store: of which features (or service), by which columns of a table."""

    use: Use
    features: tuple[str, ...] = ()
    service: str = ""
    entity: str = ""
    keys: dict[str, str] = {}
    inputs: tuple[str, ...] = ()
    known_at: bool = False

    @property
    def text(self) -> str:
        """What is asked for, for people."""
        return f"the service {self.service}" if self.service else ", ".join(self.features)


def entrypoint(use: Use) -> Entrypoint:
    """The function of such a step."""
    return Entrypoint(module=MODULE, qualname=use)


def feature_use(step: StepBase) -> FeatureUse | None:
    """What a step asks of the feature store; None where it asks for nothing."""
    for use in ("historical", "online", "materialize"):
        if step.entrypoint == entrypoint(use):
            written = {
                name: _written(given) for name, given in step.inputs.items() if isinstance(given.source, Written)
            }
            return msgspec.convert({"use": use, **{n: v for n, v in written.items() if n in _ASKED}}, FeatureUse)
    return None


_ASKED = frozenset(FeatureUse.__struct_fields__)


def _written(given: InputSpec) -> Any:
    assert isinstance(given.source, Written)
    return given.source.value
