"""The suite a secret store must pass: secrets by their names, and no value in any message.

A plugin's test file is one class::

    class TestMySecretStore(SecretStoreSuite):
        @pytest.fixture
        def secret_store(self, tmp_path):
            return MySecretStore(MySecretStore.Config(folder=str(tmp_path)))

        @pytest.fixture
        def put(self, tmp_path):
            return lambda name, value: (tmp_path / name).write_text(value)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from turnout.base.errors import ConfigError
from turnout.components.base import Component
from turnout.components.secret_store import SecretStore
from turnout.testing.component import ComponentSuite

Put = Callable[[str, str], Any]

_VALUES = ("hunter2", "", " spaces ", "two\nlines", "é 漢字 'quotes' \"too\" $HOME {x}", "x" * 10_000)
_ODD_NAMES = (
    "",
    " ",
    ".",
    "..",
    "../db",
    "/etc/passwd",
    "db/../../db",
    "a b",
    "x" * 5000,
    "a\x00b",
    "é",
    "a=b",
    "a\nb",
)


class SecretStoreSuite(ComponentSuite):
    """Subclass it, name the subclass ``Test…`` and give the fixtures ``secret_store`` and ``put``."""

    kind: ClassVar[str] = "secret_store"

    @pytest.fixture
    def secret_store(self) -> SecretStore[Any]:
        """A secret store that is empty."""
        raise NotImplementedError("give the suite a fixture 'secret_store'")

    @pytest.fixture
    def put(self) -> Put:
        """Puts a secret into the store, by name and value."""
        raise NotImplementedError("give the suite a fixture 'put'")

    @pytest.fixture
    def component(self, secret_store: SecretStore[Any]) -> Component[Any]:
        """The secret store."""
        return secret_store

    @pytest.mark.parametrize("value", _VALUES, ids=["plain", "empty", "spaces", "lines", "odd", "long"])
    def test_a_secret_is_found(self, secret_store: SecretStore[Any], put: Put, value: str) -> None:
        put("db", value)
        put("other", "not this")
        assert secret_store.get("db") == value
        assert type(secret_store)(secret_store.config).get("db") == value

    def test_a_secret_there_is_not_is_none(self, secret_store: SecretStore[Any], put: Put) -> None:
        assert secret_store.get("db") is None
        put("db", "hunter2")
        assert secret_store.get("d") is None
        assert secret_store.get("db2") is None

    def test_a_hint_says_where_and_not_what(self, secret_store: SecretStore[Any], put: Put) -> None:
        put("db", "hunter2")
        assert "db" in secret_store.hint("db")
        assert "hunter2" not in secret_store.hint("db")
        assert "missing" in secret_store.hint("missing")

    @pytest.mark.parametrize("name", _ODD_NAMES)
    def test_an_odd_name_leads_nowhere(self, secret_store: SecretStore[Any], put: Put, name: str) -> None:
        put("db", "hunter2")
        try:
            answer = secret_store.get(name)
        except ConfigError as error:
            answer, message = None, str(error)
        else:
            message = ""
        assert answer is None
        assert "hunter2" not in message
        assert "hunter2" not in secret_store.hint(name)
