"""What a piece of Python does when it runs, as its suites and the doctor are told."""

from __future__ import annotations

import pytest

from turnout.environment.probe import probe


def test_that_python_keeps_bytecode_is_nothing_that_the_code_does(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    (tmp_path / "never_imported_before.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    probed = probe("import never_imported_before")
    assert (probed.error, probed.acts) == ("", ())
    assert list((tmp_path / "__pycache__").iterdir())


@pytest.mark.parametrize(
    "code",
    [
        "open(argument, 'w').close()",
        "import os; os.close(os.open(argument, os.O_WRONLY | os.O_CREAT))",
        "import os; os.fdopen(os.open(argument, os.O_WRONLY | os.O_CREAT), 'w').close()",
    ],
)
def test_a_file_that_is_written_is_told_once(tmp_path, code):
    target = str(tmp_path / "left")
    assert probe(code, target).acts == (f"it writes to {target}",)
