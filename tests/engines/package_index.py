"""A package index on this machine's loopback that asks for a password, with wheels of what is installed here."""

from __future__ import annotations

import base64
import subprocess
import sys
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

USER, PASSWORD = "builder", "hush-hush-4711"


class PackageIndex:
    """Serves the wheels of a folder as pip expects it. Use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        handler = type("Handler", (_Handler,), {"folder": folder})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        port = self._server.server_address[1]
        self.url = f"http://{USER}:{PASSWORD}@127.0.0.1:{port}/simple"

    def __enter__(self) -> PackageIndex:  # noqa: PYI034 - Self is of 3.11
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fetch(self, pins: Sequence[str]) -> None:
        """Take wheels from the index that this machine has."""
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "--dest", str(self.folder), *pins], check=True)


class _Handler(BaseHTTPRequestHandler):
    folder: Path

    def do_GET(self) -> None:
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != expected:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        name = self.path.rstrip("/").rpartition("/")[2]
        if self.path.startswith("/files/"):
            self._answer(self.folder.joinpath(name).read_bytes(), "application/octet-stream")
            return
        wanted = name.lower().replace("-", "_").replace(".", "_")
        found = [path.name for path in self.folder.iterdir() if path.name.lower().partition("-")[0] == wanted]
        links = "".join(f'<a href="/files/{file}">{file}</a>' for file in found)
        self._answer(f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), "text/html")

    def _answer(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""
