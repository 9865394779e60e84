"""A canary, as the processes see it that clients reach: they hand it its share of the requests."""

from __future__ import annotations

import asyncio
import re
from zlib import crc32

from turnout.model.endpoint_plan import EndpointPlan

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Canary:
    """A version that answers in processes of its own, with its own packages and its own code.

    Args:
        share: of the requests, from 0 to 1.
        address: of the socket where it is asked.
    """

    def __init__(self, plan: EndpointPlan, share: float, address: str) -> None:
        self.plan = plan
        self._share = share
        self._address = address

    def takes(self, key: bytes) -> bool:
        """Whether it answers the requests with this key: always, or never."""
        return crc32(key) / 2**32 >= 1 - self._share

    async def ask(self, path: str, body: bytes) -> tuple[int, bytes]:
        """The status and the body that it answers with.

        Raises:
            ConnectionError: when its process ends before it has answered.
        """
        reader, writer = await asyncio.open_unix_connection(self._address)
        try:
            asked = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}"
            writer.write(f"{asked}\r\n\r\n".encode() + body)
            head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            if length is None or int(length[1]) != len(answer):
                raise ConnectionResetError("the connection ended before the answer did")
            return int(head[9:12]), answer
        finally:
            writer.close()
