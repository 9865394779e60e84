"""What a module imports before the project's own code does anything, and when a process can be forked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from turnout.runtime import forking
from turnout.runtime.preloading import leading_imports, pickled_imports

MODULES = {
    "plain": ('"""Docs."""\nfrom __future__ import annotations\nimport os, sys\nimport numpy as np\nX = 1\nimport json', ["os", "sys", "numpy"]),
    "names": ("from sklearn import ensemble, tree\nimport xml.dom", ["sklearn:ensemble,tree", "xml.dom"]),
    "checked": ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas\nimport os", ["typing:TYPE_CHECKING", "os"]),
    "variable": ('import os\nos.environ["BACKEND"] = "x"\nimport keras', ["os"]),
    "guarded": ("import os\ntry:\n    import fast\nexcept ImportError:\n    fast = None\nimport json", ["os"]),
    "project": ("import os\nfrom plain import X\nimport json", ["os", "os", "sys", "numpy"]),
    "idle": ("import first\nimport json", ["string", "json"]),
    "first": ("import string", ["string"]),
    "circular": ("import os\nimport circular\nimport json", ["os", "json"]),
    "broken": ("import os\nimport ) nonsense", []),
    "package.steps.load": ("import csv\nfrom .. import shared\nfrom ..shared import helper\nfrom . import nothing\nimport json", ["abc", "csv", "bisect", "json"]),
    "package.shared": ("import bisect", ["abc", "bisect"]),
    "loose.steps": ("import csv", ["csv"]),
    "missing": (None, []),
}  # fmt: skip


@pytest.fixture
def project(tmp_path):
    for name, (source, _) in MODULES.items():
        if source is not None:
            file = tmp_path / "src" / f"{name.replace('.', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source)
    (tmp_path / "src" / "package" / "__init__.py").write_text('"""A package."""\nimport abc\n')
    (tmp_path / "src" / "package" / "steps" / "__init__.py").write_text("")
    return tmp_path


@pytest.mark.parametrize("module", MODULES)
def test_leading_imports(project, module):
    roots = [project, project / "src"]
    found = [f"{name}:{','.join(names)}".rstrip(":") for name, names in leading_imports(roots, module)]
    assert found == MODULES[module][1]


def test_a_process_with_threads_is_not_forked():
    if sys.platform != "linux":
        assert not forking.is_safe()
        return
    assert fresh("import turnout.runtime.forking as f; print(f.is_safe())") == "True"
    assert fresh("import numpy, pandas, turnout.runtime.forking as f; print(f.is_safe())") == "True"
    code = "import threading, time; threading.Thread(target=time.sleep, args=(9,), daemon=True).start(); "
    assert fresh(f"{code}import turnout.runtime.forking as f; print(f.is_safe())") == "False"
    assert (
        fresh("import sys; sys.modules['jax'] = sys; import turnout.runtime.forking as f; print(f.is_safe())")
        == "False"
    )


def fresh(code: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "2", **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or f"{done.returncode} {done.stderr[-300:]}"


ENDS = {
    "os._exit(3)": 3,
    "os._exit(0)": 0,
    "os.kill(os.getpid(), 9)": -9,
    "os.kill(os.getpid(), 15)": -15,
    "os.abort()": -6,
    "os.close(writer); time.sleep(60)": -15,
    "signal.signal(15, signal.SIG_IGN); os.close(writer); time.sleep(60)": -9,
    "raise ValueError": 1,
}


@pytest.mark.skipif(sys.platform != "linux", reason="a fork is safe on Linux alone")
@pytest.mark.parametrize("end", ENDS)
def test_a_process_ends_as_the_one_that_it_waits_for(end):
    code = f"""
        import os, signal, time
        from turnout.runtime import forking
        forking.outlive()
        def work(reader, writer):
            line = next(forking.lines(reader))
            {end}
        forking.fork(work).ask(b"a step")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, check=False)
    assert done.returncode == ENDS[end]


@pytest.mark.skipif(sys.platform != "linux", reason="a fork is safe on Linux alone")
def test_a_signal_to_end_reaches_the_forked_process_first():
    """It may take its time; whoever waits for it ends after it."""
    code = """
        import os, signal, sys, time
        from turnout.runtime import forking
        forking.outlive()
        def work(reader, writer):
            handled = []
            def handle(*_):
                os.write(1, b"handled\\n")  # a handler must not print: what it interrupts may
                handled.append(True)
            signal.signal(signal.SIGTERM, handle)
            next(forking.lines(reader))
            os.write(1, b"begun\\n")
            while not handled:
                time.sleep(0.01)
            os.write(writer, b"done\\n")
        forking.fork(work).ask(b"a step")
        print("never")
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    os.killpg(process.pid, signal.SIGTERM)
    assert process.stdout.read() == "handled\n"
    process.stdout.close()
    assert process.wait(60) == 128 + signal.SIGTERM


def test_only_the_process_itself_goes_on():
    assert threading.active_count() >= 1
    code = """
        import os, sys
        from turnout.runtime import forking
        with forking.only_here():
            if os.fork() == 0:
                print("child", flush=True)
            else:
                os.wait()
        print("on")
    """
    assert fresh(code) == "child\non"


def test_imports_of_a_function_by_value(project):
    """In the order in which unpickling does them, up to the first of the project."""
    code = f"""
        import sys
        sys.path.insert(0, {str(project / "src")!r})
        import cloudpickle, json, string, xml.dom.minidom
        from collections import OrderedDict
        import {{module}}
        def work(x):
            return json.dumps([OrderedDict(), string.digits, {{module}}, xml.dom.minidom.Node])
        work.__module__ = "__main__"
        sys.stdout.buffer.write(cloudpickle.dumps(work))
    """
    for module, expected in (("decimal", {"json", "collections", "string", "decimal", "xml"}), ("first", None)):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code).format(module=module)], capture_output=True, check=True
        )
        found = [name.partition(".")[0] for name, _ in pickled_imports([project / "src"], done.stdout)]
        assert "first" not in found
        assert expected is None or expected <= set(found)
