"""The pipeline as it is wired: what needs what. Nothing runs here."""

from pipeline import delay, flights


def test_the_steps_are_wired_as_the_readme_draws_them():
    assert {step.name: set(step.upstream) for step in flights.spec.steps} == {
        "load": set(),
        "validate": {"load"},
        "add_weather": {"validate"},
        "add_traffic": {"add_weather"},
        "split": {"add_traffic"},
        "fit_baseline": {"split"},
        "fit": {"split"},
        "predict": {"fit", "split"},
        "evaluate": {"predict", "fit_baseline", "split"},
        "when_1": {"evaluate"},
        "publish": {"when_1", "fit", "evaluate"},
        "months": {"split"},
        "score_month": {"months", "fit", "fit_baseline"},
        "merge": {"score_month"},
    }


def test_only_the_months_are_mapped_and_only_publishing_is_guarded():
    assert [step.name for step in flights.spec.steps if step.mapped] == ["score_month"]
    assert [step.name for step in flights.spec.steps if step.guards] == ["publish"]


def test_every_parameter_has_a_default_and_says_what_it_is():
    params = flights.spec.params
    assert [param.name for param in params] == ["depth", "iterations", "seed", "rows", "test_from", "threshold"]
    assert all(param.doc and not param.required for param in params)


def test_the_endpoint_serves_what_the_pipeline_fits_and_asks_for_no_delay():
    spec = delay.trace().spec
    assert [(one.step, one.output) for one in spec.bound] == [("fit", "output")]
    (rows,) = spec.requests
    assert not {"arr_delay", "dep_delay"} & {*rows.columns}
