"""Feast by the suite of feature stores: each combination of stores has one meaning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from turnout.testing.feature_store import FeatureStoreSuite
from turnout_feast.feature_store import FeastFeatureStore
from turnout_feast.settings import FeastSettings

OFFLINE = (
    "test_a_case[before_at_after]",
    "test_a_case[tie]",
    "test_a_case[created_later]",
    "test_a_case[known_at]",
    "test_a_case[ttl]",
    "test_a_case[newest_null]",
    "test_a_case[null_key]",
    "test_a_case[repeated_rows]",
    "test_a_case[two_keys]",
    "test_a_case[before_the_first_row_online]",
    "test_all_rows_stay_in_their_order[pandas]",
    "test_several_features_of_several_views[pandas]",
    "test_no_rows_give_no_rows",
)
WRITES = (
    "test_a_case[online_tie]",
    "test_a_case[newest_null_online]",
    "test_a_case[null_key_online]",
    "test_a_case[two_keys_online]",
    "test_an_older_window_that_is_forced_keeps_what_is_newer",
    "test_an_older_push_keeps_what_is_newer",
    "test_a_window_keeps_what_was_pushed_later",
)
"""What online stores do otherwise: which of two writes stays, how nulls and keys are written."""
ONLINE = (
    *WRITES,
    "_online]",
    "test_a_case[online",
    "test_what_was_never_materialized_is_refused",
    "test_nothing_to_write_is_no_failure",
    "test_a_pushed_row_counts_at_once",
)


class _OnFeast(FeatureStoreSuite):
    offline: ClassVar[str] = "duckdb"
    online: ClassVar[str] = "sqlite"
    sample: ClassVar[tuple[str, ...] | None] = None

    @pytest.fixture
    def feature_store(
        self, repository: Callable[..., Path], online_store: Callable[[str], dict[str, Any]]
    ) -> FeastFeatureStore:
        folder = repository(self.offline, online_store(self.online))
        return FeastFeatureStore(FeastSettings(repo=str(folder)))


class TestDuckdbWithSqlite(_OnFeast):
    """The whole suite."""


class TestDuckdbWithRedis(_OnFeast):
    """Redis has a mind of its own on what is older."""

    online = "redis"
    sample = ONLINE


class TestDuckdbWithPostgres(_OnFeast):
    """PostgreSQL takes what is written last."""

    online = "postgres"
    sample = WRITES


class TestDuckdbWithDynamodb(_OnFeast):
    """DynamoDB, on a stand-in."""

    online = "dynamodb"
    sample = WRITES


class TestDaskWithSqlite(_OnFeast):
    """dask's offline store drops, doubles and reorders rows."""

    offline = "dask"
    sample = OFFLINE
