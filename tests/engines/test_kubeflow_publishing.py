"""Publishing on a server of Kubeflow Pipelines: versions, recurring runs, and what is left of them. A stand-in again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from installed import need

from turnout.base.errors import PlanError, RunError, UnsupportedError
from turnout.model.plan import Plan
from turnout.model.spec import ParamSpec, Schedule
from turnout.model.types import ParamType
from turnout.testing.plans import sample_plan, sample_step

pytestmark = pytest.mark.filterwarnings("ignore")
NAME = "sample.sample"


@pytest.fixture
def server() -> Iterator[Any]:
    need("kfp", "2.17")
    from kubeflow_server import KubeflowServer

    with KubeflowServer() as server:
        yield server


def planned(when: Schedule | None, *params: ParamSpec, **more: Any) -> Plan:
    return sample_plan(sample_step("fit"), schedule=when, params=params, **more)


def orchestrator(server: Any, **settings: Any) -> Any:
    from turnout_kubeflow.orchestrator import KubeflowOrchestrator
    from turnout_kubeflow.settings import KubeflowSettings

    return KubeflowOrchestrator(KubeflowSettings(url=server.url, token=server.token, **settings))


def publish(server: Any, plan: Plan, **settings: Any) -> str:
    one = orchestrator(server, **settings)
    return str(one.publish(plan, one.compile(plan), None))


def test_publishing_makes_one_version_of_a_specification(server: Any) -> None:
    plan = planned(None, doc="What it does.")
    assert {publish(server, plan) for _ in range(2)} == {f"{server.url}/#/pipelines/details/pipeline-1"}
    assert [(one["display_name"], one["description"]) for one in server.pipelines.values()] == [(NAME, "What it does.")]
    assert len(server.versions) == 1
    publish(server, plan, image="python:3.12")
    assert len(server.versions) == 2, "another image is another version of the same plan"
    assert (server.runs, server.recurring) == ({}, {})


def test_a_schedule_is_a_recurring_run_of_the_version(server: Any) -> None:
    number = ParamSpec(name="number", type=ParamType(kind="int"), required=False, default=10**30)
    plan = planned(Schedule(cron="30 6 * * 1-5"), number, options={"kubeflow": {"max_concurrency": 3}})
    for _ in range(2):
        publish(server, plan, service_account="runner")
    (made,) = server.recurring.values()
    assert made["display_name"] == NAME
    assert made["trigger"] == {"cron_schedule": {"cron": "0 30 6 * * 1-5"}}
    assert made["pipeline_version_reference"] == {"pipeline_id": "pipeline-1", "pipeline_version_id": "version-2"}
    assert (made["no_catchup"], int(made["max_concurrency"]), made["service_account"]) == (True, 3, "runner")
    assert plan.digest in made["description"]
    parameters = made["runtime_config"]["parameters"]
    assert parameters["number"] == 0
    known = json.loads(parameters["turnout"])
    assert known == {"page": f"{server.url}/#/runs/details/", "params": {"number": 10**30}}
    assert server.runs == {}
    assert server.requests.count("POST /recurringruns") == 1


def test_another_plan_takes_the_place_of_the_schedule(server: Any) -> None:
    publish(server, planned(Schedule(cron="@daily")))
    publish(server, planned(Schedule(cron="@hourly")))
    (made,) = server.recurring.values()
    assert made["trigger"]["cron_schedule"]["cron"] == "0 0 * * * *"
    assert len(server.versions) == 2
    order = [one for one in server.requests if "recurringruns" in one and not one.startswith("GET")]
    assert [one.partition(" ")[0] for one in order] == ["POST", "POST", "POST", "DELETE"]
    assert order[1].endswith(":disable"), "no time is served by two"
    publish(server, planned(None))
    assert server.recurring == {}


def test_what_a_server_refuses_leaves_the_schedule_as_it_was(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(server, planned(Schedule(cron="@daily")))
    import kubeflow_server

    def refuse(made: Any) -> None:
        raise ConnectionError("the back end breaks down")

    monkeypatch.setattr(kubeflow_server, "scheduled", refuse)
    with pytest.raises(RunError):
        publish(server, planned(Schedule(cron="@hourly")))
    (made,) = server.recurring.values()
    assert (made["trigger"]["cron_schedule"]["cron"], made["mode"]) == ("0 0 0 * * *", "ENABLE")


def test_what_somebody_switched_off_goes_on_when_published_again(server: Any) -> None:
    plan = planned(Schedule(every=7200.0))
    publish(server, plan)
    (made,) = server.recurring.values()
    assert made["trigger"] == {"periodic_schedule": {"interval_second": 7200}}
    made["mode"] = "DISABLE"
    publish(server, plan)
    assert [one["mode"] for one in server.recurring.values()] == ["ENABLE"]
    assert server.requests.count("POST /recurringruns") == 1


def test_no_run_is_caught_up_with_twice(server: Any) -> None:
    when = Schedule(cron="0 6 * * *", start="2026-01-01T00:00:00Z", catchup=True)
    publish(server, planned(when))
    (first,) = server.recurring.values()
    assert first["trigger"]["cron_schedule"]["start_time"] == "2025-12-31T23:59:59Z"
    assert first["no_catchup"] is False
    for number, day in enumerate((3, 5, 4)):
        server.runs[f"run-{number}"] = {
            "run_id": f"run-{number}",
            "recurring_run_id": first["recurring_run_id"],
            "scheduled_at": f"2026-01-0{day}T06:00:00Z",
        }
    publish(server, planned(when, doc="changed"))
    (second,) = server.recurring.values()
    assert second["recurring_run_id"] != first["recurring_run_id"]
    assert second["trigger"]["cron_schedule"]["start_time"] == "2026-01-05T06:00:00Z"


def test_unpublishing_takes_all_of_it_away_but_what_is_somebody_elses(server: Any) -> None:
    plan = planned(Schedule(cron="@daily"))
    publish(server, plan)
    assert orchestrator(server).unpublish(plan) == f"{server.url}/#/pipelines/details/pipeline-1"
    assert (server.recurring, server.versions, server.pipelines) == ({}, {}, {})
    assert orchestrator(server).unpublish(plan) == f"{server.url}/#/pipelines"
    publish(server, plan)
    (pipeline,) = server.pipelines
    server.versions["theirs"] = {
        "display_name": "by hand",
        "pipeline_id": pipeline,
        "pipeline_version_id": "theirs",
    }
    orchestrator(server).unpublish(plan)
    assert (list(server.versions), list(server.pipelines)) == (["theirs"], [pipeline])


def test_stacks_with_instances_of_their_own_do_not_meet(server: Any) -> None:
    when = Schedule(cron="@daily")
    publish(server, planned(when))
    publish(server, planned(when, instance="staging"))
    publish(server, planned(when, options={"kubeflow": {"name": "mine"}}))
    assert [one["display_name"] for one in server.recurring.values()] == [NAME, f"{NAME}.staging", "mine"]


def test_what_kubeflow_cannot_keep_is_refused_before_anything_is_sent(server: Any) -> None:
    berlin = Schedule(cron="@daily", timezone="Europe/Berlin")
    required = ParamSpec(name="number", type=ParamType(kind="int"))
    for plan, error, text in (
        (planned(Schedule(assets=("flights",))), UnsupportedError, "runs when assets change"),
        (planned(berlin), UnsupportedError, "goes by UTC"),
        (planned(Schedule(every=0.5)), UnsupportedError, "counts whole ones"),
        (planned(Schedule(cron="@daily"), required), PlanError, "'number' has no default"),
    ):
        with pytest.raises(error, match=text):
            publish(server, plan)
    assert server.requests == []
    publish(server, planned(berlin), timezone="Europe/Berlin")
    assert len(server.recurring) == 1
