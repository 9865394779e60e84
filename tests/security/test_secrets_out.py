"""Whatever a step does with its secret, no byte of it leaves the worker, in no form and by no way."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from urllib.parse import quote

import numpy as np
import pytest

from turnout.base.redaction import STARS, Redactor
from turnout.model.plan import Component, Worker

SECRET = 'kanary/"9+wörd?Zq7'
PLAIN = "kanary9wordZq7x"
SHORT = "s3cret"
RAW = SECRET.encode()

HEADER = """
    import atexit, base64, json, os, subprocess, sys, threading, time
    from pathlib import Path
    from urllib.parse import quote
    import turnout
    from turnout import log_artifact, log_metric, log_params, log_table

    S = lambda: os.environ["PASSWORD"]
    SHORT = lambda: os.environ["SHORT"]

    class Holder:
        def __init__(self, held):
            self.held = held
"""


def forms() -> list[bytes]:
    """What must be nowhere: the secret in all its forms, whatever stands before it in base64."""
    found = [RAW, repr(SECRET)[1:-1].encode(), json.dumps(SECRET)[1:-1].encode(), quote(SECRET, safe="").encode()]
    for before in (b"", b"x", b"xy"):
        encoded = base64.b64encode(before + RAW + b"xyz")
        found.append(encoded[4:-8])
    return [*found, PLAIN.encode()]


def clean(data: bytes | str) -> None:
    data = data.encode(errors="surrogateescape") if isinstance(data, str) else data
    for form in forms():
        assert form not in data, form


@pytest.fixture
def attacked(bench, tmp_path):
    """A bench whose step ``attack`` has the body that is given, and the secrets."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name, text in {"odd": SECRET, "plain": PLAIN, "short": SHORT}.items():
        (folder / name).write_text(text)
    worker = Worker(secrets=Component(type="files", config={"folder": str(folder)}))

    def make(body: str, secret: str = "odd") -> None:
        lines = "\n".join(f"        {line}" for line in body.splitlines())
        bench.write(f"{HEADER}\n    def attack():\n{lines}\n")
        secrets = {"PASSWORD": secret, "SHORT": "short"}
        bench.make(bench.step("attack", secrets=secrets), worker=worker)

    bench.attack = make
    return bench


RAISED = {
    "an interrupt": "raise KeyboardInterrupt('with ' + S())",
    "an exit": "raise SystemExit('with ' + S())",
    "sys.exit": "sys.exit('with ' + S())",
    "an exit of another kind": "class Stop(BaseException): pass\nraise Stop('with ' + S())",
    "a text that is not UTF-8": "raise ValueError(os.fsdecode(b'caf\\xe9 ' + S().encode()))",
    "bytes": "raise ValueError(S().encode())",
    "base64": "raise ValueError(base64.b64encode(b'user:' + S().encode()).decode())",
    "base64 for URLs": "raise ValueError(base64.urlsafe_b64encode(b'u:' + S().encode()).decode())",
    "the name of a class": "raise type('Not' + S(), (Exception,), {})('no')",
    "a cause": "raise ValueError('no') from OSError(S())",
    "a note": "error = ValueError('no')\nerror.__notes__ = [S()]\nraise error",
    "a group": "raise (ExceptionGroup if sys.version_info >= (3, 11) else list)('x', [ValueError(S())])",
    "an error whose text fails": "class E(Exception):\n    def __str__(self): raise ValueError(S())\nraise E",
    "an error of turnout": "raise turnout.RunError('no', why=S(), fix=S())",
    "a name that does not exist": "globals()[S()]",
    "a path": "open('/nowhere/' + quote(S(), safe=''))",
}


@pytest.mark.parametrize("body", RAISED.values(), ids=RAISED)
def test_what_is_raised(attacked, body):
    attacked.attack(body)
    done = attacked.process("step", "--step", "attack", "--outcome", str(attacked.folder / "outcome.json"))
    assert done.returncode not in (0, 99)
    clean(done.stdout + done.stderr)
    clean(attacked.everything())
    (attempt,) = attacked.attempts("attack")
    assert STARS in done.stdout + done.stderr + attempt.failure.message or "cannot be made" in attempt.failure.message


PRINTED = {
    "atexit": "atexit.register(print, 'atexit', S())",
    "a child that lives on": (
        "subprocess.Popen([sys.executable, '-c', "
        "'import os, time; time.sleep(.5); print(os.environ[\"PASSWORD\"], flush=True)'])"
    ),
    "a thread that lives on": (
        "secret = S()\nthreading.Thread(target=lambda: (time.sleep(.5), print('thread', secret))).start()"
    ),
    "an object at the end": (
        "class Last:\n    def __init__(self, held): self.held = held\n"
        "    def __del__(self): os.write(2, self.held.encode())\nsys.last = Last(S())"
    ),
    "base64": "print(base64.b64encode(b'user:' + S().encode()).decode())\nos.write(1, base64.b64encode(S().encode()))",
    "bytes": "print(S().encode())\nprint(ascii(S()))",
    "a fork": "pid = os.fork()\nif not pid:\n    print('fork', S(), flush=True)\n    os._exit(0)\nos.waitpid(pid, 0)",
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("body", PRINTED.values(), ids=PRINTED)
def test_what_is_printed(attacked, body):
    attacked.attack(body + "\nreturn 1")
    done = attacked.process("step", "--step", "attack")
    assert done.returncode == 0, done.stderr
    assert attacked.outcome(done)["state"] == "succeeded"
    clean(done.stdout + done.stderr)
    clean(attacked.everything())


def test_what_atexit_and_threads_print_is_not_lost(attacked):
    attacked.attack(f"{PRINTED['atexit']}\n{PRINTED['a thread that lives on']}")
    done = attacked.process("step", "--step", "attack")
    assert f"atexit {STARS}" in done.stderr
    assert f"thread {STARS}" in done.stderr


NAMED = {
    "a metric": "log_metric('loss ' + S(), 1.0)",
    "a parameter": "log_params({'depth ' + S(): 1})",
    "an artifact": "log_artifact('model ' + S(), 1)",
    "a metric in base64": "log_metric(base64.b64encode(b'xy' + S().encode()).decode(), 1.0)",
}


@pytest.mark.parametrize("body", NAMED.values(), ids=NAMED)
def test_what_is_named(attacked, body, capfd):
    attacked.attack(body + "\nreturn 1")
    assert attacked.call("attack").exit_code == 0
    clean(attacked.everything())
    clean("".join(capfd.readouterr()))
    logged = attacked.record("attack").logged
    assert any(STARS in name for name in [*logged.params, *logged.artifacts, *(point.name for point in logged.points)])


RETURNED = {
    "bytes": "return S().encode()",
    "a text": "return 'with ' + S()",
    "a key": "return {S(): 1}",
    "a long text": "return 'x' * 10000 + S()",
    "long bytes": "return b'x' * 10000 + S().encode()",
    "a text as JSON": "return json.dumps({'p': S()})",
    "a long text as JSON": "return json.dumps({'p': S(), 'x': 'x' * 10000})",
    "a repr": "return repr([S()])",
    "a URL": "return 'postgres://u:' + quote(S(), safe='') + '@h'",
    "base64": "return base64.b64encode(S().encode()).decode()",
    "base64, shifted by one": "return base64.b64encode(b'u' + S().encode()).decode()",
    "base64, shifted by two": "return base64.b64encode(b'u:' + S().encode() + b'\\n').decode()",
    "base64 for URLs, long": "return base64.urlsafe_b64encode(b'x' * 10001 + S().encode()).decode()",
    "a pickle": "return Holder(S())",
    "a pickle of bytes": "return Holder(b'u:' + S().encode())",
    "a pickled closure": "s = S()\nreturn lambda: s",
    "a set": "return {S()}",
    "a table": "import pandas as pd\nreturn pd.DataFrame({'a': ['x'] * 99 + [S()]})",
    "a table of categories": "import pandas as pd\nreturn pd.DataFrame({'a': pd.Categorical(['x', S()])})",
    "a table of bytes": "import pyarrow as pa\nreturn pa.table({'a': [b'x', S().encode()]})",
    "a table in a mapping": "import pandas as pd\nreturn {'t': pd.DataFrame({'a': ['x', S()]}), 'n': 1}",
    "an array in a list": "import numpy as np\nreturn [np.array(['x', S()]), 1]",
    "a Parquet file of one's own": (
        "import pandas as pd\npd.DataFrame({'a': ['x', S()]}).to_parquet('o.parquet')\nreturn Path('o.parquet')"
    ),
    "a long mapping of JSON": "return {'x': 'x' * 10000, 'j': json.dumps({'p': S()})}",
    "a file's name in a folder": "p = Path('out')\n(p / S().replace('/', '')).mkdir(parents=True)\nreturn [S()]",
    "an Arrow table without rows": "import pyarrow as pa\nreturn pa.table({S(): pa.array([], pa.string())})",
    "the name of a column": "import pandas as pd\nreturn pd.DataFrame({S(): [1]})",
    "a nested table": "import pyarrow as pa\nreturn pa.table({'a': [[{'b': S()}]]})",
    "a table of Polars": "import polars as pl\nreturn pl.DataFrame({'a': ['x', S()]})",
    "an array of texts": "import numpy as np\nreturn np.array(['x', S()])",
    "an array of objects": "import numpy as np\nreturn np.array(['x', S()], dtype=object)",
    "a file": "p = Path('out.bin')\np.write_bytes(b'x' * 2_000_000 + S().encode())\nreturn p",
    "a list": "return [1, [2, S()]]",
    "the name of a class": "return type('K' + S(), (), {})()",
    "a short secret": "return SHORT()",
    "a short secret as bytes": "return SHORT().encode()",
    "an artifact": "log_artifact('x', 'x' * 10000 + S())\nreturn 1",
    "a logged table": "import pandas as pd\nlog_table('x', pd.DataFrame({'a': ['x', S()]}))\nreturn 1",
}


@pytest.mark.parametrize("secret", ["odd", "plain"])
@pytest.mark.parametrize("body", RETURNED.values(), ids=RETURNED)
def test_what_is_returned(attacked, body, secret, capfd):
    attacked.attack(body, secret)
    result = attacked.call("attack")
    assert result.exit_code == 2, result.message
    assert "returns or logs a value that holds a secret" in result.message or "cannot be saved" in result.message
    assert attacked.record("attack") is None
    clean(attacked.everything())
    clean("".join(capfd.readouterr()))


def test_a_short_secret_within_a_value_is_a_coincidence(attacked):
    attacked.attack("return ['x', SHORT(), 'x' + SHORT(), b'x' + SHORT().encode()]")
    assert attacked.call("attack").exit_code == 0


def test_a_secret_between_two_pieces_is_found():
    redactor = Redactor({PLAIN})
    for cut in range(1, len(PLAIN)):
        assert redactor.finds_in([b"x" * 50 + PLAIN[:cut].encode(), PLAIN[cut:].encode() + b"x"])
    assert not redactor.finds_in([b"x", b"kanary9word", b"-Zq7x"])


@pytest.mark.parametrize("dtype", ["U", "S"])
def test_wide_encodings_are_found(dtype):
    assert Redactor({PLAIN}).finds_in([np.array(["x", PLAIN]).astype(dtype).tobytes()])


LEFT = """
child = os.posix_spawn(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)"], os.environ)
Path(os.environ["PIDS"]).write_text(str(child))
return 1
"""


def test_a_step_ends_when_it_ends_though_a_child_lives_on(attacked, monkeypatch):
    """The child holds the pipes: neither the step nor who reads its output waits for it."""
    pids = attacked.folder / "pids"
    monkeypatch.setenv("PIDS", str(pids))
    attacked.attack(LEFT)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "turnout.runtime",
            *f"step --step attack --engine-run r --plan {attacked.plan.digest}".split(),
        ],
        env={**os.environ, "TURNOUT_STORE": str(attacked.folder / "store")},
        cwd=attacked.folder,
        stdout=subprocess.PIPE,
    )
    try:
        output, _ = process.communicate(timeout=50)
        assert json.loads(output.splitlines()[-1])["state"] == "succeeded"
        os.kill(int(pids.read_text()), 0)
    finally:
        process.kill()
        process.wait()
        os.kill(int(pids.read_text()), 9)


def test_a_step_in_this_process_ends_when_it_ends(attacked, monkeypatch):
    pids = attacked.folder / "pids"
    monkeypatch.setenv("PIDS", str(pids))
    attacked.attack(LEFT)
    before = time.monotonic()
    assert attacked.call("attack").exit_code == 0
    child = int(pids.read_text())
    os.kill(child, 9)
    assert time.monotonic() - before < 60
    os.waitpid(child, 0)
