"""The suites can fail: each of these small mistakes of a plugin's author is caught by the test that is there for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from turnout.cli.scaffold import NewPlugin

MISTAKES = [
    ("tracker", "str(p.sequence): [", "str(len(known['points']) + p.sequence): [", "sending_again"),
    ("tracker", ".{batch.attempt}.json", ".json", "second_attempt"),
    ("tracker", 'f"{batch.step}/{batch.index}"', "batch.step", "lose_and_double"),
    ("tracker", "shutil.copyfile(path, target / path.name)", "pass", "artifacts_arrive"),
    (
        "tracker",
        'name = "mutant"',
        'name = "mutant"\n    __init__ = lambda self, c: open("x", "w").close()',
        "does_nothing",
    ),
    ("tracker", "import json\n", "import json\nimport numpy\n", "does_nothing"),
    (
        "tracker",
        'Annotated[str, msgspec.Meta(description="The folder of runs, as workers see it.")]',
        "str",
        "described",
    ),
    ("feature_store", "since <= time and", "since <= time + timedelta(seconds=1) and", "before_at_after"),
    ("feature_store", "since <= time and", "since < time and", "newest_row"),
    ("feature_store", "<= until]", "]", "newest_that_was_materialized"),
    ("feature_store", "key=lambda one: one[:3]", "key=lambda one: one[2]", "leaks"),
    ("feature_store", "created <= known", "True", "known_at"),
    ("feature_store", '"rows": [*known, *rows]', '"rows": rows', "keeps_what_is_newer"),
    ("deployer", "endpoint.encode()}", "str(hash(endpoint.name)).encode()}", "compiling_is_pure"),
    ("deployer", "service.predict(rows)", "sorted(service.predict(rows))", "row_for_row"),
    (
        "deployer",
        'raise DeployError(f"the endpoint {name} refuses the rows: {refused}") from None',
        "return [refused]",
        "bad_rows",
    ),
    ("deployer", "if share != 1.0:", "if False:", "shares_are"),
    ("materializer", "encode(value.numbers)", "encode(sorted(value.numbers))", "tells_values_apart"),
    ("materializer", "encode(value.numbers)", "str(hash(str(value.numbers))).encode()", "every_process"),
    (
        "materializer",
        "json.loads((folder",
        "__import__('pickle').loads(b'cbuiltins\\nset\\n.') or json.loads((folder",
        "marked_one",
    ),
    ("observer", "partial.rename", "(folder / f'{name}b.json').write_bytes(encode(event)); partial.rename", "in_order"),
    ("observer", "{time.time_ns():020}-{os.getpid()}", "{event.index}", "lose_and_double"),
    ("secret_store", "secrets.get(name)", "secrets.get(name.rpartition('/')[2])", "odd_name"),
    ("secret_store", "secrets.get(name)", "secrets[name]", "is_none"),
    ("secret_store", "the key {name!r} of", "{self.get(name)}", "hint"),
    ("policy", "place=step.place,", "", "with_its_fix"),
    ("policy", "fix=f", "fix='' and f", "with_its_fix"),
    ("policy", "> self.config.retries", "> __import__('os').getpid()", "with_its_fix"),
    ("orchestrator", 'Capability.MAP: "native"', 'Capability.MAP: "perhaps"', "capability_is_answered"),
    ("artifact_store", "INSERT OR IGNORE", "INSERT OR REPLACE", "taken_once"),
]


ONLY = """
def pytest_collection_modifyitems(config, items):
    items[:] = [item for item in items if item.path.parent.parent.name not in ONLY or ONLY[item.path.parent.parent.name] in item.name]
"""
"""A conftest that leaves each plugin the one test that is there for its mistake: one process for all of a kind."""


@pytest.mark.parametrize("kind", sorted({kind for kind, *_ in MISTAKES}))
def test_mistakes_are_caught(kind, tmp_path):
    expected = {}
    for number, (_, right, wrong, test) in enumerate(one for one in MISTAKES if one[0] == kind):
        name = f"mutant{number}"
        expected[name] = test
        write(tmp_path / name, name, kind, right, wrong)
    (tmp_path / "conftest.py").write_text(f"ONLY = {expected!r}\n{ONLY}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "."],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(tmp_path / name / "src") for name in expected)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    said = done.stdout.rpartition("short test summary")[2]
    for name, test in expected.items():
        found = [line for line in said.splitlines() if f"{name}/" in line]
        assert found, f"no test caught the mistake that {test} is there for:\n{done.stdout}"
        assert all(line.startswith("FAILED") and test in line for line in found), "the test must fail, not the fixtures"


def write(folder, name, kind, right, wrong):
    """A new plugin with one mistake, as if it were installed."""
    for place, text in NewPlugin(name, kind).files().items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if place == f"src/turnout_{name}/{kind}.py":
            right, wrong = right.replace("mutant", name), wrong.replace("mutant", name)
            assert right in text
            path.write_text(text.replace(right, wrong))
        else:
            path.write_text(text)
    info = folder / "src" / f"turnout_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: turnout-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[turnout]\n{name} = turnout_{name}\n")
