"""The store in a bucket: S3 and what speaks its protocol, Google Cloud Storage, Azure; by conditional puts."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from turnout.base.errors import ConfigError, PluginError
from turnout.components.artifact_store import ArtifactStore, Entry
from turnout.components.base import Config, Secret, Url
from turnout.stores import cloud_errors, keys
from turnout.stores.worker_settings import is_reference, reveal, to_environment

SINGLE_PUT = 16 << 20
"""Files up to this size are created by one conditional request; larger ones in parts."""

_PART = 16 << 20
_PARTS = 9_000  # S3 takes 10,000
_CONNECTIONS = 4
_WRITER = "writer"
_EXTRAS = {"gs": "gs", "gcs": "gs", "s3": "s3", "s3a": "s3"}
_OF_CONNECTIONS = ("allow_invalid_certificates", "http2_only", "proxy_excludes", "root_certificate", "user_agent")
_SECRET_WORDS = ("secret", "token", "password", "access_key", "account_key", "sas", "customer_key", "service_account")


class CloudConfig(Config, frozen=True):
    """The settings of a store in a bucket."""

    root: Annotated[
        str, msgspec.Meta(description="The URL: s3://bucket/folder, gs://bucket/folder, abfs://container@account….")
    ]
    endpoint: Annotated[
        Url, msgspec.Meta(description="The server's URL, where it is not the cloud's own: http://localhost:9000.")
    ] = ""
    region: Annotated[str, msgspec.Meta(description="The bucket's region (S3).")] = ""
    credentials: Annotated[
        Secret,
        msgspec.Meta(
            description="A reference to a secret that holds a JSON object, for S3 "
            '{"access_key_id": …, "secret_access_key": …}; left out, the environment or the machine\'s role counts.'
        ),
    ] = ""
    allow_http: Annotated[bool, msgspec.Meta(description="Whether the endpoint may be a plain http:// URL.")] = False
    timeout: Annotated[float, msgspec.Meta(gt=0, description="Seconds to wait for an answer.")] = 60.0
    retries: Annotated[int, msgspec.Meta(ge=0, description="How often a failed request is sent again.")] = 5
    options: Annotated[
        dict[str, str | bool | int],
        msgspec.Meta(description="Further settings of obstore's store for this scheme: sse_kms_key_id, …."),
    ] = msgspec.field(default_factory=dict)


class CloudStore(ArtifactStore[CloudConfig]):
    """Objects in a bucket. The bucket's server decides who of several writers wins, by ``If-None-Match``."""

    name = "cloud"
    schemes = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "azure", "adl")
    Config = CloudConfig

    @property
    def extra(self) -> str:
        """The extra that brings obstore, by the root's scheme."""
        return {"s3": "s3", "gs": "gs", "gcs": "gs"}.get(urlsplit(self.config.root).scheme, "abfs")

    @property
    def address(self) -> str:
        """The root's URL."""
        url = urlsplit(self.config.root)
        host = url.netloc.rpartition("@")
        user = host[0].partition(":")[0]  # abfs://container@account: the container is no secret
        return urlunsplit((url.scheme, f"{user}{host[1]}{host[2]}", url.path.rstrip("/"), "", ""))

    def environment(self) -> dict[str, str]:
        """``TURNOUT_STORE``: the URL, or a JSON object where there are more settings.

        Credentials go by reference; those given as a value are left out, and the worker takes its own.
        """
        config = self.config
        if not is_reference(config.credentials):
            config = msgspec.structs.replace(config, credentials="")
        self._check(config)
        return to_environment(self.name, config, self.address, self.secrets)

    def read(self, key: str) -> bytes | None:
        """One GET."""
        keys.check(key)
        obstore = self._obstore
        with self._explained("read", key):
            try:
                return bytes(obstore.get(self._bucket, key).bytes())
            except FileNotFoundError as error:
                self._check_bucket(error)
                return None

    def create(self, key: str, data: bytes) -> bool:
        """One conditional PUT."""
        keys.check(key)
        obstore = self._obstore
        writer = uuid.uuid4().hex
        with self._explained("write", key):
            try:
                obstore.put(self._bucket, key, data, mode="create", use_multipart=False, attributes={_WRITER: writer})
            except obstore.exceptions.AlreadyExistsError:
                return self._is_by(writer, key)
            return True

    def _is_by(self, writer: str, key: str) -> bool:
        """Whether the object that is there is this call's own: a request that is sent again after its answer was
        lost finds what it created itself."""
        obstore = self._obstore
        try:
            found = obstore.get(self._bucket, key, options={"head": True}).attributes
        except FileNotFoundError:
            return False
        return bool(found.get(_WRITER) == writer)

    def create_from(self, key: str, path: Path) -> bool:
        """A conditional PUT, or for more than 16 MiB an upload in parts, visible when it is complete."""
        keys.check(key)
        obstore = self._obstore
        with self._explained("write", key):
            size = path.stat().st_size
            if size <= SINGLE_PUT:
                return self.create(key, path.read_bytes())
            if self.exists(key):
                return False
            part = max(_PART, size // _PARTS + 1)
            obstore.put(self._bucket, key, path, use_multipart=True, chunk_size=part, max_concurrency=_CONNECTIONS)
            return True

    def fetch(self, key: str, path: Path) -> bool:
        """One GET, streamed."""
        keys.check(key)
        obstore = self._obstore
        with self._explained("copy", key):
            try:
                result = obstore.get(self._bucket, key)
            except FileNotFoundError as error:
                self._check_bucket(error)
                return False
            try:
                with path.open("wb") as copy:
                    for chunk in result.stream(min_chunk_size=_PART):
                        copy.write(chunk)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            return True

    def exists(self, key: str) -> bool:
        """One HEAD where there is an object, and a GET where there is none."""
        keys.check(key)
        obstore = self._obstore
        with self._explained("find", key):
            try:
                obstore.head(self._bucket, key)
            except FileNotFoundError:
                return self.read(key) is not None  # a HEAD cannot tell a missing object from a missing bucket
            return True

    def list(self, prefix: str) -> Iterator[Entry]:
        """All objects below the prefix, in order of their keys."""
        keys.check_prefix(prefix)
        obstore = self._obstore
        with self._explained("list", prefix):
            found = [
                Entry(item["path"], item["size"], item["last_modified"].timestamp())
                for chunk in obstore.list(self._bucket, prefix or None)
                for item in chunk
            ]
        yield from sorted(found, key=lambda entry: entry.key)

    def children(self, prefix: str) -> Sequence[str]:
        """The names below the prefix, as far as the next slash."""
        keys.check_prefix(prefix)
        obstore = self._obstore
        with self._explained("list", prefix):
            found = obstore.list_with_delimiter(self._bucket, prefix or None)
        paths = [*found["common_prefixes"], *(item["path"] for item in found["objects"])]
        return sorted({path.rstrip("/").rpartition("/")[2] for path in paths})

    def delete(self, key: str) -> None:
        """One DELETE."""
        keys.check(key)
        obstore = self._obstore
        with self._explained("delete", key):
            try:
                obstore.delete(self._bucket, key)
            except FileNotFoundError as error:
                self._check_bucket(error)

    @cached_property
    def _obstore(self) -> Any:
        """The library, imported when the store is first used."""
        try:
            import obstore
            import obstore.store
        except ImportError as error:
            extra = _EXTRAS.get(urlsplit(self.config.root).scheme, "abfs")
            raise PluginError(
                f"the artifact store {self.address} needs the package obstore",
                fix=f"pip install 'turnout[{extra}]'",
            ) from error
        return obstore

    @cached_property
    def _bucket(self) -> Any:
        """The client, made when the store is first used; nothing is sent yet."""
        config = self.config
        self._check(config)
        root = self.address.replace("gcs://", "gs://", 1)
        options = {name: value for name, value in config.options.items() if name not in _OF_CONNECTIONS}
        if config.endpoint:
            options["base_url" if root.startswith("gs://") else "endpoint"] = config.endpoint
        if config.region:
            options["region"] = config.region
        options |= self._credentials()
        seconds = timedelta(seconds=config.timeout)
        client: dict[str, Any] = {
            "connect_timeout": min(seconds, timedelta(seconds=5)),
            "read_timeout": seconds,
            "timeout": "24h",  # of a whole object, however large: what must not take long is each answer
            "allow_http": config.allow_http or os.environ.get("AWS_ALLOW_HTTP", "").lower() in {"1", "true"},
        }
        client |= {name: value for name, value in config.options.items() if name in _OF_CONNECTIONS}
        retry: Any = {
            "max_retries": config.retries,
            "retry_timeout": seconds,
            "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=5), "base": 2},
        }
        with self._explained("open", ""):
            try:
                return self._obstore.store.from_url(root, config=options, client_options=client, retry_config=retry)
            except BaseException as error:
                if type(error).__name__ == "PanicException":  # of the library, for some settings in the wrong place
                    raise self._obstore.exceptions.UnknownConfigurationKeyError from None
                raise

    def _credentials(self) -> dict[str, str]:
        if not self.config.credentials:
            return {}
        try:
            return msgspec.json.decode(reveal(self.config.credentials, self.resolve), type=dict[str, str])
        except (msgspec.DecodeError, msgspec.ValidationError):
            raise ConfigError(
                f"the credentials of the artifact store {self.address} are not a JSON object of strings",
                fix='store the secret as {"access_key_id": "…", "secret_access_key": "…"}',
            ) from None

    def _check(self, config: CloudConfig) -> None:
        url = urlsplit(config.root)
        if url.query or url.fragment or ":" in url.netloc.rpartition("@")[0]:
            raise ConfigError(
                f"the artifact store's root {self.address} has more in its URL than a bucket and a folder",
                why="a URL is shown in messages and records, so it must not hold credentials",
                fix="leave it out, and give credentials by the setting 'credentials'",
            )
        if config.endpoint.startswith("http://") and not config.allow_http:
            raise ConfigError(
                f"the artifact store's endpoint {config.endpoint} is not encrypted",
                fix="use https://, or set allow_http: true",
            )
        for option in config.options:
            if any(word in option.lower() for word in _SECRET_WORDS):
                raise ConfigError(
                    f"the artifact store's option {option!r} holds a credential",
                    fix="put it into the JSON object that the setting 'credentials' refers to",
                )

    @contextmanager
    def _explained(self, action: str, key: str) -> Iterator[None]:
        """Turn the errors of obstore and of the local disk into ours; texts of theirs may hold signed URLs."""
        obstore = self._obstore
        try:
            yield
        except (obstore.exceptions.BaseError, OSError, ValueError) as error:
            server = self.config.endpoint or "the cloud's own server"
            raise cloud_errors.explain(error, action, key, self.address, server) from None

    def _check_bucket(self, error: FileNotFoundError) -> None:
        """Raise the error again where it is the bucket that is missing."""
        if cloud_errors.is_about_bucket(error):
            raise error
