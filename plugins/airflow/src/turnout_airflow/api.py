"""Airflow's REST API (v2), as far as it is needed, by the standard library alone."""

from __future__ import annotations

import contextlib
import json
import shlex
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from turnout.plugin_api import ConfigError, RunError
from turnout_airflow.placement import Placed
from turnout_airflow.settings import AirflowSettings

PATIENCE = 30.0
"""How many seconds a call may take."""
TRIES = 4
"""How often a call is made that Airflow fails at and that may be made again, as where its database is locked."""
PAUSE = 0.5
"""How many seconds lie between the first two; they double."""


class NotFound(RunError):
    """Airflow has no such thing."""


class Api:
    """A client of one Airflow. It signs in when it is refused without, and again when its token has expired.

    Raises:
        ConfigError: when the stack gives no URL, or one that is none, or a file of certificates that is none.
    """

    def __init__(self, settings: AirflowSettings) -> None:
        self._settings = settings
        self._token = settings.token
        self._url = settings.url.rstrip("/")
        if not self._url.startswith(("http://", "https://")):
            raise ConfigError(
                f"{settings.url!r} is not the URL of an Airflow"
                if settings.url
                else "the stack gives no URL of Airflow",
                fix="set orchestrator: {type: airflow, url: http://localhost:8080}; it is where runs are started",
            )
        self._tls = _trust(settings.ca) if self._url.startswith("https") else None

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call ``/api/v2`` and return the answer's document.

        Raises:
            NotFound: for a 404.
            ConfigError: when nothing answers, or what answers refuses these credentials or this request.
            RunError: for a failure of Airflow's own.
        """
        signed, failures = False, 0
        while True:
            try:
                return self._send(method, f"/api/v2{path}", body)
            except urllib.error.HTTPError as error:
                with error:
                    if error.code == 401 and not signed and not self._settings.token:
                        signed, self._token = True, self._sign_in() if self._settings.user else self._everybodys()
                    elif error.code >= 500 and failures < TRIES - 1 and method != "POST":
                        time.sleep(PAUSE * 2**failures)
                        failures += 1
                    else:
                        raise self._refusal(error, method, path) from None

    def start(self, dag: str, engine_run: str, conf: Any) -> None:
        """Start a run of that id, exactly once: where Airflow fails, it is asked whether there is one now.

        Raises:
            ConfigError, RunError: as :meth:`call`.
        """
        path = f"/dags/{dag}/dagRuns"
        for failures in range(TRIES):
            try:
                self.call("POST", path, {"dag_run_id": engine_run, "logical_date": None, "conf": conf})
            except NotFound:
                raise
            except RunError:
                if failures == TRIES - 1:
                    raise
                time.sleep(PAUSE * 2**failures)
                with contextlib.suppress(NotFound):
                    self.call("GET", f"{path}/{engine_run}")
                    return
            else:
                return

    def _sign_in(self) -> str:
        self._token = ""
        given = {"username": self._settings.user, "password": self._settings.password}
        try:
            return str(self._send("POST", "/auth/token", given)["access_token"])
        except urllib.error.HTTPError as error:
            raise self._refusal(error, "POST", "/auth/token") from None
        except (KeyError, TypeError):
            raise ConfigError(f"{self._url} gives no token for user and password", fix="set `token` instead") from None

    def _everybodys(self) -> str:
        """The token that an Airflow without sign-in gives to everybody who asks; 3.1 wants it, others need none."""
        try:
            return str(self._send("GET", "/auth/token", None)["access_token"])
        except urllib.error.HTTPError as error:
            error.close()
        except (ConfigError, KeyError, TypeError):
            pass
        return ""

    def _send(self, method: str, path: str, body: Any) -> Any:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._url}{path}", data, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE, context=self._tls) as answer:  # noqa: S310
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError:
            raise
        except OSError as error:
            reason = getattr(error, "reason", error)
            untrusted = isinstance(reason, ssl.SSLCertVerificationError)
            raise ConfigError(
                f"{self._url} shows a certificate that is not trusted here"
                if untrusted
                else f"no Airflow answers at {self._url}",
                why=str(reason),
                fix="set the stack's orchestrator.ca to the file of the certificate of who signed it"
                if untrusted
                else "check the stack's orchestrator.url, and that the API server runs",
            ) from error
        except ValueError as error:
            raise ConfigError(
                f"what answers at {self._url} is no Airflow: {path} gives no JSON",
                fix="check the stack's orchestrator.url",
            ) from error

    def _refusal(self, error: urllib.error.HTTPError, method: str, path: str) -> Exception:
        detail = _detail(error.read())
        if error.code == 404:
            return NotFound(f"Airflow at {self._url} has no {path.partition('?')[0]}", why=detail)
        if error.code in {401, 403}:
            return ConfigError(
                f"Airflow at {self._url} refuses to {method} {path.partition('?')[0]} ({error.code})",
                why=detail,
                fix="set `token`, or `user` and `password`, of an Airflow user who may do that",
            )
        if error.code in {400, 405, 409, 422}:
            return ConfigError(
                f"Airflow at {self._url} does not accept {method} {path.partition('?')[0]} ({error.code})",
                why=detail,
                fix="give parameters that fit, and an Airflow of version 3.0 or newer",
            )
        return RunError(
            f"Airflow at {self._url} failed at {method} {path.partition('?')[0]} ({error.code})",
            why=detail,
            fix="see the log of its API server",
        )

    def see_pool(self, pool: str, slots: int, step: str) -> None:
        """Check that a pool can ever give so many slots, where these credentials may ask for that.

        Raises:
            RunError: when it cannot: Airflow would never start the step, and say so nowhere but in a log.
        """
        try:
            there = self.call("GET", f"/pools/{urllib.parse.quote(pool, safe='')}")["slots"]
        except NotFound:
            what = f"Airflow has no pool {pool!r}, which the step {step} takes a slot of"
        except ConfigError:
            return
        else:
            if slots <= there or there < 0:
                return
            what = f"the step {step} takes {slots} slots of the pool {pool!r}, which has {there}"
        raise RunError(
            what,
            why="Airflow would never start it",
            fix=f"make the pool: airflow pools set {shlex.quote(pool)} {slots} turnout; or name another in the stack",
        )

    def wait_parsed(self, dag: str, version: str, placed: Placed, seconds: float) -> None:
        """Wait until Airflow has parsed the DAG of that version, which it bears as a tag, and has not lost it since.

        A file that Airflow could not import before may be parsed as it was while it is written anew: what is said of
        that must be said twice.

        Raises:
            RunError: when Airflow says that it cannot import the file, or does not get to it in time.
        """
        deadline = time.monotonic() + seconds
        broken: bool | None = None
        said: set[str] = set()
        while True:
            try:
                found = self.call("GET", f"/dags/{dag}")
            except NotFound:
                found = None
            if found and not found["is_stale"] and any(tag["name"] == version for tag in found["tags"]):
                return
            late = time.monotonic() > deadline
            error = self._import_error(placed)
            broken = error is not None if broken is None else broken
            if error is not None and _seconds(error["timestamp"]) >= placed.written:
                said.add(error["timestamp"])
                if late or len(said) > broken:
                    raise _unimportable(error)
            if late:
                raise RunError(
                    f"Airflow has not parsed {'the new version of ' if found else ''}the DAG {dag} in {seconds:g} s",
                    why=f"the file lies in {placed.address}",
                    fix="check that its DAG processor runs and reads dags_folder; raise `parse_timeout`, or lower its"
                    " [dag_processor] refresh_interval and min_file_process_interval",
                )
            time.sleep(0.5)

    def _import_error(self, placed: Placed) -> dict[str, Any] | None:
        """What Airflow said last of a file that it cannot import."""
        errors = self.call("GET", "/importErrors?limit=100&order_by=-timestamp")["import_errors"]
        return next((error for error in errors if Path(error["filename"] or "").parent.name == placed.name), None)


def _unimportable(error: dict[str, Any]) -> RunError:
    return RunError(
        f"Airflow cannot import {error['filename']}",
        why=error["stack_trace"].strip().splitlines()[-1],
        fix="see its page of import errors; Airflow must be as new as the file's first line says, and have what it"
        " imports, such as the modules of callbacks in its plugins folder",
    )


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


def _seconds(moment: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()


def _detail(body: bytes) -> str | None:
    """What Airflow says, of a JSON answer its ``detail``."""
    text = body.decode(errors="replace").strip()
    try:
        detail = json.loads(text)["detail"]
    except (ValueError, KeyError, TypeError):
        return text[:500] or None
    return detail if isinstance(detail, str) else json.dumps(detail)[:1000]
