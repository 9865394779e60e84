"""Secrets from files, as Kubernetes and Docker mount them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec

from turnout.base.errors import ConfigError
from turnout.components.base import Config, ExistingPath
from turnout.components.secret_store import SecretStore

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*\Z")


class FileSettings(Config, frozen=True):
    """Settings of the secret store ``files``."""

    folder: Annotated[
        ExistingPath, msgspec.Meta(description="The folder on the worker: one file a secret, named as it is.")
    ]


class FileSecrets(SecretStore[FileSettings]):
    """The secret ``db`` is the text of the file ``<folder>/db``, without one line feed at its end.

    A name may lead into folders below (``db/password``), never out: a link is followed only within the folder.
    """

    name = "files"
    Config = FileSettings

    def get(self, name: str) -> str | None:
        if not _NAME.match(name):
            raise ConfigError(
                f"the secret name {name[:60]!r} cannot be a file of {self.config.folder}",
                fix="use letters, digits, '.', '_' and '-', and '/' for a folder below",
            )
        file = Path(self.config.folder, name)
        try:
            if not file.resolve().is_relative_to(Path(self.config.folder).resolve()):
                raise ConfigError(
                    f"the secret {name!r} is a link that leads out of {self.config.folder}",
                    fix="put the secret's file itself into the folder",
                )
            text = file.read_bytes().decode()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except UnicodeDecodeError:
            raise ConfigError(
                f"the secret file {file} is not UTF-8 text", fix="encode it, for example by base64"
            ) from None
        except (OSError, RuntimeError) as error:  # RuntimeError: links that go round in a circle, before Python 3.13
            reason = getattr(error, "strerror", None) or "its links go round in a circle"
            raise ConfigError(
                f"the secret file {file} cannot be read: {reason}", fix="give the worker's user a readable file"
            ) from None
        return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")

    def hint(self, name: str) -> str:
        return f"the file {Path(self.config.folder, name)}"
