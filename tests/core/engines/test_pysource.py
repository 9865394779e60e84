"""Python source as formatters leave it: what is written is what is read, and no line is longer than it must be."""

import ast
import keyword
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.engines import pysource

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_a_literal_is_its_value_however_it_is_laid_out(value):
    written = pysource.literal(value)
    assert repr(ast.literal_eval(str(written))) == repr(value)
    assert repr(ast.literal_eval(pysource.laid(written, indent=60))) == repr(value)


def test_a_call_that_does_not_fit_has_an_argument_a_line():
    short = pysource.call("fit", 1, name="a")
    assert pysource.laid(short) == 'fit(1, name="a")'
    long = pysource.call("outer", inner=pysource.call("inner", "x" * 40, "y" * 40), n=1)
    assert pysource.laid(long, ".run()").splitlines() == [
        "outer(",
        "    inner=inner(",
        f'        "{"x" * 40}",',
        f'        "{"y" * 40}",',
        "    ),",
        "    n=1,",
        ").run()",
    ]
    width = pysource.WIDTH - len("f()")
    assert pysource.laid(pysource.call("f", pysource.Code("x" * width))).count("\n") == 0
    assert pysource.laid(pysource.call("f", pysource.Code("x" * width)), "!").count("\n") == 2


@given(st.lists(st.sampled_from(["a", "a_", "in", "None", "b"]), max_size=12), st.sets(st.sampled_from(["a", "b"])))
def test_names_are_told_apart(wanted, used):
    names = pysource.distinct(dict(enumerate(wanted)), used)
    assert len(set(names.values())) == len(wanted)
    assert not used & set(names.values())
    assert not any(map(keyword.iskeyword, names.values()))
    assert all(name.rstrip("_") == wanted[key].rstrip("_") for key, name in names.items())


def test_imports_follow_from_the_names_that_a_text_uses():
    text = (
        "import json\nLIMIT = 1\ndef f(x, *, y=k8s.V1Pod):\n    z = [Path(i) for i in x]\n    return json, LIMIT, z\n"
    )
    assert pysource.globals_of(text) == {"json", "LIMIT", "f", "k8s", "Path"}
    modules = {"": ("sys", "json"), "pathlib": ("PurePath", "Path"), "kubernetes.client": ("models as k8s",)}
    assert pysource.imports(modules, pysource.globals_of(text), ["from a import b"]) == [
        "import json",
        "from a import b",
        "from kubernetes.client import models as k8s",
        "from pathlib import Path",
    ]


@pytest.mark.parametrize("seconds", [0, 0.5, 1, 59, 60, 90, 3600, 86_400, 90_000, 1e-6])
def test_times_are_what_they_were(seconds):
    assert eval(pysource.span(seconds), {"timedelta": timedelta}) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["2026-01-31T00:00:00Z", "2026-01-31T05:00:00.000001Z", "2026-01-31T05:30:00Z"])
def test_moments_are_what_they_were(text):
    moment = eval(pysource.moment(text), {"datetime": datetime, "timezone": timezone})
    assert moment == datetime.fromisoformat(text.replace("Z", "+00:00"))
