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


@pytest.mark.parametrize(("kind", "right", "wrong", "test"), MISTAKES)
def test_a_mistake_is_caught(kind, right, wrong, test, tmp_path):
    for name, text in NewPlugin("mutant", kind).files().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == f"src/turnout_mutant/{kind}.py":
            assert right in text
            path.write_text(text.replace(right, wrong))
        else:
            path.write_text(text)
    info = tmp_path / "src" / "turnout_mutant-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: turnout-mutant\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[turnout]\nmutant = turnout_mutant\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", test],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert f"{test}" in done.stdout.rpartition("short test summary")[2]
    assert "error" not in done.stdout.splitlines()[-1], "the test must fail, not the fixtures"
