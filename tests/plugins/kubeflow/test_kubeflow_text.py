"""The file of YAML says the same to every reader: one of YAML 1.1 (PyYAML) and one of 1.2 (ruamel.yaml)."""

from __future__ import annotations

import io
import re

import msgspec
import pytest
import yaml
from ruamel.yaml import YAML

from turnout.plugin_api import InputSpec, Param, ParamSpec, ParamType
from turnout.testing.cases import CASES
from turnout.testing.corpus_project import Trial
from turnout.testing.plans import sample_plan, sample_step
from turnout_kubeflow.options import TaskOptions
from turnout_kubeflow.orchestrator import KubeflowOrchestrator
from turnout_kubeflow.pipeline import Builder
from turnout_kubeflow.platform import platform
from turnout_kubeflow.settings import KubeflowSettings

NUMBERS = [
    "08",
    "09",
    "0777",
    "0o17",
    "0O17",
    "0x1F",
    "0xdead_beef",
    "0b101",
    "1e5",
    "1e-5",
    "1E+5",
    "12345e7",
    "1_0e3",
    "1_000",
    ".5",
    "5.",
    "-.5e3",
    "+1",
    "-0",
    "1.",
    "1.e3",
    "1,000",
    "1:20",
    "190:20:30",
    "190:20:30.15",
    ".inf",
    "-.INF",
    "+.Inf",
    ".nan",
    ".NaN",
    "2001-01-01",
    "2001-1-1",
    "2001-12-14t21:59:43.10-05:00",
    "2001-12-15T02:59:43.1Z",
    "685_230.15",
    "0.1e-7",
    "6.02214076e23",
    "1e400",
    "00",
    "0_",
    "0x_1",
    "1__0",
    "12e03",
]
WORDS = [
    "~",
    "null",
    "Null",
    "NULL",
    "true",
    "True",
    "FALSE",
    "y",
    "Y",
    "n",
    "N",
    "yes",
    "No",
    "ON",
    "off",
    "=",
    "<<",
    "nan",
    "inf",
    "NaN",
    "Infinity",
    "none",
    "None",
]
PLAIN = [
    "2.1.0",
    "3.11.7",
    "1.2.3.4",
    "fit",
    "7200s",
    "1Gi",
    "a:b",
    "-m",
    "--verbose",
    "s3://bucket/a",
    "e5",
    "x1F",
    "a1e5",
]
SYNTAX = [
    "", " ", "- a", "a: b", "a #b", "#a", "&a", "*a", "!a", "!!int 5", "|", ">", "%a", "@a", "`a`", "{a: 1}", "[1]", "? a", ":",
    "-", "---", "...", "'", '"', "it's", 'say "a"', " a", "a ", "a\\nb", "2001-12-14 21:59:43.10 -5", "1 ", "\ta", "a\tb",
]  # fmt: skip
LINES = [
    "a\nb", "a\nb\n", "\na", "a\n\n", " a\n  b", "a \nb", "a\n b ", "a\x85b", "a\u2028b", "a\u2029b\n", "a\r\nb", "a\rb", "1\n2",
    "\x85", "a\n\u2028", "\ufeffa", "a\x7fb", "a\x00b", "a\xa0b", "a\xadb", "\U0001f600 a", "é\nü", "a\x1b[0m",
]  # fmt: skip
TEXTS = [*NUMBERS, *WORDS, *PLAIN, *SYNTAX, *LINES]


def _read(data):
    """What both readers read."""
    newer = YAML(typ="safe", pure=True)
    newer.version = (1, 2)
    return list(yaml.safe_load_all(data)), list(newer.load_all(io.BytesIO(data)))


def _meant(plan, settings):
    """The documents as data."""
    builder = Builder(plan, settings, timed=True)
    first = builder.document()
    second = platform(plan, settings, builder.labels)
    return [first, second] if second else [first]


def _seen_alike(plan, **settings):
    orchestrator = KubeflowOrchestrator(KubeflowSettings(**settings))
    data = orchestrator.compile(plan).files["pipeline.yaml"]
    older, newer = _read(data)
    assert older == _meant(plan, orchestrator.config)
    assert newer == older
    return data.decode()


def test_every_text_is_read_as_itself_wherever_it_stands():
    params = tuple(
        ParamSpec(name=f"p{n}", type=ParamType(kind="str"), required=False, default=text, doc=text)
        for n, text in enumerate(TEXTS)
    )
    keyed = ParamSpec(
        name="table", type=ParamType(kind="dict", items=(ParamType(kind="str"),)), required=False,
        default=dict(zip(TEXTS, TEXTS, strict=True)),
    )  # fmt: skip
    fine = [text for text in TEXTS if text and text.isprintable()]
    labels = [text for text in fine if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", text)]
    pod = {
        "labels": {f"l{n}": text for n, text in enumerate(labels)},
        "annotations": {**{f"a{n}": text for n, text in enumerate(TEXTS)}, **{text: text for text in fine}},
        "node_selector": {text: text for text in labels if text},
        "tolerations": [{"key": text, "value": text} for text in NUMBERS + WORDS],
    }
    reads = {param.name: InputSpec(source=Param(name=param.name)) for param in (*params, keyed)}
    plan = sample_plan(sample_step("fit", doc="08", inputs=reads), doc="1e-5", params=(*params, keyed))
    text = _seen_alike(
        plan,
        environment={f"E{n}": text for n, text in enumerate(TEXTS) if "\x00" not in text},
        every=msgspec.convert(pod, TaskOptions),
        install=tuple(NUMBERS),
        image="08",
    )
    for plain in PLAIN:
        assert f": {plain}\n" in text, plain
    for quoted in NUMBERS:
        assert f": '{quoted}'\n" in text, quoted


@pytest.mark.parametrize("name", ["1e5", "y", "null", "e5", "0x1F", "12345e7", "on"])
def test_names_are_read_as_themselves(name):
    step = sample_step(name if name[0].isalpha() else f"x{name}")
    _seen_alike(
        sample_plan(
            step, name=step.name, params=(ParamSpec(name="y", type=ParamType(kind="int"), required=False, default=1),)
        )
    )


def test_the_corpus_is_read_as_it_is_meant(tmp_path, turnout_corpus):
    trial = Trial(turnout_corpus, {"orchestrator": {"type": "kubeflow"}}, tmp_path)
    for pipeline in dict.fromkeys(case.pipeline for case in CASES):
        _seen_alike(trial.launch(pipeline, accept=trial.refused).plan)
