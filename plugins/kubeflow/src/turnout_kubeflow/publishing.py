"""Publishing on a server of Kubeflow Pipelines: versions of a pipeline, and the recurring run of its schedule."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from turnout.plugin_api import Plan, TurnoutError, Upload, digest, digest_of, options_of, parse_time
from turnout_kubeflow.options import PipelineOptions
from turnout_kubeflow.pipeline import names
from turnout_kubeflow.remote import PAGE, Server, page
from turnout_kubeflow.schedules import Recurrence, begin
from turnout_kubeflow.settings import KubeflowSettings


class Publication:
    """What is published of a pipeline. All of it is found again by its name."""

    def __init__(self, server: Server, settings: KubeflowSettings, plan: Plan) -> None:
        self._server = server
        self._settings = settings
        self._plan = plan
        self._name = published_name(plan)

    def place(self, document: bytes, when: Recurrence | None, arguments: dict[str, Any]) -> str:
        """Upload what is not there, and let Kubeflow start runs of it; the same again changes nothing.

        Args:
            when: the schedule; None for none, an earlier one is then deleted.
            arguments: the inputs of the runs by schedule.
        """
        pipeline = self._pipeline() or self._make()
        version = self._version(pipeline, document)
        earlier = self._recurring()
        kept = None if when is None else self._recur(when, pipeline, version, arguments, earlier)
        for one in earlier:
            if one["recurring_run_id"] != kept:
                self._server.remove(_path(one))
        return page(self._settings, f"pipelines/details/{pipeline}")

    def remove(self) -> str:
        """Delete the schedule, the versions that were published, and the pipeline if nobody else has any of it."""
        server = self._server
        for one in self._recurring():
            server.remove(_path(one))
        pipeline = self._pipeline()
        if pipeline is None:
            return page(self._settings, "pipelines")
        versions = server.newest(f"/pipelines/{pipeline}/versions")
        ours = [one for one in versions if one["display_name"].startswith(self._prefix)]
        for one in ours:
            server.remove(f"/pipelines/{pipeline}/versions/{one['pipeline_version_id']}")
        if len(ours) == len(versions) < PAGE:
            server.remove(f"/pipelines/{pipeline}")
        return page(self._settings, f"pipelines/details/{pipeline}")

    @property
    def _prefix(self) -> str:
        """What the names of our versions begin with; a part of a digest follows."""
        return f"{names().take(self._plan.name)}-"

    def _pipeline(self) -> str | None:
        return next((one["pipeline_id"] for one in self._server.newest("/pipelines", name=self._name)), None)

    def _make(self) -> str:
        namespace, doc = self._server.namespace, self._plan.doc or None
        made = self._server.make("/pipelines", display_name=self._name, description=doc, namespace=namespace)
        return str(made["pipeline_id"])

    def _version(self, pipeline: str, document: bytes) -> str:
        """The version that holds the document, uploaded if there is none."""
        name = f"{self._prefix}{digest(document)[:12]}"
        there = self._server.newest(f"/pipelines/{pipeline}/versions", name=name)
        if there:
            return str(there[0]["pipeline_version_id"])
        upload, query = Upload("uploadfile", "pipeline.yaml", document), {"name": name, "pipelineid": pipeline}
        made = self._server.call("POST", "/pipelines/upload_version", upload, query=query)
        return str(made["pipeline_version_id"])

    def _recurring(self) -> list[dict[str, Any]]:
        return self._server.newest("/recurringruns", name=self._name)

    def _recur(
        self, when: Recurrence, pipeline: str, version: str, arguments: dict[str, Any], earlier: list[dict[str, Any]]
    ) -> str:
        """The recurring run of a version: the one that there is, else a new one, in the place of earlier ones.

        Those rest while it is made: no time is served by two. Where it cannot be made, they go on.
        """
        server = self._server
        kind, trigger = when.trigger
        fields: dict[str, Any] = {
            "experiment_id": server.experiment(),
            "display_name": self._name,
            "pipeline_version_reference": {"pipeline_id": pipeline, "pipeline_version_id": version},
            "runtime_config": {"parameters": arguments},
            "no_catchup": not when.catchup,
            "max_concurrency": when.concurrency,
            "service_account": self._settings.service_account or None,
        }
        told = digest_of([fields, trigger, when.start])[:12]
        fields["description"] = f"Made by turnout from the plan {self._plan.digest}: {told}"
        active = [one for one in earlier if one["mode"] == "ENABLE"]
        for one in earlier:
            if one["description"] == fields["description"]:
                if one not in active:
                    self._switch([one], "enable")
                return str(one["recurring_run_id"])
        self._switch(active, "disable")
        try:
            start = begin(when, datetime.now(timezone.utc), self._last(active), _moment(active, "created_at", min))
            if start is not None:
                trigger["start_time"] = start.strftime("%Y-%m-%dT%H:%M:%SZ")
            made = server.make("/recurringruns", **fields, mode="ENABLE", trigger={kind: trigger})
        except TurnoutError:
            with contextlib.suppress(TurnoutError):
                self._switch(active, "enable")
            raise
        return str(made["recurring_run_id"])

    def _switch(self, recurring: Iterable[dict[str, Any]], how: str) -> None:
        for one in recurring:
            self._server.call("POST", f"{_path(one)}:{how}", again=True)

    def _last(self, earlier: list[dict[str, Any]]) -> datetime | None:
        """The time of the last run by those schedules, if it is among the newest runs."""
        if not earlier:
            return None
        ids = {one["recurring_run_id"] for one in earlier}
        runs = self._server.newest("/runs", sort_by="created_at desc")
        return _moment([run for run in runs if run.get("recurring_run_id") in ids], "scheduled_at", max)


def published_name(plan: Plan) -> str:
    """The name on the server of what is published of a pipeline."""
    own = "" if plan.instance == "default" else f".{plan.instance}"
    return options_of(plan, PipelineOptions).name or f"{plan.project}.{plan.name}{own}"


def _path(recurring: dict[str, Any]) -> str:
    return f"/recurringruns/{recurring['recurring_run_id']}"


def _moment(things: list[dict[str, Any]], field: str, which: Any) -> datetime | None:
    """The least or greatest time in a field that not all have."""
    found: datetime | None = which((parse_time(thing[field]) for thing in things if thing.get(field)), default=None)
    return found
