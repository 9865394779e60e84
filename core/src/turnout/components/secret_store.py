"""The contract of secret stores: a name in, a secret value out, on the worker only."""

from __future__ import annotations

from abc import ABC, abstractmethod

from turnout.components.base import Component, ConfigT


class SecretStore(Component[ConfigT], ABC):
    """Resolves ``${secret:NAME}`` and a step's ``secrets``. Never called while planning."""

    @abstractmethod
    def get(self, name: str) -> str | None:
        """The secret's value, or None where there is none of that name.

        Raises:
            ConfigError: when the store itself cannot be read; the message holds no value.
        """

    @abstractmethod
    def hint(self, name: str) -> str:
        """Where this store would look for *name*, for the error that says it is missing."""
