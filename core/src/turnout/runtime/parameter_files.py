"""Files and folders given as parameters: by digest, or by a URL that is read once a run."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from turnout.artifacts.blobs import short
from turnout.base import canonical
from turnout.base.errors import ArtifactError, ConfigError
from turnout.files import File, Folder
from turnout.materializers.paths import own_name
from turnout.model.records import Artifact
from turnout.model.types import ParamType
from turnout.runtime.session import Session
from turnout.stores import layout
from turnout.stores.address import open_object

TIMEOUT = 60.0
"""Seconds without an answer after which reading a URL fails."""


def parameter_content(session: Session, name: str, value: dict[str, Any]) -> dict[str, str]:
    """What a File or Folder parameter is: the digest and suffix of its content; of a URL's, what this run first read.

    Raises:
        ConfigError: for a bare path, which no worker can rely on.
        ArtifactError: when the URL cannot be read.
    """
    if "path" in value:
        raise ConfigError(
            f"the parameter {name!r} is a local path, {value['path']!r}, which a worker cannot rely on",
            fix="submit with `turnout run`, or give a URL",
        )
    return _read_once(session, name, value["url"]) if "url" in value else value


def parameter_file(session: Session, name: str, value: dict[str, Any], type_: ParamType) -> Path:
    """The content of a File or Folder parameter as a local path with a neutral name.

    Raises:
        ConfigError: for a bare path.
        ArtifactError: when the content is not in the store, is damaged, or the URL cannot be read.
    """
    value = parameter_content(session, name, value)
    try:
        artifact = session.artifacts.find(value["digest"])
    except ArtifactError as error:
        if session.run.store.exists(layout.manifest(value["digest"])):
            raise
        raise ArtifactError(
            f"the content of {name!r}, a local file or folder, is not in the store {session.run.store.address}",
            why=f"nothing there has the digest {short(value['digest'])}; it is sent when a run is submitted, or the "
            "pipeline is published",
            fix="`turnout publish PIPELINE`, or `turnout export PIPELINE --upload`",
        ) from error
    path = session.artifacts.materialise_file(artifact, f"{'input'}{value.get('suffix', '')}")
    return Folder(path) if type_.kind == "folder" else File(path)


def _read_once(session: Session, name: str, url: str) -> dict[str, Any]:
    key = layout.run_file(session.run.info.project, session.run.info.id, canonical.digest(url.encode())[:16])
    data = session.run.store.read(key)
    if data is None:
        suffix = PurePosixPath(urlsplit(url).path).suffix
        with tempfile.TemporaryDirectory(dir=session.work) as folder:
            path = Path(folder) / f"input{suffix}"
            _download(name, url, path)
            artifact: Artifact = session.artifacts.save_path(path, "file", suffix)
        name = own_name(PurePosixPath(unquote(urlsplit(url).path)))
        named = {"name": name} if name else {}
        mine = canonical.encode({"digest": artifact.digest, "suffix": suffix, "url": url, **named})
        data = mine if session.run.store.create(key, mine) else session.run.store.read(key)
    found: dict[str, Any] = msgspec.json.decode(data or b"{}")
    return found


def _download(name: str, url: str, path: Path) -> None:
    scheme = urlsplit(url).scheme
    try:
        if scheme in {"http", "https"}:
            _get(url, path)
        elif scheme == "file":
            raise ConfigError(
                f"the parameter {name!r} is a file:// URL, which a worker cannot rely on", fix="give a path instead"
            )
        else:
            open_object(url, path)
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"the parameter {name!r} cannot be read from {_shown(url)}: {_reason(error)}",
            fix="check the URL, and that the worker may reach it",
        ) from error


def _get(url: str, path: Path) -> None:
    """Read a URL over HTTP; raises OSError or ValueError, also for an answer that ends before its announced length."""
    import urllib.request
    from http.client import HTTPException
    from urllib.error import HTTPError

    size = 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response, path.open("wb") as target:  # noqa: S310
            while chunk := response.read(canonical.CHUNK):
                size += target.write(chunk)
        announced = response.headers.get("Content-Length", str(size))
    except HTTPError as error:
        error.close()
        raise
    except HTTPException as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    if announced != str(size):
        raise OSError(f"it ended after {size} of {announced} bytes")


def _reason(error: Exception) -> str:
    """What went wrong, without what a library wraps around it."""
    inner = getattr(error, "reason", None)
    if isinstance(inner, OSError):  # a URLError
        error = inner
    code = getattr(error, "code", None)
    if code is not None:  # an HTTPError
        return f"the server answers {code} ({inner})"
    return (getattr(error, "strerror", None) or f"{error}").lower() if isinstance(error, OSError) else f"{error}"


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
