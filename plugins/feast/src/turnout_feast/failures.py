"""What Feast raises, as one clear error: what was done, its own words, and what may help."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from turnout.plugin_api import RunError, TurnoutError

_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/\s@]+@")
_PASSWORD = re.compile(r"(?i)\b(password|passwd|secret|token)(\s*[=:]\s*)\S+")
_DOWN = ("refused", "could not connect", "connection is bad", "timed out", "timeout", "name or service not known",
         "no route to host", "could not translate host", "unable to open database", "endpoint url")  # fmt: skip


@contextlib.contextmanager
def told(doing: str, kind: type[TurnoutError] = RunError, fix: str | None = None) -> Iterator[None]:
    """Tell of what Feast raises within the block.

    Args:
        doing: what was done, as in "Feast failed while …".
        kind: the error to raise.
        fix: what to do about it, unless a store that is down is the reason.

    Raises:
        TurnoutError: as it is where it is ours, else of that *kind*.
    """
    try:
        yield
    except TurnoutError:
        raise
    except Exception as error:
        text = words(error)
        if any(sign in text.lower() for sign in _DOWN):
            raise RunError(
                f"a store of Feast's cannot be reached while {doing}",
                why=text,
                fix="start it, or correct its address in feature_store.yaml",
            ) from error
        raise kind(f"Feast failed while {doing}", why=text, fix=fix) from error


def words(error: BaseException) -> str:
    """An error in one line of at most 400 characters, without credentials."""
    text = " ".join(str(error).split())
    text = _PASSWORD.sub(r"\1\2***", _USERINFO.sub(r"\1", text))
    text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= 400 else f"{text[:397]}..."
