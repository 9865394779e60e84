"""References in settings: what planning resolves, what waits, and what never shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.base.errors import ConfigError, Location
from turnout.stack import references
from turnout.stack.references import Reference, escape, parse, plan, resolve_worker, unescape, waits

HERE = Location("s.yaml", 3)


def no_secret(name):
    raise ConfigError(f"no secret {name}")


def worker(template, environ=(), **secrets):
    config, seen = resolve_worker({"x": template}, dict(environ), secrets.__getitem__)
    return config["x"], seen


def test_a_variable_is_resolved_while_planning():
    assert plan("${env:HOME}/dags", {"HOME": "/home/ann"}) == "/home/ann/dags"
    assert plan("${env:PORT:-8080}", {}) == "8080"
    assert plan("${env:PORT:-8080}", {"PORT": ""}) == "8080"
    assert plan("${env:PORT:-}", {}) == ""
    assert plan("${env:PORT:-8080}", {"PORT": "1"}) == "1"
    assert plan("${env:EMPTY}", {"EMPTY": ""}) == ""


def test_what_the_worker_resolves_is_left():
    template = plan("${worker-env:HOST}:${env:PORT}/${secret:db/user}", {"PORT": "1", "HOST": "not this one"})
    assert template == "${worker-env:HOST}:1/${secret:db/user}"
    assert waits(template)
    assert worker(template, {"HOST": "h"}, **{"db/user": "me"}) == ("h:1/me", frozenset({"me"}))


def test_a_dollar_and_a_brace_can_be_written():
    assert parse("$${env:A}$$$x{}") == ("${", "env:A}$$$x{}")
    assert unescape(plan("$${secret:A}", {})) == "${secret:A}"
    assert not waits(plan("$${secret:A}", {}))
    assert worker(plan("$${secret:A}", {})) == ("${secret:A}", frozenset())


def test_what_a_variable_holds_is_never_read_as_a_reference():
    for value in ("${secret:x}", "$${secret:x}", "${env:B}", "${", "$", "$$", "}"):
        template = plan("<${env:A}>", {"A": value})
        assert not waits(template)
        assert unescape(template) == f"<{value}>"
        assert worker(template)[0] == f"<{value}>"


@given(st.text(alphabet="${}:ab"))
def test_escaped_text_stands_for_itself(text):
    assert unescape(escape(text)) == text
    assert worker(escape(text))[0] == text
    assert "".join(map(str, parse(escape(text)))) == text


def test_a_dollar_before_a_reference_is_refused_rather_than_misread():
    with pytest.raises(ConfigError) as caught:
        plan("${env:A}${secret:x}", {"A": "hush$"}, HERE)
    assert str(caught.value) == (
        "s.yaml:3: the text before ${secret:x} ends with '$', which would make it a plain '${'\n"
        "  fix: put another character between the two"
    )


def test_a_resolved_secret_is_not_read_again():
    assert worker("${secret:x}", x="${secret:y}") == ("${secret:y}", frozenset({"${secret:y}"}))


def test_nested_settings_are_resolved():
    config = {"a": [{"b": "${secret:x}"}, 3, None], "c": ("${worker-env:E}",)}
    found, seen = resolve_worker(config, {"E": "e"}, {"x": "hush"}.__getitem__)
    assert found == {"a": [{"b": "hush"}, 3, None], "c": ["e"]}
    assert seen == {"hush"}
    assert config["a"][0]["b"] == "${secret:x}"


def test_a_variable_that_holds_a_credential_is_kept_secret():
    template = plan("${worker-env:TOKEN}", {}, secret=True)
    assert worker(template, {"TOKEN": "hush"}) == ("hush", frozenset({"hush"}))
    assert worker(plan("${worker-env:TOKEN}", {}), {"TOKEN": "hush"}) == ("hush", frozenset())


def test_an_empty_secret_is_nothing_to_hide():
    assert worker("${secret:x}", x="") == ("", frozenset())


def test_a_missing_secret_is_the_store_s_error():
    with pytest.raises(ConfigError, match="no secret x"):
        resolve_worker({"a": "${secret:x}"}, {}, no_secret)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (
            "${env:NO}",
            "s.yaml:3: the environment variable 'NO' is not set\n  fix: set it, or give a default: ${env:NO:-…}",
        ),
        (
            "${HOME}",
            (
                "s.yaml:3: unknown kind of reference\n"
                "  fix: write ${env:NAME}, ${worker-env:NAME} or ${secret:NAME}, or $${ for a plain ${"
            ),
        ),
        (
            "${secrets:db}",
            (
                "s.yaml:3: unknown kind of reference. Did you mean 'secret'?\n"
                "  fix: write ${env:NAME}, ${worker-env:NAME} or ${secret:NAME}, or $${ for a plain ${"
            ),
        ),
        (
            "${secret-env:TOKEN}",
            (
                "s.yaml:3: unknown kind of reference. Did you mean 'secret'?\n"
                "  fix: write ${env:NAME}, ${worker-env:NAME} or ${secret:NAME}, or $${ for a plain ${"
            ),
        ),
        (
            "${env:A B}",
            (
                "s.yaml:3: the reference '${env:…}' has no usable name\n"
                "  fix: write ${env:NAME}, ${worker-env:NAME} or ${secret:NAME}, or $${ for a plain ${"
            ),
        ),
        (
            "${secret:}",
            (
                "s.yaml:3: the reference '${secret:…}' has no usable name\n"
                "  fix: write ${env:NAME}, ${worker-env:NAME} or ${secret:NAME}, or $${ for a plain ${"
            ),
        ),
        (
            "${env:A",
            (
                "s.yaml:3: a reference is not closed: '}' is missing after '${'\n"
                "  fix: write ${env:NAME}, ${worker-env:NAME} or ${secret:NAME}, or $${ for a plain ${"
            ),
        ),
        (
            "${env:A:-${env:B}}",
            (
                "s.yaml:3: a reference stands within another one\n"
                "  fix: write ${env:NAME}, ${worker-env:NAME} or ${secret:NAME}, or $${ for a plain ${"
            ),
        ),
        (
            "${secret:db:-hunter2}",
            (
                "s.yaml:3: the secret 'db' has a default; a secret must not stand in a stack file\n"
                "  fix: write ${secret:db} and give the secret store a value"
            ),
        ),
    ],
)
def test_what_is_wrong_is_said(template, text):
    with pytest.raises(ConfigError) as caught:
        plan(template, {}, HERE)
    assert str(caught.value) == text


def test_a_variable_missing_on_the_worker_is_said():
    with pytest.raises(ConfigError) as caught:
        worker("${worker-env:HOST}")
    assert str(caught.value) == (
        "the environment variable 'HOST' is not set\n  fix: set it, or give a default: ${worker-env:HOST:-…}"
    )
    assert worker("${worker-env:HOST:-here}")[0] == "here"


def test_a_reference_reads_as_it_was_written():
    for text in ("${env:A}", "${worker-env:A:-b c}", "${secret:a/b.c-d}"):
        assert [str(part) for part in parse(text)] == [text]
    assert parse("a${env:B:-c}") == ("a", Reference("env", "B", "c"))
    assert references.KINDS == ("env", "worker-env", "secret")
