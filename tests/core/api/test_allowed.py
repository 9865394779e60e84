"""A run is started, and an earlier one read, where that happens once: not in a step, nor whenever a module is imported."""

import json
import subprocess
import sys

import pytest
from projects import IN_PROCESS, write_project

STEPS = """\
import multiprocessing, os, sys, threading
import turnout
from turnout import pipeline, step


def double(x):
    return x * 2


@step
def one() -> int:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return sum(pool.map(double, [1]))


@pipeline
def house():
    one()


"""
AT_THE_TOP = {
    "run": "run = house.run()",
    "submit": "house.submit().wait()",
    "sweep": "house.sweep()",
    "in a function": "def main():\n    for _ in range(2):\n        house.run()\nmain()",
    "in a block": "try:\n    with open(os.devnull):\n        house.run()\nfinally:\n    pass",
    "a condition that holds for workers, too": "if os.environ.get('PATH'):\n    house.run()",
    "runs": "print(turnout.runs())",
    "Run": "try:\n    turnout.Run('latest')\nexcept turnout.ConfigError:\n    pass",
    "compare": "try:\n    turnout.compare('a', 'b')\nexcept turnout.ConfigError:\n    pass",
    "artifact": "try:\n    turnout.artifact('champion')\nexcept turnout.ConfigError:\n    pass",
}
FINE = {
    "guarded": "",
    "a condition that holds here alone": "if len(sys.argv) > 1 and sys.argv[1] == 'go':\n    house.run()",
    "guarded by and": "__name__ == '__main__' and house.run()",
    "in a function that is guarded": "def main():\n    house.run()\nif __name__ == '__main__':\n    main()",
}
GUARDED = "\nif __name__ == '__main__':\n    print(house.run()['one'].load(), len(turnout.runs()))\n"


@pytest.fixture
def folder(tmp_path):
    return write_project(tmp_path, {"stacks/inline.yaml": IN_PROCESS}, name="house")


def call(folder, *words):
    return subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", AT_THE_TOP)
def test_what_every_import_would_do_again_is_refused_before_any_step(folder, name):
    reads = name in {"runs", "Run", "compare", "artifact"}
    (folder / "house.py").write_text(STEPS + AT_THE_TOP[name] + (GUARDED if reads else "\n"))
    script = ["-m", "house"] if name == "run" else ["house.py"]
    for command in (script, ["-m", "turnout.cli", "run", "house.py"]):
        done = call(folder, *command)
        assert done.returncode == 2, (command, done.stderr)
        assert done.stderr.count("error:") == 1, done.stderr
        assert "is called when its module is imported" in done.stderr
        assert done.stderr.startswith("error: house.py:")
        assert 'fix: put it under if __name__ == "__main__":' in done.stderr
        assert "Traceback" not in done.stderr
    assert not list(folder.rglob("run.json"))


@pytest.mark.parametrize("name", FINE)
def test_what_happens_once_runs(folder, name):
    (folder / "house.py").write_text(STEPS + FINE[name] + GUARDED)
    done = call(folder, "house.py", "go")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout == f"2 {1 if name == 'guarded' else 2}\n"
    assert call(folder, "-m", "turnout.cli", "run", "house.py").returncode == 0


def test_a_script_that_no_worker_imports_runs_what_it_likes(folder):
    (folder / "house.py").write_text(STEPS)
    (folder / "go.py").write_text("import turnout\nfrom house import house\nhouse.run()\nprint(len(turnout.runs()))\n")
    done = call(folder, "go.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_a_package_that_runs_what_is_in_it_whenever_it_is_imported(folder):
    (folder / "pkg").mkdir()
    (folder / "pkg" / "house.py").write_text(STEPS)
    (folder / "pkg" / "__init__.py").write_text("from pkg.house import house\n\nhouse.run()\n")
    (folder / "go.py").write_text("import pkg\n")
    for command in (["go.py"], ["-m", "turnout.cli", "run", "pkg/house.py"]):
        done = call(folder, *command)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("error: pkg/__init__.py:3: house.run() is called when its module is imported")


INSIDE = {
    "turnout.runs()": "return str(turnout.runs())",
    "turnout.Run()": "return turnout.Run('latest').id",
    "turnout.compare()": "return str(turnout.compare('a', 'b'))",
    "turnout.artifact()": "return str(turnout.artifact('champion'))",
    "other.run()": "return other.run().id",
    "other.submit()": "return other.submit().id",
}


@pytest.mark.parametrize("stack", ["local", "inline"])
def test_a_step_starts_and_reads_no_runs(folder, stack):
    steps = [f"@step\ndef step_{n}() -> str:\n    {body}\n\n" for n, body in enumerate(INSIDE.values())]
    calls = "".join(f"    step_{n}()\n" for n in range(len(INSIDE)))
    text = STEPS.replace("def house", "def other") + "".join(steps) + f"@pipeline\ndef house():\n{calls}"
    (folder / "house.py").write_text(text)
    done = call(folder, "-m", "turnout.cli", "run", "house.py:house", "--stack", stack, "--json")
    assert done.returncode == 1, done.stderr
    messages = [step["error"] for step in json.loads(done.stdout)["steps"]]
    for what, message in zip(INSIDE, messages, strict=True):
        assert f"{what} is called inside a step" in message
        assert "fix: " in message


def test_a_pipelines_function_starts_and_reads_no_runs(folder):
    for body, fix in (("house.run()", "call the pipeline itself"), ("turnout.runs()", "hand the value on")):
        (folder / "house.py").write_text(STEPS + f"@pipeline\ndef outer():\n    one()\n    {body}\n")
        done = call(folder, "-m", "turnout.cli", "run", "house.py:outer")
        assert done.returncode == 2
        assert "is called in a pipeline's function" in done.stderr
        assert fix in done.stderr


def test_a_process_that_a_step_starts_starts_no_run(folder):
    (folder / "house.py").write_text(STEPS)
    (folder / "go.py").write_text("from house import house\nhouse.run()\n")
    text = STEPS.replace("import multiprocessing", "import subprocess, multiprocessing").replace(
        "def house", "def outer"
    )
    text = text.replace("    with multi", '    subprocess.run([sys.executable, "go.py"], check=True)\n    with multi')
    (folder / "outer.py").write_text(text)
    done = call(folder, "-m", "turnout.cli", "run", "outer.py")
    assert done.returncode == 1
    assert len(list(folder.rglob("run.json"))) == 1
