"""A definition is what its files say when it is run: an edit after the import counts, for wiring and bodies alike."""

import subprocess
import sys

import pytest

FILES = {
    "pyproject.toml": "[project]\nname = 'house'\nversion = '1'\n",
    "config.py": "N = 1\n",
    "parts.py": "from turnout import step\n\n\n@step\ndef one(n: int) -> int:\n    return n * 10\n",
    "house.py": """\
from turnout import pipeline
from config import N
from parts import one


@pipeline
def house():
    one(N)


@pipeline
def other():
    one(N + 100)
""",
}
HEAD = """\
from pathlib import Path

def edit(file, old, new):
    path = Path(file)
    path.write_text(path.read_text().replace(old, new))

def loaded(*pipelines):
    return [pipeline.run()["one"].load() for pipeline in pipelines]

from house import house, other
"""
EDITS = {
    "the wiring": ("house.py", "one(N)", "one(N + 1)", [20, 1010]),
    "a body": ("parts.py", "10", "20", [20, 2020]),
    "what the wiring uses": ("config.py", "1", "2", [20, 1020]),
}


@pytest.fixture
def call(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)

    def call(text):
        words = [sys.executable, "-c", HEAD + text]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done

    return call


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("before", ["", "loaded(house, other)\n"])
def test_an_edit_after_the_import_counts(call, name, before):
    file, old, new, values = EDITS[name]
    done = call(f"{before}edit({file!r}, {old!r}, {new!r})\nprint(loaded(house, other), loaded(other, house))")
    assert (done.stdout, done.stderr) == (f"{values} {values[::-1]}\n", "")


def test_modules_stay_the_objects_that_they_were_and_those_that_were_not_needed_follow(call, tmp_path):
    (tmp_path / "more.py").write_text(FILES["house.py"].replace("house", "more").replace("other", "most"))
    done = call(
        "import importlib, config, parts, more, house as module\nkept = more.more.named('kept')\n"
        "edit('config.py', '1', '2')\nprint(loaded(house), config.N, module.house is house)\n"
        "print(loaded(more.more, kept, more.most, other))\n"
        "edit('parts.py', '10', '20')\nprint(loaded(more.more), loaded(house))\n"
        "edit('config.py', '2', '3')\nimportlib.reload(config)\nimportlib.reload(module)\nprint(loaded(house))"
    )
    assert done.stdout == "[20] 2 False\n[20, 20, 1020, 1020]\n[40] [40]\n[60]\n"


def test_a_pipeline_that_is_not_there_any_more_or_cannot_be_read(call):
    done = call(
        "edit('house.py', 'def other', 'def another')\n"
        "try: other.run()\nexcept Exception as error: print(type(error).__name__, error)\n"
        "edit('house.py', 'def another', 'def (')\n"
        "try: house.run()\nexcept Exception as error: print(type(error).__name__, error)\n"
        "edit('house.py', 'def (', 'def other')\nprint(loaded(house, other))"
    )
    assert "DefinitionError house.py has no pipeline 'other' any more" in done.stdout
    assert "DefinitionError house has changed and cannot be imported again: SyntaxError" in done.stdout
    assert done.stdout.endswith("[10, 1010]\n")


def test_of_a_pipeline_in_no_file_the_difference_is_told(call):
    done = call(
        "from turnout import pipeline\nfrom parts import one\n"
        "exec(compile('@pipeline\\ndef cell(): one(3)', '<ipython-input-1>', 'exec'))\n"
        "print(loaded(cell))\nedit('parts.py', '10', '20')\nprint(loaded(cell))"
    )
    assert done.stdout == "[30]\n[60]\n"
    assert "parts.py changed after the import" in done.stderr
    assert "run its cell again" in done.stderr
