"""The contract of feature stores: features joined to entities as of a time, and looked up now."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from turnout.components.base import Component, ConfigT

ROW = "turnout_row"
"""The column of a retrieval that numbers its rows; a store hands it back as it came."""

Progress = Callable[[str, float], None]
"""Is told the view that is materialized, and the share of it that is done, from 0 to 1."""


class FeatureView(msgspec.Struct, frozen=True, kw_only=True):
    """A table of features, as a store knows it. Types are Arrow's names: ``int64``, ``string``, ``double``."""

    name: str
    keys: dict[str, str]
    """The columns that name an entity, with their types. A view computed from inputs alone has none."""
    timestamp: str
    """The column that says since when a row holds."""
    features: dict[str, str] = {}
    """The features with their types."""
    created: str = ""
    """The column that says when a row was written; empty where there is none. Of two rows of one time the later
    written counts."""
    ttl: float | None = None
    """Seconds after which a row no longer holds; a row exactly that old still does."""
    known_at: bool = False
    """Whether it can be asked for values as they were known at a time: it needs ``created``, and a store that can."""
    inputs: dict[str, str] = {}
    """What a request must bring besides the keys, with types: features that are computed from it."""
    owner: str = ""
    doc: str = ""
    materialized_until: datetime | None = None
    """Up to which time rows are online, in UTC; None where they never were."""
    problem: str = ""
    """Why it cannot be read now, as a clause; its types and features then may be missing."""
    refuses: dict[str, str] = {}
    """What it cannot be asked for, ``online`` or ``materialize``, each with the reason, as a clause."""
    notes: tuple[str, ...] = ()
    """What this store does otherwise than others, one sentence each: ``describe`` and ``explain`` show them."""


class Materialized(msgspec.Struct, frozen=True, kw_only=True):
    """What bringing one view online came to."""

    view: str
    since: datetime | None
    """The start of the window, which is no part of it; None for all that went before."""
    until: datetime
    """The end of the window, which is part of it."""
    rows: int | None = None
    """How many entities it wrote; None where the tool does not say."""
    note: str = ""
    """Why nothing was done, where nothing was."""


class FeatureStore(Component[ConfigT], ABC):
    """Features by reference, ``view:feature``. Called on workers and where a pipeline is planned.

    turnout prepares each retrieval: *entities* is a pyarrow table with the columns that are needed and no other.
    References name features that :meth:`describe` has, no two of one name. Key columns have the types that the views
    declare; null stands for a key that is missing or cannot be one of the view's. The time column is a timestamp in
    UTC without nulls. Besides there is :data:`ROW`, a number for each row.

    What comes back is a pyarrow table with :data:`ROW` and one column for each feature, named without its view; other
    columns are ignored. Every row must come back exactly once: turnout checks it, and restores the order.
    """

    versions_data: ClassVar[bool] = False
    """Whether :meth:`version` changes with the data, too. Else look-ups are cached for a time only."""

    package_index: Callable[[], Mapping[str, str]] | None = None
    """Gives the variables by which uv finds the packages of the stack's index; set by whoever makes the store."""

    @abstractmethod
    def historical(
        self,
        entities: Any,
        features: Sequence[str],
        *,
        keys: Mapping[str, str],
        timestamp: str,
        inputs: Sequence[str] = (),
        known_at: bool = False,
    ) -> Any:
        """The point-in-time join: for each row of *entities* the newest values at or before its time.

        Args:
            entities: a pyarrow table, as described above.
            features: references ``view:feature``.
            keys: the column of *entities* for each key of the views.
            timestamp: the column of *entities* with the time as of which features are asked for.
            inputs: columns of *entities* that features are computed from.
            known_at: whether only rows count that were written (``created``) at or before that time, too. Asked only
                of views whose ``known_at`` is true.

        Returns:
            A pyarrow table with :data:`ROW` and the features; null where no value was known, or a key is null.
            Of the rows of a view at one time the one created last counts, without ``created`` any one of them. A row
            older than the view's ttl does not count. A value that is null in the newest row is null.
        """

    @abstractmethod
    def online(
        self, entities: Any, features: Sequence[str], *, keys: Mapping[str, str], inputs: Sequence[str] = ()
    ) -> Any:
        """The newest values that are online, shaped as :meth:`historical` does. Several threads may call it at once.

        A row older than the view's ttl does not count.

        Raises:
            RunError: when a view was never materialized, or the store cannot be reached.
        """

    @abstractmethod
    def materialize(
        self,
        until: datetime,
        *,
        since: datetime | None = None,
        views: Sequence[str] = (),
        force: bool = False,
        progress: Progress | None = None,
    ) -> tuple[Materialized, ...]:
        """Bring views online up to *until*, which is included. A naive time is UTC.

        An entity's row online is never replaced by an older one. Several processes may call it at once.

        Args:
            since: where the window starts; by default where the last one ended.
            views: their names; all of them by default.
            force: whether to read a window again that ends before ``materialized_until``: without, nothing is done
                for that view, and its ``note`` says so.
            progress: is told how far it is.
        """

    @abstractmethod
    def push(self, view: str, rows: Any) -> int:
        """Write rows (a pyarrow table with the view's columns) online at once; return how many replaced an older row.

        A row that is older than the one online changes nothing. The view then counts as materialized, if it was not,
        but its ``materialized_until`` stays.

        Raises:
            UnsupportedError: where the store has no such thing.
        """

    @abstractmethod
    def version(self, features: Sequence[str]) -> str:
        """A digest that changes with the definitions and code that these features follow from: sources, ttl, services.

        And with the state of their data, where ``versions_data`` is true. Asked on a worker.
        """

    def tags(self, features: Sequence[str], services: Sequence[str]) -> Mapping[str, str]:
        """The tags by which the store's own tools find in a tracker the runs that have learned from these features.

        Args:
            features: all references that a run looks up for training, those of its services among them.
            services: the services that it names.
        """
        return {}

    @abstractmethod
    def resolve(self, service: str) -> tuple[str, ...]:
        """The references that a feature service stands for.

        Raises:
            ConfigError: where there is none of that name.
        """

    @abstractmethod
    def describe(self) -> tuple[FeatureView, ...]:
        """The feature views there are."""
