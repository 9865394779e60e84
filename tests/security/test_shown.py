"""What users write is kept and shown as text: markup, escape sequences, bytes that are no UTF-8, endless numbers."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import subprocess
from typing import Any

import pytest
from projects import TURNOUT, write_project

from turnout.base.errors import ConfigError
from turnout.base.texts import shown, shown_line
from turnout.cli.screen import Screen

ODD = "[bold]\x1b[31mred\x1b]0;title\x07\x1b]8;;http://x\x1b\\link[/] \x9b31m\u202etxt.exe\r\x08\x7f[/nothing]"
TEXTS = {
    "markup": ("[red]x[/]", "[red]x[/]"),
    "colour": ("\x1b[31mx", "\\x1b[31mx"),
    "title": ("\x1b]0;x\x07", "\\x1b]0;x\\x07"),
    "old control": ("\x9b31mx", "\\x9b31mx"),
    "return": ("a\rb", "a\\rb"),
    "direction": ("a\u202eb", "a\\u202eb"),
    "half": ("caf\udce9", "caf\\udce9"),
    "lines": ("a\tb\nc", "a\tb\nc"),
    "words": ("Grüße, 世界 🎉", "Grüße, 世界 🎉"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_text_is_shown(case):
    text, expected = TEXTS[case]
    assert shown(text) == expected
    assert "\n" not in shown_line(text)
    assert "\t" not in shown_line(text)
    target = io.StringIO()
    assert Screen(target).write(text) == len(expected)
    assert target.getvalue() == expected


def test_a_terminal_without_unicode(tmp_path):
    with (tmp_path / "out").open("w", encoding="ascii") as target:
        Screen(target).write("Grüße \udce9")
    assert (tmp_path / "out").read_text() == "Gr\\xfc\\xdfe \\udce9"


SOURCE = f"""
import os
from turnout import log_artifact, log_metric, log_params, pipeline, step
ODD = {ODD!r}

@step
def fine(text: str) -> str:
    log_metric(ODD, 1.0)
    log_params({{ODD: ODD, "half": os.fsdecode(b"caf\\xe9"), "digits": 10 ** 5000}})
    log_artifact(ODD, {{"a": 1}})
    print(ODD)
    return ODD

@step
def fails(text: str) -> int:
    raise ValueError(ODD + os.fsdecode(b"caf\\xe9") + text)

@pipeline
def flow(text: str = ODD):
    fails(fine(text))
"""


class Shop:
    def __init__(self, root) -> None:
        self.root = root
        self.first = ""
        self.environ = {**os.environ, "TURNOUT_CACHE": str(root.parent / "cache"), "COLUMNS": "500"}

    def command(self, *arguments: str) -> list[str]:
        return [*TURNOUT, *arguments]

    def piped(self, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            self.command(*arguments), cwd=self.root, env=self.environ, capture_output=True, timeout=120, check=False
        )
        return done.returncode, (done.stdout + done.stderr).decode()

    def on_terminal(self, *arguments: str) -> tuple[int, str]:
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            self.command(*arguments), cwd=self.root, env=self.environ, stdout=follower, stderr=follower, stdin=follower
        )
        os.close(follower)
        data = b""
        while select.select([leader], [], [], 100)[0]:
            try:
                piece = os.read(leader, 1 << 16)
            except OSError:
                break
            if not piece:
                break
            data += piece
        os.close(leader)
        return process.wait(), data.decode()


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    made = Shop(write_project(tmp_path_factory.mktemp("odd") / "shop", {"flow.py": SOURCE}, name="shop"))
    code, text = made.piped("run", "flow.py", "--tag", f"odd={ODD}", "--tag", "half=caf\udce9")
    assert code == 1, text
    harmless(text)
    made.first = json.loads(made.piped("runs", "list", "--json")[1])[0]["run"]
    return made


def harmless(text: str) -> None:
    assert "Traceback (most recent call last):\n  File" not in text.replace("\r", "")
    for bad in ("\x1b]", "\x07", "\x1b[31mred", "\x9b", "\u202e", "\x08", "\x7f"):
        assert bad not in text


COMMANDS = (
    ("runs", "show", "latest"),
    ("runs", "list"),
    ("runs", "list", "--json"),
    ("runs", "show", "latest", "--json"),
    ("runs", "logs", "latest", "fine"),
    ("runs", "compare", "latest", "latest"),
    ("artifacts", "list"),
    ("artifacts", "show", "latest", "fine"),
    ("artifacts", "load", "latest", "fine"),
    ("explain", "flow.py"),
    ("explain", "latest", "fine"),
    ("run", "flow.py"),
    ("run", "flow.py", "--json"),
    ("sweep", "flow.py", "-p", f'text=["a{ODD}"]'),
    ("run", f"{ODD}.py"),
    ("runs", "show", ODD),
    ("artifacts", "load", "latest", ODD),
    (ODD,),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2])[:20])
def test_nothing_acts_on_who_looks(shop, command):
    for call in (shop.piped, shop.on_terminal):
        _, text = call(*command)
        harmless(text)
        assert "MarkupError" not in text
        if "--json" in command and call is shop.piped:
            json.loads(text[text.index("{") if text.lstrip()[0] != "[" else 0 :])


def test_what_was_written_is_shown(shop):
    _, text = shop.piped("runs", "show", shop.first)
    assert "tag        odd = [bold]\\x1b[31mred\\x1b]0;title\\x07" in text
    assert "half = caf\\udce9" in text
    assert "[/nothing]" in text
    assert "fails failed: ValueError: [bold]" in text
    _, text = shop.piped("artifacts", "load", "latest", "fine", "--json")
    assert json.loads(text) == ODD


# what is no UTF-8, and what has too many digits


ERRORS: dict[str, str] = {
    "bytes in a text": 'raise ValueError(os.fsdecode(b"caf\\xe9"))',
    "bytes in a cause": 'raise ValueError("x") from KeyError(os.fsdecode(b"caf\\xe9"))',
    "bytes in a name": 'raise type("Caf\\udce9", (Exception,), {})("x")',
    "bytes in a group": 'raise OSError(2, "x", os.fsdecode(b"caf\\xe9"))',
    "digits": "raise ValueError(10 ** 5000)",
    "digits in a list": "raise ValueError([10 ** 5000])",
    "no text": 'raise type("Odd", (Exception,), {"__str__": lambda self: 1})()',
    "a text that fails": 'raise type("Odd", (Exception,), {"__str__": lambda self: 1 / 0})()',
    "control characters": 'raise ValueError("\\x1b[31m\\0\\x9b")',
}


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_is_on_record(bench, case):
    bench.write(f"import os\n\ndef fail():\n    {ERRORS[case]}\n")
    bench.make(bench.step("fail"))
    done = bench.process("step", "--step", "fail")
    assert done.returncode == 1
    assert bench.outcome(done)["state"] == "failed"
    (attempt,) = bench.attempts("fail")
    assert attempt.failure is not None
    assert attempt.failure.message
    assert ", in fail" in attempt.failure.traceback
    if "bytes in a text" in case:
        assert attempt.failure.message == "ValueError: caf\\udce9"
    if case == "digits":
        assert attempt.failure.message == f"ValueError: {hex(10**5000)}"


VALUES: dict[str, Any] = {
    "bytes": "caf\udce9",
    "in a list": ["caf\udce9"],
    "a key": {"caf\udce9": 1},
    "digits": 10**5000,
    "digits in a list": [1, 10**5000],
    "minus": -(10**5000),
    "control characters": "\x00\x1b[31m\x9b",
    "a long text": "\udce9" * 5000,
}


@pytest.mark.parametrize("case", VALUES)
def test_a_value_is_kept(bench, case):
    value = VALUES[case]
    shown_ = {"digits": "10 ** 5000", "digits in a list": "[1, 10 ** 5000]", "minus": "-(10 ** 5000)"}
    bench.write(f"def make():\n    return {shown_.get(case) or repr(value)}\n\ndef same(x):\n    return x\n")
    bench.make(bench.step("make"), bench.step("same", x=bench.out("make")))
    assert bench.run() == {"succeeded": 2}
    assert bench.value("same") == value


@pytest.mark.parametrize("case", VALUES)
def test_a_value_is_logged(bench, case):
    shown_ = {"digits": "10 ** 5000", "digits in a list": "[1, 10 ** 5000]", "minus": "-(10 ** 5000)"}
    text = shown_.get(case) or repr(VALUES[case])
    bench.write(f"from turnout import log_params\n\ndef log():\n    log_params({{'x': {text}}})\n")
    bench.make(bench.step("log", outputs=()))
    assert bench.call("log").state == "succeeded"
    assert "x" in bench.record("log").logged.params


def test_parameters_are_refused_with_a_reason(bench):
    bench.write("def same(x):\n    return x\n")
    for kind, value, reason in (
        ("str", "caf\udce9", "half a character"),
        ("json", {"a": "\ud800"}, "half a character"),
        ("int", "9" * 5000, "too many digits"),
        ("int", 10**5000, "more digits than JSON is read with"),
        ("timedelta", "9" * 5000, "too many digits"),
    ):
        bench.make(bench.step("same", x=bench.param("p")), params=(bench.declare("p", kind),))
        with pytest.raises(ConfigError, match=reason) as refused:
            bench.open({"p": value})
        assert len(str(refused.value)) < 1000
