"""Text of users as it can be written and shown: nothing in it acts on a terminal, and nothing cannot be encoded."""

from __future__ import annotations

import re

_ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed: colours, links, titles, the cursor
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # what turns the direction of text, or ends a line unseen
    "\ud800-\udfff]"  # half a character, which no encoding has
)
_BREAKING = re.compile("[\t\n]")
_NAMED = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}


def encodable(text: str) -> str:
    """*text* with the halves of characters escaped that UTF-8 cannot write."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def shown(text: str) -> str:
    """*text* with everything escaped that would act on a terminal instead of being seen."""
    return _ACTING.sub(_escape, text)


def shown_line(text: str) -> str:
    """As :func:`shown`, on one line and in one column."""
    return _BREAKING.sub(_escape, shown(text))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return _NAMED.get(match[0]) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
