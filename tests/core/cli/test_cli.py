"""The command line as it is typed: what it prints, where, and how it exits."""

import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from projects import IN_PROCESS, TURNOUT, Answer, project_fixture, write

import turnout as turnout_package
from turnout.base import canonical, clock
from turnout.components.orchestrator import RunStatus
from turnout.engines.local.adapter import InlineRun, LocalOrchestrator
from turnout.model.records import Mark

PIPELINE = '''\
from turnout import log_metric, pipeline, step, when


@step
def numbers(count: int) -> list[int]:
    return list(range(1, count + 1))


@step
def square(number: int) -> int:
    return number * number


@step
def total(squares: list[int]) -> int:
    log_metric("total", sum(squares))
    return sum(squares)


@step
def report(result: int) -> str:
    return f"the squares add up to {result}"


@pipeline
def squares(count: int = 3, threshold: int = 10):
    """Square some numbers."""
    result = total(square.map(numbers(count)))
    with when(result > threshold):
        report(result)
'''
FAILS = """\
from turnout import pipeline, step


@step
def first(x: int) -> int:
    return x


@step
def second(x: int) -> int:
    return check(x)


def check(x: int) -> int:
    raise ValueError(f"{x} [bold]is[/bold] too small\\nby far")


@step
def third(x: int) -> int:
    return x


@pipeline
def fails(x: int = 1):
    third(second(first(x)))
"""
FILES = {
    "stacks/inline.yaml": IN_PROCESS,
    "flow.py": PIPELINE,
    "fails.py": FAILS,
    "two.py": "from turnout import pipeline\nfrom flow import numbers, total\n\n\n@pipeline\ndef one():\n    numbers(1)\n\n\n"
    "@pipeline\ndef other():\n    numbers(2)\n",
}


project = project_fixture(FILES, dependencies=(), more="[tool.turnout]\nstack = 'inline'\n")


def plain(text: str, project: Path) -> str:
    """Without what differs from run to run: ids, times, digests, the folder."""
    for folder in (project / ".turnout" / "store" / "demo" / "runs").glob("*"):
        text = text.replace(folder.name, "RUN").replace(folder.name[:8], "RUN")
    text = text.replace(str(project), "PROJECT")
    text = text.replace(f"Python {sys.version_info.major}.{sys.version_info.minor}", "Python RUNNING")
    text = re.sub(r"(?m)^ +[~^]+\n", "", text)
    text = re.sub(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b", "UUID", text)
    text = re.sub(r"\b[0-9a-f]{12,64}\b", "DIGEST", text)
    text = re.sub(r"\b\d{10}\.DIGEST", "DIGEST", text)  # a claim begins with its time
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\b\d\d:\d\d:\d\d\b(?!Z)", "TIME", text)
    text = re.sub(r" +\d+\.\d s", " N s", text)
    return re.sub(r"\S+@\S+", "WHO", text)


def test_a_run_says_how_it_went_and_what_to_try_next(call, project, snapshot):
    answer = call("run", "flow.py")
    assert answer.code == 0
    assert plain(answer.out, project) == snapshot
    assert answer.err == ""


def test_what_it_says_to_try_next_works(call, project):
    answer = call("run", "flow.py")
    tried = [shlex.split(line, comments=True) for line in answer.out.partition("try next\n")[2].splitlines()]
    assert len(tried) in {5, 6}  # no log to be read where all is from the cache
    for command in tried:
        assert command[0] == "turnout"
        assert call(*command[1:]).code == 0, command


def test_try_next_names_the_stack_and_the_folder(call, project, monkeypatch):
    monkeypatch.chdir(project.parent)
    answer = call("run", "demo/flow.py", "--stack", "inline")
    after = answer.out.partition("try next\n")[2].splitlines()
    assert after[0] == "  cd demo"
    assert all(" --stack inline" in line.partition("  # ")[0] for line in after[1:]), after
    assert after[-1] == "  turnout explain flow.py --stack inline"
    assert "in demo/.turnout/store\n" in answer.out


def test_a_failed_run_shows_the_users_own_lines(call, project, snapshot):
    answer = call("run", "fails.py", "--stack", "local")
    assert answer.code == 1
    assert plain(answer.out, project) == snapshot


def test_a_mended_run_goes_on_where_it_failed(call, project):
    call("run", "fails.py")
    write(project, {"fails.py": FAILS.replace("return check(x)", "return 2 * x")})
    answer = call("run", "fails.py", "--reuse", "latest")
    assert answer.code == 0
    states = {
        step["step"]: bool(step["reused_from"])
        for step in json.loads(call("runs", "show", "latest", "--json").out)["steps"]
    }
    assert states == {"first": True, "second": False, "third": False}


def test_from_runs_a_step_and_all_that_need_it_again(call):
    call("run", "flow.py")
    answer = call("run", "flow.py", "--reuse", "latest", "--from", "total", "--json")
    assert answer.code == 0
    assert {step["step"] for step in json.loads(answer.out)["steps"] if not step["reused_from"]} == {
        "total",
        "when_1",
        "report",
    }


@pytest.mark.parametrize(
    "command",
    [
        ("run", "flow.py"),
        ("run", "fails.py"),
        ("runs", "list"),
        ("runs", "show", "latest"),
        ("artifacts", "list", "latest"),
        ("artifacts", "show", "latest", "square"),
        ("explain", "flow.py"),
        ("explain", "latest", "total"),
        ("explain", "flow.py", "--plan"),
        ("stack", "list"),
        ("stack", "show"),
        ("stack", "check"),
        ("stack", "diff", "local", "inline"),
        ("stack", "schema"),
        ("plugin", "list"),
    ],
    ids=" ".join,
)
def test_json_is_one_document_on_standard_output(call, project, command):
    call("run", "flow.py")
    write(project, {"flow.py": PIPELINE.replace("@pipeline\n", '@pipeline(schedule="@daily")\n')})
    answer = call(*command, "--json")
    assert answer.code == (1 if command == ("run", "fails.py") else 0)
    json.loads(answer.out)
    if command == ("run", "flow.py"):
        assert answer.err == "note: the schedule is not used by `run`: it takes effect with `turnout publish`\n"


def test_what_steps_print_in_this_process_is_no_part_of_the_document(call, project):
    write(project, {"flow.py": PIPELINE.replace("    return list", '    print("counting")\n    return list')})
    answer = call("run", "flow.py", "--json")
    assert json.loads(answer.out)["state"] == "succeeded"
    assert answer.err == "counting\n"


def test_parameters_time_and_tags(call):
    given = ("-p", "count=4", "-p", "threshold=1", "--at", "2026-03-01T06:00:00+02:00", "--tag", "why=test")
    document = json.loads(call("run", "flow.py:squares", *given, "--json").out)
    assert document["params"] == {"count": 4, "threshold": 1}
    assert document["logical_time"].startswith("2026-03-01T04:00:00")
    assert document["tags"] == {"why": "test"}
    assert document["metrics"] == {"total": 30.0}
    call("run", "flow", "--no-cache")
    assert [run["tags"] for run in json.loads(call("runs", "list", "--json").out)] == [{}, {"why": "test"}]
    assert [run["params"]["count"] for run in json.loads(call("runs", "list", "--tag", "why=test", "--json").out)] == [
        4
    ]
    assert json.loads(call("runs", "list", "--pipeline", "other", "--json").out) == []
    assert "no such runs of demo" in call("runs", "list", "--pipeline", "other").err


def test_looking_at_a_run(call, project, snapshot):
    call("run", "flow.py")
    shown = [
        call(*command)
        for command in (
            ("runs", "list"),
            ("runs", "show", "latest"),
            ("artifacts", "list", "latest"),
            ("artifacts", "show", "latest", "report"),
            ("artifacts", "load", "latest", "report"),
            ("artifacts", "load", "latest", "square"),
            ("artifacts", "load", "latest", "square.1"),
            ("artifacts", "load", "latest", "when_1"),
            ("explain", "latest", "report"),
            ("explain", "latest", "square.1"),
            ("explain", "flow.py"),
        )
    ]
    assert {answer.code for answer in shown} == {0}
    assert plain("\n".join(answer.out for answer in shown), project) == snapshot


def test_explaining_says_which_elements_of_a_list_differ(call, project):
    call("run", "flow.py", "-p", "count=6")
    call("run", "flow.py", "-p", "count=7")
    assert "input squares made by square: 6 -> 7 elements\n" in call("explain", "latest", "total").out
    write(project, {"flow.py": PIPELINE.replace("number * number", "number ** 3")})
    call("run", "flow.py", "-p", "count=7")
    explained = call("explain", "latest", "total").out
    assert re.search(r"input squares: (\w{12}, ){4}… \(7 elements\) from square.output\n", explained)
    assert re.search(r"input squares made by square: (\[[1-4]\] \w{12} -> \w{12}, ){4}and 2 more\n", explained)


@pytest.mark.parametrize("command", ["run", "explain", "export", "verify"])
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("total(square.map(numbers(cuont)))", "NameError: name 'cuont' is not defined"),
        ("__import__('json').loads('{')", "JSONDecodeError: Expecting property name"),
        ("raise SystemExit('enough')", "SystemExit: enough"),
    ],
)
def test_a_pipeline_whose_function_fails_is_a_mistake_at_its_line(call, project, command, line, said):
    text = PIPELINE.replace("    result = total(", f"    {line}\n    result = total(")
    write(project, {"flow.py": text})
    more = {"export": ("-o", "out"), "verify": ("--stack", "local", "--stack", "inline")}.get(command, ())
    answer = call(command, "flow.py", *more)
    number = text[: text.index(line)].count("\n") + 1
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: flow.py:{number}: the pipeline 'squares' cannot be defined: {said}")
    assert "Traceback" not in answer.err


def test_files_are_told_apart_by_their_names_and_the_start_of_their_digests(call, project):
    source = """\
        from turnout import File, pipeline, step

        @step
        def read(path: File) -> str:
            return path.read_text()

        @pipeline
        def flow(path: File = "a.txt"):
            read(path)
        """
    write(project, {"files.py": textwrap.dedent(source), "a.txt": "one", "b.txt": "two"})
    call("run", "files.py")
    call("run", "files.py", "-p", "path=b.txt")
    runs = json.loads(call("runs", "list", "--json").out)
    given = [run["params"]["path"] for run in reversed(runs)]
    one, two = (f"{path['name']} ({path['digest'][:12]})" for path in given)
    assert (one[:7], two[:7]) == ("a.txt (", "b.txt (")
    assert f"path: file = {one}\n" in call("explain", "files.py").out
    assert f"path = {two}\n" in call("runs", "show", "latest").out
    assert f"parameter\tpath\t{two}\t{one}\n" in call("runs", "compare", "latest", runs[1]["run"]).out
    explained = call("explain", "latest", "read").out
    assert f"input path: {two} from the parameter path\n" in explained
    assert f"parameter path: {given[0]['digest'][:12]} -> {given[1]['digest'][:12]}\n" in explained


def test_comparing_runs(call, project, snapshot):
    call("run", "flow.py")
    call("run", "flow.py")
    runs = [run["run"] for run in json.loads(call("runs", "list", "--json").out)]
    assert call("runs", "compare", *runs).out == "the runs are the same\n"
    write(project, {"flow.py": PIPELINE.replace("return sum(squares)", "return 10 * sum(squares)")})
    call("run", "flow.py", "-p", "count=2")
    assert plain(call("runs", "compare", runs[0], "latest").out, project) == snapshot
    found = json.loads(call("runs", "compare", runs[0], "latest", runs[1], "--json").out)
    assert {one["what"] for one in found["rows"]} == {"parameter", "file", "code", "step", "metric"}
    assert {"what": "parameter", "name": "count", "values": [3, 2, 3]} in found["rows"]
    assert [line for line in found["diff"].splitlines() if line.startswith(("-", "+"))] == [
        f"--- {runs[0][:8]}/flow.py",
        f"+++ {found['runs'][1][:8]}/flow.py",
        "-    return sum(squares)",
        "+    return 10 * sum(squares)",
    ]
    assert "+    return 10 * sum(squares)" in call("runs", "compare", runs[0], "latest", "--diff").out
    call("runs", "compare", runs[0], "latest", "--csv", "differences.csv")
    lines = (project / "differences.csv").read_text().splitlines()
    assert lines[0] == f"what,name,{found['runs'][0]},{found['runs'][1]}"
    assert "parameter,count,3,2" in lines
    assert call("runs", "compare", runs[0]).code == 2


def test_comparing_runs_tells_many_elements_by_one_digest(call, project):
    call("run", "flow.py", "-p", "count=300")
    write(project, {"flow.py": PIPELINE.replace("number * number", "number ** 3")})
    call("run", "flow.py", "-p", "count=300")
    first = json.loads(call("runs", "list", "--json").out)[1]["run"]
    (square,) = [
        row
        for row in json.loads(call("runs", "compare", first, "latest", "--json").out)["rows"]
        if (row["what"], row["name"]) == ("step", "square")
    ]
    assert all(re.fullmatch(r"succeeded 300 artifacts \w{12}", value) for value in square["values"])


def test_a_run_that_has_ended_is_not_stopped(call):
    call("run", "flow.py")
    answer = call("runs", "cancel", "latest")
    assert (answer.code, answer.out) == (1, "")
    assert "does not run on this machine" in answer.err


def test_a_run_of_another_engine(call, project):
    call("run", "flow.py")
    write(project, {"stacks/other.yaml": IN_PROCESS.replace("true", "true, instance: other")})
    for command in (("runs", "logs", "latest", "total"), ("runs", "cancel", "latest")):
        answer = call(*command, "--stack", "other")
        assert (answer.code, answer.out) == (2, "")
        assert "fix: give the run's own stack: --stack inline" in answer.err


def test_artifacts_are_copied_out(call, project):
    call("run", "flow.py")
    answer = call("artifacts", "load", "latest", "report", "--to", "out")
    assert answer == Answer(0, "out/output\n", "")
    assert ["the squares add up to 14" in path.read_text() for path in (project / "out" / "output").iterdir()] == [True]
    call("artifacts", "load", "latest", "square", "--to", "squares")
    assert sorted(path.name for path in (project / "squares").iterdir()) == [".turnout-files.json", "0", "1", "2"]
    assert "out exists already" in call("artifacts", "load", "latest", "report", "--to", "out").err
    paths = json.loads(call("artifacts", "load", "latest", "square", "--to", "more", "--json").out)
    assert paths == ["more/0/output", "more/1/output", "more/2/output"]


def test_values_are_printed_as_json(call, project):
    text = (project / "flow.py").read_text()
    write(project, {"flow.py": text.replace("-> str:", "-> complex:").replace("    return f", "    return 1j or f")})
    call("run", "flow.py")
    assert json.loads(call("artifacts", "load", "latest", "square", "--json").out) == [1, 4, 9]
    answer = call("artifacts", "load", "latest", "report", "--json")
    assert (answer.code, answer.out) == (2, "")
    assert "a value of type complex cannot be printed as JSON" in answer.err


WRONG = {
    "no command": ("rnu",),
    "no target": ("run",),
    "no file": ("run", "flw.py"),
    "no module": ("run", "flw:squares"),
    "no pipeline": ("run", "flow.py:squars"),
    "two pipelines": ("run", "two.py"),
    "no pipelines": ("run", "empty.py"),
    "option": ("run", "flow.py", "--prm", "x=1"),
    "parameter": ("run", "flow.py", "-p", "cuont=1"),
    "type of a parameter": ("run", "flow.py", "-p", "count=five"),
    "fraction": ("run", "flow.py", "-p", "count=3.5"),
    "not a pair": ("run", "flow.py", "-p", "count"),
    "tag": ("run", "flow.py", "--tag", "=x"),
    "time": ("run", "flow.py", "--at", "yesterday"),
    "from alone": ("run", "flow.py", "--from", "total"),
    "from where": ("run", "flow.py", "--reuse", "latest", "--from", "totl"),
    "reuse": ("run", "flow.py", "--reuse", "nothing"),
    "stack": ("run", "flow.py", "--stack", "inlin"),
    "accept": ("run", "flow.py", "--accept", "gpus"),
    "run": ("runs", "show", "zzz"),
    "step": ("explain", "latest", "totl"),
    "element": ("artifacts", "load", "latest", "square.7"),
    "elements": ("explain", "latest", "square"),
    "output": ("artifacts", "load", "latest", "total", "outptu"),
    "skipped": ("artifacts", "load", "latest", "report"),
    "no element": ("artifacts", "load", "latest", "report.1"),
    "syntax": ("run", "syntax.py"),
    "import": ("run", "imports.py"),
    "exit": ("run", "exits.py"),
    "name": ("run", "names.py"),
    "definition": ("run", "cyclic.py"),
    "hidden": ("run", "json.py"),
    "spaces": ("run", "a flow.py"),
    "bomb": ("run", "flow.py", "--stack", "bomb"),
    "tag of yaml": ("run", "flow.py", "--stack", "tagged"),
    "a file in the way": ("run", "flow.py", "--stack", "blocked"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_with_its_fix(call, project, name, snapshot):
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True))
    write(
        project,
        {
            "empty.py": "x = 1\n",
            "syntax.py": "def f(:\n    pass\n",
            "imports.py": "import os\n\nimport nothing_of_that_name\n",
            "exits.py": "import sys\n\nsys.exit(3)\n",
            "names.py": "from turnout import step\n\nx = undefined\n",
            "cyclic.py": "from turnout import pipeline, step\n\n\n@step\ndef a(x: int) -> int:\n    return x\n\n\n@pipeline\n"
            "def loop(n: int = 1):\n    if a(n):\n        a(n)\n",
            "json.py": PIPELINE,
            "a flow.py": PIPELINE,
            "taken": "a file",
            "stacks/bomb.yaml": f"extends: local\n{bomb}",
            "stacks/tagged.yaml": 'extends: local\ntracker: !!python/object/apply:os.system ["touch hacked"]\n',
            "stacks/blocked.yaml": f"{IN_PROCESS}artifact_store: {{root: taken/store}}\n",
        },
    )
    call("run", "flow.py", "-p", "threshold=100")
    before = json.loads(call("runs", "list", "--json").out)
    answer = call(*WRONG[name])
    assert answer.code == (1 if name in {"element", "elements", "skipped"} else 2)
    assert answer.out == ""
    assert answer.err.startswith("error: ")
    assert "\n  fix: " in answer.err
    assert plain(answer.err, project).replace(str(Path(json.__file__).parent), "PYTHON") == snapshot
    assert json.loads(call("runs", "list", "--json").out) == before
    assert not (project / "hacked").exists()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("two words", "' ' is not allowed"),
        ("a.b", "'.' is not allowed"),
        ("a/../b", "'/' is not allowed"),
        ("größe", "'ö' is not allowed"),
        ("x'; import os #", "is not allowed"),
        ("n" * 300, "it has 300 characters, 100 are allowed"),
        ("2fast", "'2' is not allowed at the start"),
        ("", "it is empty"),
    ],
)
def test_names_that_cannot_be_used(call, project, name, why):
    write(
        project,
        {
            "named.py": "from turnout import pipeline, step\n\n\n@step\ndef a() -> int:\n    return 1\n\n\n"
            f"@pipeline\ndef p():\n    a.named({name!r})()\n",
            "called.py": f"from turnout import pipeline\n\n\n@pipeline(name={name!r})\ndef p():\n    pass\n",
        },
    )
    for target, line in (("named.py", 11), ("called.py", 4)):
        answer = call("run", target)
        assert (answer.code, answer.out) == (2, "")
        assert f"{target}:{line}: " in answer.err
        assert why in answer.err
        assert "fix: use " in answer.err
    assert not (project / ".turnout" / "store").exists()


def test_names_that_differ_in_case_only(call, project):
    text = "from turnout import pipeline, step\n\n\n@step\ndef a() -> int:\n    return 1\n\n\n@pipeline\ndef p():\n"
    write(project, {"cases.py": text + '    a.named("Fit")()\n    a.named("fit")()\n'})
    answer = call("run", "cases.py")
    assert answer.code == 2
    assert "cases.py:12: the names 'Fit' and 'fit' differ in case only" in answer.err


def test_a_store_that_nobody_answers_for(call, project, monkeypatch):
    pytest.importorskip("obstore")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    write(
        project,
        {
            "stacks/far.yaml": f"{IN_PROCESS}artifact_store: {{root: 's3://bucket/x', endpoint: 'http://127.0.0.1:9', "
            "allow_http: true, region: none, timeout: 1, retries: 0}\n"
        },
    )
    answer = call("run", "flow.py", "--stack", "far")
    assert (answer.code, answer.out) == (2, "")
    assert "s3://bucket/x" in answer.err
    assert "127.0.0.1:9" in answer.err
    assert "fix: " in answer.err


def test_a_plan_of_a_newer_turnout_in_the_store(call, project):
    call("run", "flow.py")
    (plan,) = (project / ".turnout" / "store" / "plans").glob("*.json")
    newer = canonical.encode({**json.loads(plan.read_bytes()), "format": 9, "runtime": "9.1.0"})
    digest = canonical.digest(newer)
    (plan.parent / f"{digest}.json").write_bytes(newer)
    (run,) = (project / ".turnout" / "store" / "demo" / "runs").glob("*/run.json")
    run.chmod(0o644)
    run.write_bytes(canonical.encode({**json.loads(run.read_bytes()), "plan": digest}))
    answer = call("runs", "show", "latest")
    assert answer.code == 2
    assert f"the plan {digest[:12]} has format 9" in answer.err
    assert "fix: install turnout>=9.1.0" in answer.err


HELP = [
    "",
    "init",
    "run",
    "explain",
    "runs",
    "runs list",
    "runs show",
    "runs logs",
    "runs compare",
    "runs cancel",
    "artifacts",
    "artifacts list",
]
HELP += [
    "artifacts show",
    "artifacts load",
    "stack",
    "stack list",
    "stack show",
    "stack check",
    "stack diff",
    "stack schema",
]
HELP += ["plugin", "plugin list"]


@pytest.mark.parametrize("command", HELP)
def test_help(call, command):
    answer = call(*command.split(), "--help")
    assert answer.code == 0
    assert answer.out.startswith(f"Usage: turnout {command}".rstrip())
    assert all(len(line) <= 110 for line in answer.out.splitlines())
    for option in ("--json", "--stack"):
        if option in answer.out:
            assert re.search(rf"{option}[^\n]*\S  +\S|{option}[^\n]*\n +\S", answer.out)


def test_every_command_is_in_the_help(call):
    from turnout.cli.app import COMMANDS

    text = call("--help").out
    for name, (where, line) in COMMANDS.items():
        assert re.search(rf"\n  {name} +", text)
        module, _, attribute = where.partition(":")
        command = getattr(sys.modules.get(module) or __import__(module, fromlist=[attribute]), attribute)
        assert command.help, name
        assert name != "run" or command.help.startswith(line)
    assert call("--version").out.startswith("turnout, version ")
    assert call().code == 2


# --- In processes of their own -------------------------------------------------------------------------------------


def test_a_new_project_runs_and_passes_its_test_at_once(tmp_path):
    folder = "A first projéct"
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("TURNOUT", "PYTEST"))}

    def done(*command: str, cwd: Path = tmp_path / folder) -> str:
        ended = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    said = done(*TURNOUT, "init", folder, cwd=tmp_path)
    assert f"  cd '{folder}'\n  turnout run pipeline.py\n  pytest\n" in said
    said = done(*TURNOUT, "run", "pipeline.py")
    assert re.search(r"(?m)^\d\d:\d\d:\d\d  square\.4 +succeeded  \d+\.\d s$", said)
    assert re.search(r"(?m)^  total  55$", said)
    assert "\x1b" not in said
    run = json.loads(done(*TURNOUT, "runs", "show", "latest", "--json"))
    assert (run["project"], run["state"]) == ("A_first_project", "succeeded")
    assert "2 passed" in done(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    (tmp_path / folder / "pipeline.py").write_text("# mine\n")
    again = subprocess.run([*TURNOUT, "init", folder], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "error: A first projéct/pyproject.toml exists already\n  why: init overwrites nothing\n" in again.stderr
    assert (tmp_path / folder / "pipeline.py").read_text() == "# mine\n"


def test_logs_of_steps_in_workers(project):
    write(project, {"flow.py": PIPELINE.replace("    return list", '    print("counting to", count)\n    return list')})
    text = (project / "flow.py").read_text()
    write(
        project, {"flow.py": text.replace("    return number *", '    print("squaring", number)\n    return number *')}
    )

    def said(*arguments: str) -> str:
        return subprocess.run([*TURNOUT, *arguments], capture_output=True, text=True, check=True).stdout

    said("run", "flow.py", "--stack", "local")
    assert said("runs", "logs", "latest", "numbers", "--stack", "local") == "counting to 3\n"
    assert said("runs", "logs", "latest", "square.1", "--stack", "local") == "squaring 2\n"
    shown = said("runs", "logs", "latest", "square", "--stack", "local").splitlines()
    assert shown == [line for n in (0, 1, 2) for line in (f"--- square.{n}", f"squaring {n + 1}")]
    document = json.loads(said("runs", "logs", "latest", "square", "--stack", "local", "--json"))
    assert document["logs"] == {f"square.{n}": [f"squaring {n + 1}"] for n in (0, 1, 2)}


def on_a_terminal(command: list[str], cwd: Path, **environ: str) -> tuple[int, str]:
    """Run a command on a terminal of its own; its exit code and all that it wrote."""
    child, descriptor = pty.fork()
    if child == 0:
        os.chdir(cwd)
        os.execvpe(
            command[0], command, {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40", **environ}
        )
    written, deadline = b"", time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            if select.select([descriptor], [], [], 1)[0]:
                try:
                    data = os.read(descriptor, 65536)
                except OSError:
                    break
                if not data:
                    break
                written += data
        else:
            os.kill(child, signal.SIGKILL)
    finally:
        os.close(descriptor)
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), written.decode()


def test_the_live_view_draws_on_a_terminal(project):
    code, written = on_a_terminal([*TURNOUT, "run", "flow.py"], project)
    assert code == 0
    assert "\x1b[32m✓" in written
    assert "\x1b[?25l" in written  # the cursor is hidden while the table is redrawn …
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")  # … and shown again
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written[written.rindex("\x1b[?25h") :]).replace("\r", "")
    assert re.search(r"(?m)^  ✓ square +\d+\.\d s  3 elements$", last)
    assert "try next" in last


def test_no_color(project):
    code, written = on_a_terminal([*TURNOUT, "run", "flow.py"], project, NO_COLOR="1")
    assert code == 0
    assert "✓" in written
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", written)


RETRYING = """
from turnout import pipeline, step, when


@step(retries=3, retry_delay="2h", retry_backoff=2)
def measure(number: int) -> dict:
    return {"error": number}


@step
def publish(report: dict) -> None: ...


@pipeline
def nightly(number: int = 1):
    report = measure(number)
    with when(report["error"] < 0.5):
        publish(report)
"""


def test_explain_says_what_an_engine_adds_and_what_a_guard_goes_by(project, call):
    write(project, {"nightly.py": RETRYING, "air.yaml": "extends: local\norchestrator: {type: airflow}\n"})
    shown = call("explain", "nightly.py", "--stack", "air.yaml").out
    assert "  where measure['error'] < 0.5\n" in shown
    assert "  backoff        native: Airflow adds jitter: a growing delay is up to twice as long as asked for" in shown
    document = json.loads(call("explain", "nightly.py", "--stack", "air.yaml", "--json").out)
    assert set(document["remarks"]) == {"retries", "backoff"} <= set(document["capabilities"])
    assert [one["condition"] for one in document["steps"] if one["kind"] == "gate"] == ["measure['error'] < 0.5"]


def test_no_command_believes_an_engine_that_calls_a_failed_run_a_success(call, monkeypatch):
    """As Airflow would, where all that comes after the failed step is skipped; and the end is not marked."""
    monkeypatch.setattr(LocalOrchestrator, "status", lambda *_: RunStatus(state="succeeded"))
    monkeypatch.setattr(InlineRun, "wait", lambda *_: "succeeded")
    monkeypatch.setattr("turnout.engines.local.inline.finish_run", lambda _: Mark(time=clock.now(), state="succeeded"))
    ran = call("run", "fails.py", "--json")
    run = json.loads(ran.out)
    assert (ran.code, run["state"], run["marked"]) == (1, "failed", False)
    told = call("run", "fails.py")
    assert (told.code, "local has not marked its end" in told.out) == (1, True)
    swept = call("run", "fails.py", "--sweep", "x=1,2", "--json")
    assert (swept.code, [one["state"] for one in json.loads(swept.out)["runs"]]) == (1, ["failed", "failed"])
    assert {one["state"] for one in json.loads(call("runs", "list", "--json").out)} == {"failed"}
    assert json.loads(call("runs", "show", run["run"], "--json").out)["state"] == "failed"
    assert turnout_package.Run(run["run"]).state == "failed"
    assert [one.state for one in turnout_package.runs(state="failed", limit=2)] == ["failed", "failed"]
    verified = call("verify", run["run"], run["run"], "--json")
    assert (verified.code, json.loads(verified.out)["states"]) == (1, ["failed", "failed"])
    assert call("runs", "sync", run["run"]).out == f"the end of the run {run['run']} is marked: failed\n"
    assert json.loads(call("runs", "show", run["run"], "--json").out)["marked"] is True


def test_finding_a_pipeline_imports_nothing_that_serves():
    code = "import sys, turnout.cli.target; print([m for m in ('asyncio', 'turnout.serving') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
