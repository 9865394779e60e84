"""The suite of orchestrators finds what is wrong with one."""

from __future__ import annotations

import importlib
import os
import sys

import pytest
from yaml import YAMLError

from turnout import builtin
from turnout.base.errors import UnsupportedError
from turnout.components.registry import Registry
from turnout.model.capability import Capability
from turnout.testing.cases import CASES
from turnout.testing.corpus_project import Trial
from turnout.testing.orchestrator import OrchestratorSuite, assert_names_the_line

ENGINE = """
import json, os, socket, time
from pathlib import Path
from typing import Annotated
import msgspec
from turnout.plugin_api import Bundle, Capability, Config, Orchestrator, hookimpl

class Settings(Config, frozen=True):
    url: {url} = ""

class Engine(Orchestrator[Settings]):
    name = "engine"
    Config = Settings
    capabilities = {capabilities}
    max_fan_out = {fan_out}

    def compile(self, plan):
        {body}
        return Bundle(files={files}, entrypoint={entrypoint})

    def submit(self, plan, bundle, submission, store):
        raise NotImplementedError

@hookimpl
def turnout_orchestrators():
    return [Engine]
"""
PARTS = {
    "url": 'Annotated[str, msgspec.Meta(description="Where it is.")]',
    "capabilities": 'dict.fromkeys(Capability, "native")',
    "fan_out": "None",
    "body": "text = repr([plan.doc, plan.tags, [step.doc for step in plan.steps]])",
    "files": '{"dag.py": f"import json\\n\\ndocs = {text}\\n".encode()}',
    "entrypoint": '"dag.py"',
}


@pytest.fixture
def engine(turnout_corpus, tmp_path, monkeypatch):
    """Make a trial of an engine that differs from a good one in some parts."""

    def make(**parts: str) -> Trial:
        (tmp_path / "engine_on_trial.py").write_text(ENGINE.format(**{**PARTS, **parts}))
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
        monkeypatch.delitem(sys.modules, "engine_on_trial", raising=False)
        registry = Registry([builtin, importlib.import_module("engine_on_trial")])
        stack = {"orchestrator": {"type": "engine"}, "artifact_store": {"root": str(tmp_path / "store")}}
        (tmp_path / "trial").mkdir()
        return Trial(turnout_corpus, stack, tmp_path / "trial", registry)

    yield make
    sys.modules.pop("engine_on_trial", None)


def check(trial, name, *arguments):
    getattr(OrchestratorSuite(), f"test_{name}")(trial, *arguments)


def test_a_good_one_passes(engine, tmp_path):
    trial = engine()
    check(trial, "every_capability_is_answered")
    check(trial, "settings_and_options_are_described")
    check(trial, "compiling_is_pure", tmp_path)
    check(trial, "bundles_are_data")
    check(trial, "bundles_are_parsed_without_turnout")
    check(trial, "texts_never_become_code")
    check(trial, "publishing_runs_nothing")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"capabilities": '{Capability.MAP: "native"}'}, "say native, emulated or refused of"),
        ({"capabilities": 'dict.fromkeys(Capability, "yes")'}, "assert"),
        ({"fan_out": "0"}, "assert"),
    ],
)
def test_capabilities(engine, parts, message):
    with pytest.raises(AssertionError, match=message):
        check(engine(**parts), "every_capability_is_answered")


def test_settings_without_a_description(engine):
    with pytest.raises(AssertionError, match=r"describe \['url'\] of Settings"):
        check(engine(url="str"), "settings_and_options_are_described")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("text = str(time.time_ns())", "compiles to other bytes|the second time"),
        ("text = repr({step.name for step in plan.steps})", "to other bytes in another process"),
        ("text = repr(os.getcwd())", "to other bytes in another process"),
        ("text = repr(time.tzname)", "to other bytes in another process"),
        ("text = '1'; Path('left-behind').write_text('x')", "compiling wrote"),
        ("text = '1'; open(os.devnull, 'w').close()", "for writing"),
        ("text = '1'; os.environ['LEFT_BEHIND'] = '1'", "os.putenv"),
        ("text = '1'; os.system('true')", "os.system"),
        ("text = '1'; s = socket.socket(); s.connect_ex(('127.0.0.1', 9)); s.close()", "socket.connect"),
    ],
)
def test_impure_compilers(engine, tmp_path, monkeypatch, body, message):
    trial = engine(body=body)
    monkeypatch.setenv("LEFT_BEHIND", "0")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(AssertionError, match=message):
        check(trial, "compiling_is_pure", tmp_path)


@pytest.mark.parametrize(
    ("files", "entrypoint"),
    [
        ('{"/dag.py": b""}', '"/dag.py"'),
        ('{"../dag.py": b""}', '"../dag.py"'),
        ('{"a//dag.py": b""}', '"a//dag.py"'),
        ('{"dag.py": b""}', '"other.py"'),
        ('{"dag.py": b""}', '""'),
    ],
)
def test_files_that_are_no_data(engine, files, entrypoint):
    with pytest.raises(AssertionError):
        check(engine(files=files, entrypoint=entrypoint), "bundles_are_data")


@pytest.mark.parametrize("line", ["import turnout", "from turnout.runtime import step", "import turnout_engine.launch"])
def test_turnout_where_the_engine_parses(engine, line):
    trial = engine(files='{"dag.py": b"' + line + '\\n"}')
    with pytest.raises(AssertionError, match="need not be installed"):
        check(trial, "bundles_are_parsed_without_turnout")


def test_a_launcher_may_be_imported(engine):
    class Suite(OrchestratorSuite):
        launchers = ("turnout_engine.launch",)

    trial = engine(files='{"dag.py": b"from turnout_engine.launch import go\\n"}')
    Suite().test_bundles_are_parsed_without_turnout(trial)


@pytest.mark.parametrize(
    "files",
    [
        '{"dag.py": f"docs = {chr(34) * 3}{plan.doc}{chr(34) * 3}\\n".encode()}',
        '{"dag.py": f"# {plan.doc}\\ndocs = 1\\n".encode()}',
        '{"dag.py": f"docs = 1  # {plan.doc!r}\\nother = \'{plan.tags}\'\\n".encode()}',
        '{"dag.yaml": f"doc: {plan.doc}\\n".encode()}',
        '{"dag.json": (chr(123) + f\'"doc": "{plan.doc}"\' + chr(125)).encode()}',
        '{f"{len(plan.doc)}.py": b""}',
    ],
)
def test_texts_pasted_into_templates(engine, files):
    trial = engine(files=files)
    with pytest.raises((AssertionError, SyntaxError, ValueError, YAMLError)):
        check(trial, "texts_never_become_code")


@pytest.mark.parametrize("name", ["map", "chained-maps", "guarded-map", "guards-open"])
def test_a_case_is_refused_where_a_capability_is(engine, name):
    refused = '{**dict.fromkeys(Capability, "native"), Capability.MAP: "refused", Capability.GATE: "refused"}'
    trial = engine(capabilities=refused)
    case = next(case for case in CASES if case.name == name)
    check(trial, "a_case", None, None, case)
    for capability in (Capability.MAP, Capability.GATE, Capability.RETRIES):
        check(trial, "what_is_refused_is_refused_while_planning", capability)


def test_a_refusal_must_say_where_and_how_to_go_without(engine):
    trial = engine(capabilities='{**dict.fromkeys(Capability, "native"), Capability.MAP: "refused"}')
    with pytest.raises(UnsupportedError) as caught:
        trial.launch("mapped")
    assert_names_the_line(caught.value, Capability.MAP)
    with pytest.raises(AssertionError, match="gate is not refused by name"):
        assert_names_the_line(caught.value, Capability.GATE)
    caught.value.where = None
    with pytest.raises(AssertionError):
        assert_names_the_line(caught.value, Capability.MAP)
