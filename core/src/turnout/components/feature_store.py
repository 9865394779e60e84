"""The contract of feature stores: features joined to entities as of a time, and looked up now."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from turnout.components.base import Component, ConfigT


class FeatureView(msgspec.Struct, frozen=True, kw_only=True):
    """A table of features: its name, entity columns, the time column, and its features with their types as text."""

    name: str
    entities: tuple[str, ...]
    timestamp: str
    features: dict[str, str] = {}


class FeatureStore(Component[ConfigT], ABC):
    """Features by reference: ``view:feature``. Called on workers, in one thread at a time."""

    @abstractmethod
    def historical(self, entities: Any, features: Sequence[str], *, entity: str, timestamp: str) -> Any:
        """The point-in-time join: *entities* with a column a feature, each the newest value at or before *timestamp*.

        Args:
            entities: a table (pandas, Polars or pyarrow) with the entity's column and a time column.
            features: references ``view:feature``.
            entity: the column of *entities* that holds the entity's key.
            timestamp: the column of *entities* that holds the time as of which features are wanted.

        Returns:
            A table of the kind given: all rows, in their order, the feature columns appended; null where no
            value was known yet.
        """

    @abstractmethod
    def online(self, entities: Any, features: Sequence[str], *, entity: str) -> Any:
        """The newest values now, shaped as :meth:`historical` does."""

    @abstractmethod
    def materialize(self, until: datetime) -> None:
        """Bring the online side up to *until*."""

    @abstractmethod
    def describe(self) -> tuple[FeatureView, ...]:
        """The feature views there are."""
