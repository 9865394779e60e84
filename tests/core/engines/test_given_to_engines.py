"""What engines are given of a plan: schedules as all of them read them, names, texts and options."""

from __future__ import annotations

import msgspec
import pytest

from turnout.model.plan import Component
from turnout.plugin_api import (
    Config,
    KubernetesNames,
    ParamSpec,
    ParamType,
    PlanError,
    Schedule,
    Worker,
    cron_fields,
    merged,
    options_of,
    secret_variables,
    see_defaults,
)
from turnout.testing.plans import sample_plan, sample_step


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("@daily", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("*/5 6-18 1,15 jan-mar mon", "*/5 6-18 1,15 jan-mar mon"),
        ("0 6 * * 7", "0 6 * * 0"),
        ("0 6 * * 5-7", "0 6 * * 5,6,0"),
        ("0 6 * * fri-7", "0 6 * * 5,6,0"),
        ("0 6 * * 1-7/3,2", "0 6 * * 1,4,0,2"),
        ("0 6 * * 0-7", "0 6 * * 0,1,2,3,4,5,6"),
    ],
)
def test_expressions(given, expected):
    assert " ".join(cron_fields(given)) == expected


def test_a_schedule_takes_a_default_of_every_parameter():
    required = ParamSpec(name="depth", type=ParamType(kind="int"))
    see_defaults(sample_plan(sample_step(), params=(required,)), "Engine")
    with pytest.raises(PlanError, match="its parameter 'depth' has no default") as caught:
        see_defaults(sample_plan(sample_step(), params=(required,), schedule=Schedule(cron="@daily")), "Engine")
    assert caught.value.why == "a run that Engine starts by itself is given no parameters"


class Options(Config, frozen=True):
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    mounts: tuple[str, ...] = ()
    pool: str = ""


def test_options_are_typed_and_laid_over_more_general_ones():
    step = sample_step(options={"engine": {"labels": {"b": "2"}, "mounts": ["y", "x"]}})
    own = options_of(step, Options)
    assert own == Options(labels={"b": "2"}, mounts=("y", "x"))
    every = Options(labels={"a": "1", "b": "1"}, mounts=("x",), pool="big")
    assert merged(every, own) == Options(labels={"a": "1", "b": "2"}, mounts=("x", "y"), pool="big")
    assert options_of(sample_plan(sample_step()), Options) == Options()
    with pytest.raises(msgspec.ValidationError):
        options_of(sample_step(options={"engine": {"pool": 3}}), Options)


def test_names_for_kubernetes_are_unique_and_fit():
    names = KubernetesNames(["finish"], longest=20, suffixes=("-driver",))
    taken = [names.take(name) for name in ("fit", "Fit", "finish", "9", "x" * 99, "fit_driver")]
    assert len(set(taken)) == len(taken)
    assert taken[0] == "fit"
    assert "finish" not in taken
    assert all(len(name) <= 20 and name[0].isalpha() and name == name.lower() for name in taken)


def test_the_variables_of_secrets():
    step = sample_step(secrets={"password": "db"})
    worker = Worker(tracker=Component(type="x", config={"token": "${secret:tracker}"}))
    plan = sample_plan(step, worker=worker)
    assert secret_variables(plan, step) == {"db": "db", "tracker": "tracker"}
    assert secret_variables(plan, None) == {"tracker": "tracker"}
    prefixed = Worker(secrets=Component(type="env", config={"prefix": "APP_"}))
    assert secret_variables(sample_plan(step, worker=prefixed), step) == {"db": "APP_db"}
    files = Worker(secrets=Component(type="files"))
    assert secret_variables(sample_plan(step, worker=files), step) is None
