"""Airflow's REST API (v2), as far as it is needed."""

from __future__ import annotations

import contextlib
import shlex
import time
import urllib.error
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from turnout.plugin_api import ConfigError, HttpApi, NotFound, Placed, Plan, RunError, options_of, parse_time
from turnout_airflow.settings import AirflowSettings, TaskOptions


class Api(HttpApi):
    """A client of one Airflow. It signs in when it is refused without, and again when its token has expired.

    Raises:
        ConfigError: when the stack gives no URL, or one that is none, or a file of certificates that is none.
    """

    engine = "Airflow"
    root = "/api/v2"
    fix_none = "set orchestrator: {type: airflow, url: http://localhost:8080}; it is where runs are started"
    fix_access = "set `token`, or `user` and `password`, of an Airflow user who may do that"
    fix_request = "give parameters that fit, and an Airflow of version 3.0 or newer"

    def __init__(self, settings: AirflowSettings) -> None:
        super().__init__(settings.url, settings.ca)
        self._settings = settings
        self._token = settings.token

    def headers(self) -> Mapping[str, str]:
        """The token, where there is one."""
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def sign_in(self) -> bool:
        """Get a token for the stack's user, or the one that an Airflow without sign-in gives to everybody who asks.

        Airflow 3.1 wants the latter, others need none.
        """
        settings, self._token = self._settings, self._settings.token
        if settings.user and not settings.token:
            self._token = self._given("POST", {"username": settings.user, "password": settings.password})
        elif not settings.token:
            with contextlib.suppress(ConfigError, RunError):
                self._token = self._given("GET")
        return self._token != settings.token

    def _given(self, method: str, credentials: Any = None) -> str:
        try:
            return str(self.send(method, "/auth/token", credentials)["access_token"])
        except urllib.error.HTTPError as error:
            with error:
                raise self.refusal(error, method, "/auth/token") from None
        except (KeyError, TypeError):
            raise ConfigError(f"{self.url} gives no token for user and password", fix="set `token` instead") from None

    def start(self, dag: str, engine_run: str, conf: Any) -> None:
        """Start a run of that id, exactly once.

        Raises:
            ConfigError, RunError: as :meth:`call`.
        """
        path = f"/dags/{dag}/dagRuns"
        self.create(path, {"dag_run_id": engine_run, "logical_date": None, "conf": conf}, f"{path}/{engine_run}")

    def see_pools(self, plan: Plan) -> None:
        """Check that the pools can ever give the slots that steps take, where these credentials may ask for that.

        Each is asked for once, with the most slots that a step takes of it.

        Raises:
            RunError: when one cannot: Airflow would never start the step, and say so nowhere but in a log.
        """
        wanted: dict[str, tuple[int, str]] = {}
        for step in plan.steps:
            options = options_of(step, TaskOptions)
            if options.pool and options.pool_slots > wanted.get(options.pool, (0, ""))[0]:
                wanted[options.pool] = options.pool_slots, step.name
        for pool, (slots, step_name) in wanted.items():
            try:
                there = self.call("GET", f"/pools/{urllib.parse.quote(pool, safe='')}")["slots"]
            except NotFound:
                what = f"Airflow has no pool {pool!r}, which the step {step_name} takes a slot of"
            except ConfigError:
                continue
            else:
                if slots <= there or there < 0:
                    continue
                what = f"the step {step_name} takes {slots} slots of the pool {pool!r}, which has {there}"
            make = f"airflow pools set {shlex.quote(pool)} {slots} turnout"
            fix = f"make the pool: {make}; or name another in the stack"
            raise RunError(what, why="Airflow would never start it", fix=fix)

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
            if error is not None and parse_time(error["timestamp"]).timestamp() >= placed.written:
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
