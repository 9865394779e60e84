"""What Airflow would never show, or fail at for good, is refused while planning."""

import pytest

from turnout.plugin_api import (
    Element,
    InputSpec,
    OutputPlan,
    ParamSpec,
    ParamType,
    PlanError,
    Schedule,
    TypeName,
)
from turnout.testing.plans import sample_plan, sample_step
from turnout_airflow.refusals import check


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Zahlungsströme", "it is not ASCII"),
        (" ", "it is empty"),
        ("x" * 1501, "it has 1501 characters, 1500 are allowed"),
        ("self", "Airflow keeps it for itself"),
        ("Airflow://table", "Airflow keeps it for itself"),
        ("http://[x/table", "it begins like a URL and is none"),
    ],
)
def test_names_of_assets(name, reason):
    with pytest.raises(PlanError, match=reason) as caught:
        check(sample_plan(schedule=Schedule(assets=(name,))))
    assert "the schedule of sample" in str(caught.value)
    with pytest.raises(PlanError, match=reason) as caught:
        check(sample_plan(sample_step("make", options={"airflow": {"outlets": ["fine", name]}})))
    assert "the step make" in str(caught.value)


@pytest.mark.parametrize(("length", "refused"), [(49, False), (51, True)])
def test_names_of_the_tasks_of_further_lists(length, refused):
    ints = TypeName(name="builtins:int", text="int", collection=True)
    step = ".".join(["x" * 99, "y" * 100])
    outputs = tuple(OutputPlan(name=name, type=ints) for name in ("output", "z" * length))
    takers = [
        sample_step(f"take_{number}", inputs={"one": InputSpec(source=Element(step=step, output=output.name))})
        for number, output in enumerate(outputs)
    ]
    plan = sample_plan(sample_step(step, outputs=outputs), *takers)
    if refused:
        with pytest.raises(PlanError, match="is mapped over by a task with a name of 252 characters"):
            check(plan)
    else:
        check(plan)


def test_what_looks_odd_and_is_taken():
    check(sample_plan(schedule=Schedule(assets=('it\'s a "table" {{ 1 }}', "s3://bucket/table.parquet"))))


def test_an_asset_starts_a_run_without_an_interval():
    given = ParamSpec(name="since", type=ParamType(kind="datetime"), source="interval_start")
    with pytest.raises(PlanError, match="its parameter 'since' is an end of the run's interval"):
        check(sample_plan(params=(given,), schedule=Schedule(assets=("table",))))
    check(sample_plan(params=(given,), schedule=Schedule(cron="@daily")))
