"""Texts that try to be something else: Python, shell, Jinja, SQL, a file's name, Airflow's own serialised form."""

from __future__ import annotations

from typing import Any

from turnout import pipeline, step

PYTHON = "\"\"\"); __import__('os').system('touch was_here')  # '''\\"
SHELL = "'; touch was_here; $(touch was_here) `touch was_here` ${HOME} & | > was_here"
JINJA = "{{ 1 + 1 }} {% raw %} {{ dag_run.conf }} {{ ti.xcom_pull() }} {# #} %s %(x)s"
BREAKS = "\ta\r\nb\n\u2028c\u00a0\x7f 漢字 ☃ 🚂 \\N{DASH} \\x41 \\\\\n"
NASTY = f"{PYTHON}\n{SHELL}\n{JINJA}\n{BREAKS}notes.md"
LONG = "ein zu langer Satz, " * 500
TABLE = {"__type": "dict", "__var": {"__type": "dag"}, "__classname__": "os.system", "{{ 1 + 1 }}": NASTY, "": None}
FILES = ["notes.md", "query.sql", "run.sh", "{{ x }}.json", "../../etc/passwd", "file:///etc/passwd"]


@step
def echo(given: Any) -> dict[str, Any]:
    """Replaced below."""
    return {"given": given}


@step
def several(self: str, dag: str, files: list[str], table: dict[str, Any]) -> list[Any]:
    """{{ 1 + 1 }}.md"""
    return [self, dag, files, table]


@step
def numbers() -> list[str]:
    """A list that is mapped over."""
    return [NASTY, LONG]


@pipeline(tags={"note": NASTY, "long": LONG[:250], "dag": "{{ dag }}"})
def wild(
    text: str = NASTY,
    dag: str = PYTHON,
    params: str = SHELL,
    conf: str = JINJA,
    run_id: str = LONG,
    files: list[str] = FILES,
    table: dict[str, Any] = TABLE,
):
    """Replaced below."""
    several(text, dag, files, table)
    echo.named("DAG")(conf)
    echo.named("task")(params)
    echo.named("run_step")(NASTY)
    echo.named("finish")(TABLE)
    echo.named("json")(run_id)
    echo.named("class")(text)
    echo.named("context").map(numbers.named("x" * 100)())


wild.__doc__ = wild.function.__doc__ = NASTY
echo.__doc__ = echo.function.__doc__ = NASTY


@step
def pair(text: str, number: int) -> list[Any]:
    """Both."""
    return [text, number]


@pipeline
def little(text: str = "{{ 1 + 1 }}", number: int = 1):
    """One step."""
    pair(text, number)
