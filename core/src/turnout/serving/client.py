"""Asking an endpoint that is served somewhere."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from turnout.base.errors import DeployError

PATIENCE = 60
"""Seconds that an answer may take."""


def ask(url: str, body: Any = None, headers: Mapping[str, str] = MappingProxyType({})) -> Any:
    """The answer to a request with a JSON body, or to a GET where there is none.

    Raises:
        DeployError: when nobody answers, or the endpoint refuses it.
    """
    data = None if body is None else msgspec.json.encode(body)
    request = urllib.request.Request(url, data, {"content-type": "application/json", **headers})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:  # noqa: S310
            return json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            told = error.read()
        raise DeployError(f"the endpoint refuses the request: {_said(told)}", why=f"it answered {error.code}") from None
    except ValueError as error:
        raise DeployError(f"what answers at {url} gives no JSON", why=str(error), fix="check the address") from None
    except OSError as error:
        raise DeployError(f"nobody answers at {url}", why=str(error), fix="see turnout endpoints list") from error


def _said(told: bytes) -> str:
    """What an answer says of what is wrong: as turnout says it, or else as it comes."""
    try:
        said = json.loads(told)["error"]
        return f"{said['where']}: {said['what']}" if "where" in said else str(said["what"])
    except (ValueError, KeyError, TypeError):
        return told.decode(errors="replace")[:500]
