"""What the settings of an orchestrator refer to is never in an export: it is refused with its line, or not looked up."""

from __future__ import annotations

import pytest

from turnout.base.errors import TurnoutError
from turnout.testing.corpus_project import Trial

CANARY = "canary-8d5f"
WAITING = ("${secret:warehouse}", "${worker-env:WAREHOUSE}", "x-${secret:warehouse}")
REFUSED = {
    "airflow": {
        "environment": {"DB": "{}"},
        "python": "{}",
        "image": "{}",
        "variables": ["{}"],
        "instance": "{}",
        "docker": {"network": "{}"},
        "docker mounts": {"docker": {"mounts": ["{}:/x"]}},
        "kubernetes": {"annotations": {"a": "{}"}},
        "kubernetes labels": {"kubernetes": {"labels": {"a": "{}"}}},
        "kubernetes namespace": {"kubernetes": {"namespace": "{}"}},
    },
    "kubeflow": {
        "environment": {"DB": "{}"},
        "install": ["{}"],
        "image": "{}",
        "instance": "{}",
        "gpu_resource": "{}",
        "every": {"annotations": {"a": "{}"}},
        "every labels": {"every": {"labels": {"a": "{}"}}},
        "every selectors": {"every": {"node_selector": {"a": "{}"}}},
        "accelerators": {"l4": {"node_selector": {"a": "{}"}}},
    },
    "kubeflow-local": {"environment": {"DB": "{}"}, "install": ["{}"]},
}
CASES = [(engine, name) for engine, settings in REFUSED.items() for name in settings]


def _filled(value, text):
    if isinstance(value, dict):
        return {key: _filled(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, text) for item in value]
    return value.replace("{}", text)


@pytest.mark.parametrize("reference", WAITING)
@pytest.mark.parametrize(("engine", "name"), CASES)
def test_a_reference_in_what_is_exported_is_refused_with_its_line(
    tmp_path, turnout_corpus, monkeypatch, engine, name, reference
):
    monkeypatch.setenv("warehouse", CANARY)
    monkeypatch.setenv("WAREHOUSE", CANARY)
    setting, _, nested = name.partition(" ")
    given = REFUSED[engine][name]
    settings = _filled(given if nested else {setting: given}, reference)
    with pytest.raises(TurnoutError) as caught:
        Trial(turnout_corpus, {"orchestrator": {"type": engine, **settings}}, tmp_path).launch("linear")
    assert CANARY not in str(caught.value)
    found = getattr(caught.value, "errors", [caught.value])
    what = f"the setting {setting!r} of orchestrator {engine!r} goes into exported files, where nothing resolves ${{"
    (refused,) = (error for error in found if error.what.startswith(what))
    assert refused.where.line
    assert refused.fix


ELSEWHERE = {
    "airflow": {"url": "http://{}.invalid", "user": "{}", "password": "${secret:warehouse}", "dags_folder": "/{}"},
    "kubeflow": {"url": "http://{}.invalid", "token": "${secret:warehouse}", "namespace": "{}"},
}


@pytest.mark.parametrize("there", [True, False], ids=["there", "missing"])
@pytest.mark.parametrize("engine", ELSEWHERE)
def test_an_export_looks_up_no_secret_and_holds_none(tmp_path, turnout_corpus, monkeypatch, engine, there):
    """Not even that of the engine's own API; whether there is one makes no difference to a byte."""
    for name in ("warehouse", "WAREHOUSE"):
        monkeypatch.setenv(name, CANARY) if there else monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "trial"
    folder.mkdir()
    settings = _filled(ELSEWHERE[engine], "${worker-env:WAREHOUSE}")
    referring = Trial(turnout_corpus, {"orchestrator": {"type": engine, **settings}}, folder).launch("names").export()
    plain = tmp_path / "plain"
    plain.mkdir()
    bare = Trial(turnout_corpus, {"orchestrator": {"type": engine}}, plain).launch("names")
    assert referring.files[referring.entrypoint] == bare.compiled.files[referring.entrypoint]
    assert not [name for name, data in referring.files.items() if CANARY.encode() in data]


def test_what_airflows_compile_reads_may_hold_no_reference(tmp_path, turnout_corpus):
    trial = Trial(turnout_corpus, {"orchestrator": {"type": "airflow"}}, tmp_path)
    orchestrator, read = trial.orchestrator, set()

    class Watched:
        def __getattr__(self, name):
            read.add(name)
            return getattr(config, name)

    config, orchestrator.config = orchestrator.config, Watched()
    for name in ("linear", "guarded_map", "timed"):
        orchestrator.compile(trial.launch(name, accept=trial.refused).plan)
    assert read
    assert read <= set(orchestrator.exported)
