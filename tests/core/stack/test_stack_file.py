"""Stack files as data: plain YAML with a line for everything, and nothing that can surprise or harm."""

import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from turnout.base.errors import ConfigError, Location
from turnout.stack.loader import MAX_BYTES, node_of, read


def load(text):
    return read(text.encode() if isinstance(text, str) else text, "stacks/prod.yaml")


def refusal(text):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert caught.value.fix
    return str(caught.value)


def test_every_value_knows_its_line():
    node = load(
        "# a stack\ntracker:\n  type: mlflow\n  uri: >\n    http://x\nobservers:\n- {type: jsonl,\n   path: e}\n"
    )
    assert node.plain() == {
        "tracker": {"type": "mlflow", "uri": "http://x\n"},
        "observers": [{"type": "jsonl", "path": "e"}],
    }
    places = {".".join(path): leaf.at.line for path, leaf in node.leaves()}
    assert places == {"tracker.type": 3, "tracker.uri": 4, "observers.0.type": 7, "observers.0.path": 8}
    assert node.value["tracker"].at == Location("stacks/prod.yaml", 2)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("null", None),
        ("~", None),
        ("", None),
        ("none", "none"),
        ("12", 12),
        ("-3", -3),
        ("0x1f", 31),
        ("0o17", 15),
        ("1_000", "1_000"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1e", "1e"),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("4Gi", "4Gi"),
        ("=", "="),
        ("<<", "<<"),
        ("[]", []),
        ("{}", {}),
    ],
)
def test_scalars_are_read_as_yaml_1_2_has_them(text, value):
    found = load(f"a: {text}").plain()["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "secret", ["*hunter2", "&hunter2 x", "!hunter2", "!hunter2!x", "%hunter2", "@hunter2", "`hunter2"]
)
def test_a_password_that_looks_like_yaml_is_not_shown(secret):
    assert "hunter2" not in refusal(f"tracker:\n  password: {secret}\n")


REFUSED = {
    "python tag": "a: 1\nb: !!python/object/apply:os.system ['id']\n",
    "a tag of one's own": "a: !secret x\n",
    "a plain tag": "a: !!str 1\n",
    "a tag on a key": "!!str a: 1\n",
    "a tag on a mapping": "a: !!map {b: 1}\n",
    "an anchor": "a: &x 1\n",
    "an alias": "a: 1\nb: *x\n",
    "a billion laughs": 'a: &a ["lol","lol"]\nb: &b [*a,*a]\nc: [*b,*b]\n',
    "a duplicate key": "a: 1\nb: 2\na: 3\n",
    "a duplicate key below": "a: {b: 1, b: 2}\n",
    "a number as a key": "a:\n  1: x\n",
    "a bool as a key": "true: x\n",
    "a null as a key": "? \n: x\n",
    "a list as a key": "[a]: x\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "a list": "- a\n",
    "a scalar": "local\n",
    "nothing": "",
    "only a comment": "# nothing\n",
    "a null": "---\n",
    "an unclosed bracket": "a: [1\nb: 2\n",
    "a tab": "a:\n\tb: 1\n",
    "an unclosed quote": 'a: "x\n',
    "a wrong indent": "a: 1\n b: 2\n",
    "a control character": "a: 1\nb: \x07\n",
    "bytes that are no text": b"a: 1\nb: \xff\n",
    "deep nesting": "a: " + "[" * 60 + "]" * 60,
    "a huge number": "a: " + "9" * 5000,
    "a huge float": "a: 1e999",
    "an unknown escape": 'a: "\\q"',
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_surprise_or_harm_is_refused_with_its_line(case, snapshot):
    assert refusal(REFUSED[case]) == snapshot


def test_a_file_that_is_too_large_is_not_parsed():
    assert refusal(b"a: " + b"x" * MAX_BYTES).startswith(f"stacks/prod.yaml: the file has {MAX_BYTES + 3} bytes")


def test_hostile_files_are_refused_at_once():
    laughs = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 40))
    for text in (laughs, "[" * 100_000, "{a: " * 100_000, "? " * 10_000, "- " * 50_000):
        started = time.process_time()
        refusal(text)
        assert time.process_time() - started < 5  # seconds of work, where an expansion would take for ever


texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Nd", "Zl", "Zp")))
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(texts, plain, min_size=1, max_size=4))
def test_what_another_program_dumps_is_read_as_it_was(value):
    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True

    text = yaml.dump(value, Dumper=Dumper, allow_unicode=True, sort_keys=False)
    assert load(text).plain() == value


def test_a_tree_of_plain_data_has_one_place():
    place = Location("the plan")
    node = node_of({"a": [1, {"b": None}]}, place)
    assert node.plain() == {"a": [1, {"b": None}]}
    assert {leaf.at for _, leaf in node.leaves()} == {place}
