"""Mistakes that are near to what was meant: each answer says what to type instead."""

from __future__ import annotations

import re

from projects import call_here, project_fixture

FILES = {
    "flow.py": """\
from turnout import File, pipeline, step


@step
def numbers(count: int) -> list[int]:
    return list(range(count))


@step
def total(values: list[int]) -> int:
    return sum(values)


@pipeline
def flow(count: int = 3):
    total(numbers(count))


@step
def size(path: File) -> int:
    return len(path.read_bytes())


@pipeline
def fetched(path: File = "http://127.0.0.1:9/data.csv"):
    size(path)
""",
    "slips.py": """\
from turnout import pipeline, step


@step
def asks() -> str:
    return input("which? ")


@step
def stops() -> int:
    breakpoint()
    return 1


@step
def reads() -> str:
    return open("data.csv").read()


@step
def imports() -> None:
    import nothing_of_that_name


@pipeline
def slips():
    asks()
    stops()
    reads()
    imports()


@step
def numbers(count: int) -> list[int]:
    return list(range(count))


@pipeline
def closed(depth: int = 3):
    @step
    def deep(values: list[int]) -> int:
        return depth * sum(values)

    deep(numbers(2))


@pipeline
def printed(count: int = 3):
    print(f"they are {numbers(count)}")


@pipeline
def added(count: int = 3):
    numbers(count + 1)
""",
    "needs.py": "import nothing_of_that_name\n",
    "docs/notes.txt": "",
    "stacks/here.yaml": "extends: local\norchestrator: {isolation: worker}\n",
    "stacks/text.yaml": 'extends: local\nartifact_store: "s3://bucket/x"\ntracker: mlflow\n',
    "stacks/hidden.yaml": 'extends: local\nartifact_store: "http://ann:pw@x/y"\n',
}
NEAR = (
    ("run", "."),
    ("run", "docs"),
    ("run", "flwo.py"),
    ("run", "needs.py"),
    ("artifacts", "load", "latest"),
    ("artifacts", "show", "latest"),
    ("artifacts", "load", "latest", "total:output"),
    ("artifacts", "load", "latest", "totl"),
    ("runs", "logs", "latest", "totl"),
    ("runs", "show", "latest:total"),
    ("runs", "show", "flow:total"),
    ("stack", "show", "text"),
    ("stack", "show", "hidden"),
)


project = project_fixture(FILES, name="near", dependencies=())


def test_what_is_nearly_right_is_answered_with_what_to_type(project, capsys, snapshot):
    call_here("run", "flow.py:flow")
    capsys.readouterr()
    answers = []
    for words in NEAR:
        call_here(*words, code=2)
        said = re.sub(r"\b[a-z2-7]{20}\b", "RUN", capsys.readouterr().err.replace(str(project), "PROJECT"))
        answers.append(f"$ turnout {' '.join(words)}\n{said}")
    assert answers == snapshot


def test_steps_and_pipelines_that_forget_where_they_run(project, capsys, snapshot):
    call_here("run", "slips.py:slips", "--stack", "local", code=1)
    out = capsys.readouterr().out
    told = re.sub(r"(?s)    Traceback .*?\n    \n", "", out[out.index("asks failed") : out.index("try next")])
    answers = [re.sub(r"(?<=turnout debug )[a-z2-7]{8}", "RUN", told)]
    for name in ("closed", "printed", "added"):
        call_here("run", f"slips.py:{name}", code=2)
        answers.append(capsys.readouterr().err)
    assert answers == snapshot


def test_a_cache_folder_that_others_can_write_to_is_refused(project, capsys, snapshot, monkeypatch):
    folder = project.parent / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    monkeypatch.setenv("TURNOUT_CACHE", str(folder))
    call_here("run", "flow.py:flow", code=1)
    said = re.search(r"^numbers failed: .*(?:\n  .*)*", capsys.readouterr().out, re.MULTILINE)
    assert re.sub(r"(?<=of-)\d+", "USER", said.group().replace(str(folder), "SHARED")) == snapshot


def test_a_url_that_is_not_there_is_told_without_a_librarys_traceback(project, capsys, snapshot):
    call_here("run", "flow.py:fetched", code=1)
    said = capsys.readouterr().out
    assert re.search(r"^size failed: .*(?:\n  .*)*", said, re.MULTILINE).group() == snapshot
    assert "urllib" not in said


def test_a_run_without_the_cache_says_whether_later_ones_may_use_it(project, capsys, snapshot):
    call_here("run", "flow.py:flow", "--no-cache")
    said = re.search(r"^without the cache.*\n", capsys.readouterr().out, re.MULTILINE)
    assert said.group() == snapshot
    call_here("run", "flow.py:flow")
    assert "cached" not in capsys.readouterr().out
    call_here("explain", "flow.py:flow")
    said = capsys.readouterr().out
    assert re.search(r"numbers +step +not cacheable\n", said)
    assert re.search(r"total +step +cacheable +needs numbers\n", said)
