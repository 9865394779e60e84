"""An engine's API: JSON over HTTP by the standard library, with retries, signing in, TLS, and errors with fixes."""

from __future__ import annotations

import contextlib
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from turnout.base.errors import ConfigError, RunError

Query = Mapping[str, "str | int | None"]
PATIENCE = 30.0
"""Seconds that a call may take."""
TRIES = 4
"""How often a call is made that the engine fails at and that may be made again."""
PAUSE = 0.5
"""Seconds between the first two; they double."""


class NotFound(RunError):
    """The engine has no such thing."""


class Away(RunError):
    """The engine, which has answered before, does not."""


class HttpApi:
    """A client of one engine. A subclass says what the engine is called, how it is signed in, and what mends an error.

    Raises:
        ConfigError: for a URL that is none, or a file of certificates that is none.
    """

    engine: ClassVar[str]
    """What the engine is called in messages."""
    root: ClassVar[str] = ""
    """What the paths of calls lie under."""
    fix_none: ClassVar[str] = "set the stack's orchestrator.url; it is where runs are started"
    """What mends a stack without a URL."""
    fix_url: ClassVar[str] = "check the stack's orchestrator.url, and that the API server runs"
    """What mends a URL at which the engine does not answer."""
    fix_access: ClassVar[str]
    """What mends credentials that the engine refuses."""
    fix_request: ClassVar[str]
    """What mends a request that the engine does not accept."""
    fix_absent: ClassVar[str | None] = None
    """What mends what is not there."""
    fix_failure: ClassVar[str] = "see the log of its API server"

    def __init__(self, url: str, ca: str = "") -> None:
        self.url = url.rstrip("/")
        self._answered = False
        if not self.url.startswith(("http://", "https://")):
            what = f"{url!r} is not the URL of {self._one}" if url else f"the stack gives no URL of {self.engine}"
            raise ConfigError(what, fix=self.fix_none)
        handlers = [urllib.request.HTTPSHandler(context=_trust(ca))] if self.url.startswith("https") else []
        self._opener = urllib.request.build_opener(_Redirects, *handlers)

    def headers(self) -> Mapping[str, str]:
        """What tells the engine who asks; called for each request."""
        return {}

    def sign_in(self) -> bool:
        """Sign in, as the engine has refused to answer without; return whether to ask it again."""
        return False

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Query = MappingProxyType({}),
        again: bool | None = None,
    ) -> Any:
        """Make a call and return the answer's document.

        Args:
            body: what JSON can hold, or the :class:`Upload` of a file.
            query: what follows the path, but for what is None.
            again: whether the call may be made again where the engine fails; by default, if it is no ``POST``.

        Raises:
            NotFound: for a 404.
            ConfigError: when nothing answers, or what answers refuses these credentials or this request.
            RunError: for a failure of the engine's own, or where it has answered before and now does not.
        """
        text = urllib.parse.urlencode({name: value for name, value in query.items() if value is not None})
        path = f"{path}?{text}" if text else path
        tries = TRIES if (method != "POST" if again is None else again) else 1
        signed = False
        while True:
            try:
                return self.send(method, f"{self.root}{path}", body)
            except Away:
                tries -= 1
                if not tries:
                    raise
            except urllib.error.HTTPError as error:
                with error:
                    if error.code == 401 and not signed and self.sign_in():
                        signed = True
                        continue
                    tries = tries - 1 if error.code >= 500 else 0
                    if not tries:
                        raise self.refusal(error, method, path) from None
            time.sleep(PAUSE * 2 ** (TRIES - 1 - tries))

    def create(self, path: str, body: Any, made: str) -> None:
        """Make one thing, once: where the engine fails, it is asked whether *made*, the thing's path, is there now.

        Raises:
            NotFound, ConfigError, RunError: as :meth:`call`.
        """
        for failures in range(TRIES):
            try:
                self.call("POST", path, body)
            except NotFound:
                raise
            except RunError:
                if failures == TRIES - 1:
                    raise
                time.sleep(PAUSE * 2**failures)
                with contextlib.suppress(NotFound):
                    self.call("GET", made)
                    return
            else:
                return

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request, to a path of the URL itself.

        Raises:
            urllib.error.HTTPError: as the engine answers; to be closed.
            ConfigError: when nothing answers, or something else than the engine.
            Away: when the engine has answered before, and does not.
        """
        headers = {"Accept": "application/json", "Content-Type": "application/json", **self.headers()}
        data = None if body is None else json.dumps(body).encode() if not isinstance(body, Upload) else body.data
        if isinstance(body, Upload):
            headers["Content-Type"] = body.content_type
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)  # noqa: S310
        try:
            with self._opener.open(request, timeout=PATIENCE) as answer:
                self._answered = True
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError:
            self._answered = True
            raise
        except OSError as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise ConfigError(
                    f"{self.url} shows a certificate that is not trusted here",
                    why=str(reason),
                    fix="set the stack's orchestrator.ca to the file of the certificate of who signed it",
                ) from error
            what, kind = f"no {self.engine} answers at {self.url}", Away if self._answered else ConfigError
            raise kind(what, why=str(reason), fix=self.fix_url) from error
        except ValueError as error:
            raise ConfigError(
                f"what answers at {self.url} is no {self.engine}: {path.partition('?')[0]} gives no JSON",
                fix=self.fix_url,
            ) from error

    def refusal(self, error: urllib.error.HTTPError, method: str, path: str) -> Exception:
        """The error for an answer that is none: what is wrong, and what mends it."""
        detail, path = _detail(error.read()), path.partition("?")[0]
        whose = f"{self.engine} at {self.url}"
        if error.code == 404:
            return NotFound(f"{whose} has no {path}", why=detail, fix=self.fix_absent)
        if error.code in {401, 403}:
            what = f"{whose} refuses to {method} {path} ({error.code})"
            return ConfigError(what, why=detail, fix=self.fix_access)
        if error.code in {400, 405, 409, 422}:
            what = f"{whose} does not accept {method} {path} ({error.code})"
            return ConfigError(what, why=detail, fix=self.fix_request)
        return RunError(f"{whose} failed at {method} {path} ({error.code})", why=detail, fix=self.fix_failure)

    @property
    def _one(self) -> str:
        return f"{'an' if self.engine[0] in 'AEIOU' else 'a'} {self.engine}"


class Upload:
    """The body of a request that uploads a file, as a form does.

    Args:
        field: the form's name for it.
    """

    def __init__(self, field: str, name: str, data: bytes) -> None:
        boundary = uuid.uuid4().hex
        self.content_type = f"multipart/form-data; boundary={boundary}"
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
        self.data = b"".join([head.encode(), data, f"\r\n--{boundary}--\r\n".encode()])


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows where an answer leads, and tells nobody else who asks."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and _origin(newurl) != _origin(req.full_url):
            for name in ("Authorization", "Cookie"):
                request.remove_header(name)
        return request


def _trust(file: str) -> ssl.SSLContext:
    """What is trusted: what the system trusts, and the certificates of *file*."""
    context = ssl.create_default_context()
    if file:
        try:
            context.load_verify_locations(file)
        except OSError as error:  # an SSLError is one
            raise ConfigError(
                f"{file} cannot be read as certificates",
                why=error.strerror or str(error),
                fix="set orchestrator.ca to a file of certificates in PEM form",
            ) from error
    return context


def _origin(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc


def _detail(body: bytes) -> str | None:
    """What the engine says: of a JSON answer what it calls so."""
    text = body.decode(errors="replace").strip()
    try:
        document = json.loads(text)
        detail = next(document[name] for name in ("detail", "message", "error") if document.get(name))
    except (ValueError, AttributeError, StopIteration):
        return text[:500] or None
    return detail if isinstance(detail, str) else json.dumps(detail)[:1000]
