"""Publishing on a server of Kubeflow Pipelines: versions of a pipeline, and the recurring run of its schedule."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timezone
from typing import Any

from turnout.plugin_api import Plan, TurnoutError, digest, digest_of, options_of
from turnout_kubeflow.names import Names
from turnout_kubeflow.options import PipelineOptions
from turnout_kubeflow.remote import Server, file_of
from turnout_kubeflow.schedules import Recurrence, begin
from turnout_kubeflow.settings import KubeflowSettings

_PAGE = 100


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
        kept = [] if when is None else [self._recur(when, pipeline, version, arguments, earlier)]
        for one in earlier:
            if one.recurring_run_id not in kept:
                self._delete(one)
        return self._server.page(f"pipelines/details/{pipeline}")

    def remove(self) -> str:
        """Delete the schedule, the versions that were published, and the pipeline if nobody else has any of it."""
        for one in self._recurring():
            self._delete(one)
        pipeline = self._pipeline()
        if pipeline is None:
            return self._server.page("pipelines")
        client = self._server.client
        versions = self._server.ask(client.list_pipeline_versions, pipeline, page_size=_PAGE).pipeline_versions or []
        ours = [one for one in versions if one.display_name.startswith(self._prefix)]
        for one in ours:
            self._server.ask(client.delete_pipeline_version, pipeline, one.pipeline_version_id, absent=True)
        if len(ours) == len(versions) < _PAGE:
            self._server.ask(client.delete_pipeline, pipeline, absent=True)
        return self._server.page(f"pipelines/details/{pipeline}")

    @property
    def _prefix(self) -> str:
        """What the names of our versions begin with; a part of a digest follows."""
        return f"{Names().take(self._plan.name)}-"

    def _pipeline(self) -> str | None:
        server = self._server
        found = server.ask(
            server.client.list_pipelines, page_size=_PAGE, namespace=server.namespace, filter=_called(self._name)
        ).pipelines
        return next((one.pipeline_id for one in found or [] if one.display_name == self._name), None)

    def _make(self) -> str:
        from kfp_server_api import V2beta1Pipeline

        body = V2beta1Pipeline(
            display_name=self._name, description=self._plan.doc or None, namespace=self._server.namespace
        )
        made = self._server.ask(self._server.client.pipelines.pipeline_service_create_pipeline, body, tries=1)
        return str(made.pipeline_id)

    def _version(self, pipeline: str, document: bytes) -> str:
        """The version that holds the document, uploaded if there is none."""
        server, client, name = self._server, self._server.client, f"{self._prefix}{digest(document)[:12]}"
        found = server.ask(client.list_pipeline_versions, pipeline, page_size=_PAGE, filter=_called(name))
        for one in found.pipeline_versions or []:
            if one.display_name == name:
                return str(one.pipeline_version_id)
        with file_of(document) as path:
            made = server.ask(client.upload_pipeline_version, path, name, pipeline_id=pipeline, tries=1)
        return str(made.pipeline_version_id)

    def _recurring(self) -> list[Any]:
        server = self._server
        found = server.ask(
            server.client.list_recurring_runs,
            page_size=_PAGE,
            namespace=server.namespace,
            filter=_called(self._name),
        ).recurring_runs
        return [one for one in found or [] if one.display_name == self._name]

    def _recur(
        self, when: Recurrence, pipeline: str, version: str, arguments: dict[str, Any], earlier: list[Any]
    ) -> str:
        """The recurring run of a version: the one that there is, else a new one, in the place of earlier ones.

        Those rest while it is made: no time is served by two. Where it cannot be made, they go on.
        """
        server, client, settings = self._server, self._server.client, self._settings
        given: dict[str, Any] = {
            "experiment_id": server.experiment(),
            "job_name": self._name,
            "pipeline_id": pipeline,
            "version_id": version,
            "params": arguments,
            "cron_expression": when.cron,
            "interval_second": when.seconds,
            "no_catchup": not when.catchup,
            "max_concurrency": when.concurrency,
            "service_account": settings.service_account or None,
        }
        description = f"Made by turnout from the plan {self._plan.digest}: {digest_of([given, when.start])[:12]}"
        active = [one for one in earlier if one.mode == "ENABLE"]
        for one in earlier:
            if one.description == description:
                if one not in active:
                    server.ask(client.enable_recurring_run, one.recurring_run_id)
                return str(one.recurring_run_id)
        for one in active:
            server.ask(client.disable_recurring_run, one.recurring_run_id)
        try:
            start = begin(when, datetime.now(timezone.utc), self._last(active), self._since(active))
            given["start_time"] = None if start is None else start.strftime("%Y-%m-%dT%H:%M:%SZ")
            made = server.ask(client.create_recurring_run, description=description, tries=1, **given)
        except TurnoutError:
            for one in active:
                with contextlib.suppress(TurnoutError):
                    server.ask(client.enable_recurring_run, one.recurring_run_id)
            raise
        return str(made.recurring_run_id)

    def _last(self, earlier: list[Any]) -> datetime | None:
        """The time of the last run by those schedules, if it is among the newest runs."""
        if not earlier:
            return None
        ids = {one.recurring_run_id for one in earlier}
        found = self._server.ask(
            self._server.client.list_runs,
            page_size=_PAGE,
            sort_by="created_at desc",
            namespace=self._server.namespace,
        )
        times = [one.scheduled_at for one in found.runs or [] if one.recurring_run_id in ids and one.scheduled_at]
        return max(times, default=None)

    @staticmethod
    def _since(earlier: list[Any]) -> datetime | None:
        return min((one.created_at for one in earlier if one.created_at), default=None)

    def _delete(self, one: Any) -> None:
        self._server.ask(self._server.client.delete_recurring_run, one.recurring_run_id, absent=True)


def published_name(plan: Plan) -> str:
    """The name on the server of what is published of a pipeline."""
    own = "" if plan.instance == "default" else f".{plan.instance}"
    return options_of(plan, PipelineOptions).name or f"{plan.project}.{plan.name}{own}"


def _called(name: str) -> str:
    """A filter for what has a name."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})
