"""A step finds what it would find in a fresh process, whatever steps ran before it, and it alone commits itself."""

from __future__ import annotations

from typing import Any

import pytest
from rigs import hostile

from turnout import builtin
from turnout.api.explanation import explain
from turnout.api.launch import Launch
from turnout.api.run import Run
from turnout.api.workspace import Workspace
from turnout.components.registry import Registry
from turnout.model.records import Options
from turnout.project.project import load

DIRTY = """
import asyncio, atexit, builtins, collections, decimal, gc, json, locale, logging, multiprocessing, random, resource
import select, signal, socket, string, tempfile, warnings
import numpy, pandas

COUNT = 0

class Thing:
    made = []

def grow(x, seen=[]):
    seen.append(x)
    return len(seen)

def count_up():
    global COUNT
    COUNT += 1

def no_memory():
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

def handle():
    signal.signal(signal.SIGUSR1, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})

def zone():
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()

def patch():
    json.dumps = lambda *_, **__: "patched"
    pandas.DataFrame.sum = None
    builtins.dirt = True

def forget_modules():
    sys.modules["string"] = None
    for name in [name for name in sys.modules if name.partition(".")[0] == "json"]:
        del sys.modules[name]
    sys.modules["dirt"] = json

def log():
    logging.basicConfig(level=logging.DEBUG, handlers=[logging.StreamHandler()])
    logging.getLogger("dirt").addHandler(logging.NullHandler())

def thread():
    threading.Thread(target=time.sleep, args=(600,), daemon=True, name="dirt").start()

def seeds():
    random.seed(7)
    numpy.random.seed(7)

def streams():
    sys.stdout.close()
    sys.stderr = None
    os.close(0)

DIRT = {
    "global": count_up,
    "default": lambda: grow(1),
    "class": lambda: Thing.made.append(1),
    "precision": lambda: setattr(decimal.getcontext(), "prec", 3),
    "traps": lambda: decimal.DefaultContext.traps.update({decimal.Inexact: True}),
    "numpy": lambda: numpy.seterr(all="raise"),
    "print": lambda: numpy.set_printoptions(precision=1),
    "pandas": lambda: pandas.set_option("display.max_rows", 3),
    "accessor": lambda: pandas.api.extensions.register_series_accessor("dirt")(Thing),
    "seeds": seeds,
    "warnings": lambda: warnings.simplefilter("error"),
    "recursion": lambda: sys.setrecursionlimit(300),
    "zone": zone,
    "umask": lambda: os.umask(0o077),
    "path": lambda: sys.path.insert(0, "/dirt"),
    "signals": handle,
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C"),
    "environment": lambda: os.environ.update(DIRT="1"),
    "folder": lambda: os.chdir("/"),
    "logging": log,
    "modules": forget_modules,
    "patch": patch,
    "limits": no_memory,
    "descriptor": lambda: os.open("dirt", os.O_CREAT),
    "thread": thread,
    "start": lambda: multiprocessing.set_start_method("spawn"),
    "garbage": gc.disable,
    "switches": lambda: sys.setswitchinterval(1),
    "hook": lambda: setattr(sys, "excepthook", print),
    "sockets": lambda: socket.setdefaulttimeout(1),
    "loops": lambda: asyncio.set_event_loop_policy(None) or asyncio.set_event_loop(asyncio.new_event_loop()),
    "temporary": lambda: setattr(tempfile, "tempdir", "/dirt"),
    "nice": lambda: os.nice(3),
    "streams": streams,
    "trace": lambda: sys.setprofile(lambda *_: None),
}

@step
def work(kinds: list[str], before: dict) -> dict:
    # tells what is there, then leaves dirt
    seen = see()
    for kind in kinds:
        DIRT[kind]()
    return seen

def see():
    return {
        "global": COUNT,
        "default": grow(0),
        "class": list(Thing.made),
        "precision": [decimal.getcontext().prec, decimal.Context().traps[decimal.Inexact]],
        "numpy": numpy.geterr(),
        "print": numpy.get_printoptions()["precision"],
        "pandas": pandas.get_option("display.max_rows"),
        "accessor": hasattr(pandas.Series, "dirt"),
        "seeds": [random.random() == random.Random(7).random(),
                  numpy.random.random() == numpy.random.RandomState(7).random()],
        "warnings": [str(one[:3]) for one in warnings.filters],
        "recursion": sys.getrecursionlimit(),
        "zone": [time.tzname[0], os.environ["TZ"]],
        "umask": os.umask(0o022),
        "path": "/dirt" in sys.path,
        "signals": [signal.getsignal(number) is signal.SIG_DFL for number in (signal.SIGUSR1, signal.SIGTERM)]
                   + [len(signal.pthread_sigmask(signal.SIG_BLOCK, ()))],
        "locale": locale.setlocale(locale.LC_ALL),
        "environment": sorted(name for name in os.environ if "DIRT" in name),
        "folder": [os.getcwd() != "/", os.listdir()],
        "logging": [logging.getLogger().level, len(logging.getLogger().handlers), "dirt" in logging.root.manager.loggerDict],
        "modules": [sys.modules.get("string") is string, "dirt" in sys.modules, sys.modules.get("json") is json],
        "patch": [json.dumps([1]), pandas.DataFrame.sum is None, hasattr(builtins, "dirt")],
        "limits": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "descriptor": any("dirt" in os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                          if os.path.lexists(f"/proc/self/fd/{fd}")),
        "thread": sorted(thread.name for thread in threading.enumerate()),
        "start": multiprocessing.get_start_method(allow_none=True),
        "garbage": gc.isenabled(),
        "switches": sys.getswitchinterval(),
        "hook": sys.excepthook is sys.__excepthook__,
        "sockets": socket.getdefaulttimeout(),
        "temporary": tempfile.gettempdir() == "/dirt",
        "nice": os.nice(0),
        "streams": [sys.stdout.closed, sys.stderr is None, os.fstat(0).st_rdev],
        "trace": sys.getprofile() is None,
    }
@pipeline
def flow():
    seen, kinds = work.named("first")([], {}), list(DIRT)
    for number in range(0, len(kinds), 6):
        seen = work.named("_".join(kinds[number : number + 6]))(kinds[number : number + 6], seen)
    work.named("last")([], seen)
"""

STACKS = {
    "one worker": "{type: local, workers: 1}",
    "two workers": "{type: local, workers: 2}",
    "a process a step": "{type: local, workers: 2, isolation: process}",
    "the hostile engine": "{type: hostile, seed: 3}",
}


def results(project, orchestrator: str, *plugins: Any) -> dict[str, Any]:
    """The digests of what each step made, and the values, on an engine."""
    project.stack(orchestrator)
    workspace = Workspace(load(project.folder), str(project.folder / "stack.yaml"), Registry([builtin, *plugins]))
    launch = Launch(project.pipeline(), workspace)
    handle = launch.submit({}, Options(no_cache=True))
    state = handle.wait(120)
    run = Run(handle.run_id, workspace=workspace)
    assert state == "succeeded", [attempt.failure for step in run for attempt in step.summary.attempts]
    return {step.name: (step.outputs["output"].digests, step.load()) for step in run}


def test_a_step_sees_nothing_of_its_forerunners(project):
    project.write(DIRTY)
    found = {name: results(project, stack, hostile) for name, stack in STACKS.items()}
    for name, steps in found.items():
        assert {step: value for step, (_, value) in steps.items()} == dict.fromkeys(steps, steps["first"][1]), name
        assert steps == found["one worker"], name


LIBRARY = """
import os, threading, warnings

SEEN = os.environ.get("TOKEN", ""), os.environ.get("BACKEND", ""), os.listdir(), threading.active_count()
COUNT = [0]
warnings.simplefilter("ignore", ResourceWarning)
"""


def test_libraries_are_imported_as_in_a_fresh_process(project, monkeypatch, tmp_path_factory):
    """What a library sees and does when it is imported depends on the step alone."""
    library = tmp_path_factory.mktemp("library")
    (library / "sample_library.py").write_text(LIBRARY)
    (library / "sample_threads.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(library))
    monkeypatch.syspath_prepend(str(library))
    monkeypatch.setenv("SECRET_TOKEN", "a-secret-of-the-step")
    (project.folder / "settings.txt").write_text("x")
    modules = {
        "plain": "import sample_library",
        "backend": 'import os\nif "TURNOUT_SEALED" in os.environ:\n    os.environ["BACKEND"] = "other"\nimport sample_library',
        "threads": "import sample_threads, sample_library",
        "late": "sample_library = None",
    }
    for name, head in modules.items():
        (project.folder / f"steps_{project.module}_{name}.py").write_text(
            f"{head}\nimport sys, threading, warnings\nfrom turnout import step\n"
            "def look():\n"
            "    library = sys.modules.get('sample_library')\n"
            "    if library is not None:\n"
            "        library.COUNT[0] += 1\n"
            "    filters = [one[0] for one in warnings.filters if one[2] is ResourceWarning]\n"
            "    seen = library and (len(library.SEEN[0]), *library.SEEN[1:], library.COUNT[0])\n"
            "    return [seen, filters, threading.active_count()]\n"
            f"@step\ndef {name}(n: int) -> list:\n    return look()\n"
            f"@step(secrets={{'TOKEN': 'SECRET_TOKEN'}})\ndef {name}_secret(n: int) -> list:\n    return look()\n"
            f"@step(files=['settings.txt'])\ndef {name}_file(n: int) -> list:\n    return look()\n"
        )
    imports = "\n".join(f"import steps_{project.module}_{name} as {name}" for name in modules)
    calls = "".join(
        f"    for n in range(2):\n        {name}.{name}{kind}.named(f'{name}{kind}_{{n}}')(n)\n"
        for name in modules
        for kind in ("", "_secret", "_file")
    )
    project.write(f"{imports}\n@pipeline\ndef flow():\n{calls}")
    found = {name: results(project, stack) for name, stack in STACKS.items() if "hostile" not in name}
    seen = {step: value for step, (_, value) in found["one worker"].items()}
    fresh = [(0, "", [], 1, 1), ["ignore"], 1]
    for n in range(2):
        assert seen[f"plain_{n}"] == fresh
        assert seen[f"plain_secret_{n}"][0][0] == len("a-secret-of-the-step")
        assert seen[f"plain_file_{n}"][0][2] == ["settings.txt"]
        assert seen[f"backend_{n}"][0][1] == "other"
        assert seen[f"threads_{n}"] == [(0, "", [], 2, 1), ["ignore"], 2]
        assert seen[f"late_{n}"][0] is None
    for name, steps in found.items():
        assert steps == found["one worker"], name


FORKS = """
import atexit, contextlib, random

@step
def forgets(folder: str, how: str) -> int:
    atexit.register(lambda: Path(folder, f"{how}.{os.getpid()}").touch())
    parent, child = os.getpid(), os.fork()
    if child == 0:
        if how == "raises":
            raise ValueError("in the child")
        if how == "exits":
            sys.exit(3)
        time.sleep(0.2 if how == "late" else 0)
        return 2
    if how == "late":
        return 1
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert os.getpid() == parent and Path.cwd().is_dir()
    assert status == {"returns": 0, "raises": 1, "exits": 3}[how], status
    return 1

@pipeline
def flow(folder: str):
    for how in ("returns", "raises", "exits", "late"):
        forgets.named(how)(folder, how)
"""


@pytest.mark.parametrize(
    "orchestrator", [*STACKS.values(), "{type: local, isolation: worker}", "{type: local, in_process: true}"]
)
def test_only_the_process_of_a_step_commits_it(project, orchestrator):
    """Not one that it forked and forgot to end, which also leaves what is registered for the end to the other."""
    project.write(FORKS)
    project.stack(orchestrator)
    workspace = Workspace(load(project.folder), str(project.folder / "stack.yaml"), Registry([builtin, hostile]))
    handle = Launch(project.pipeline(), workspace).submit({"folder": str(project.folder)}, Options())
    assert handle.wait(120) == "succeeded"
    run = Run(handle.run_id, workspace=workspace)
    assert {step.name: step.load() for step in run} == dict.fromkeys(("returns", "raises", "exits", "late"), 1)
    assert all({attempt.state for attempt in step.summary.attempts} == {"succeeded"} for step in run)


def test_what_is_registered_for_the_end_is_called_and_threads_are_waited_for(project):
    """Once, in the step's own process, when the step is committed."""
    run, state, _ = project.run(
        """
        import atexit
        from concurrent.futures import ThreadPoolExecutor

        @step
        def leave(folder: str) -> int:
            atexit.register(lambda: Path(folder, "ended").open("a").write("x"))
            ThreadPoolExecutor(1).submit(lambda: time.sleep(0.2) or Path(folder, "worked").touch())
            if os.fork() == 0:
                return 2
            return os.getpid()

        @step
        def other(pid: int) -> bool:
            return pid != os.getpid()

        @pipeline
        def flow(folder: str):
            other(leave(folder))
        """,
        folder=str(project.folder),
    )
    assert state == "succeeded"
    assert run["other"].load() is True
    assert (project.folder / "ended").read_text() == "x"
    assert (project.folder / "worked").exists()


def test_unseeded_numbers_differ_from_step_to_step(project):
    run, state, _ = project.run(
        """
        import random, uuid
        import numpy

        @step
        def draw(n: int) -> list:
            return [random.random(), numpy.random.random(), str(uuid.uuid4())]

        @pipeline
        def flow():
            for n in range(6):
                draw.named(f"draw_{n}")(n)
        """
    )
    assert state == "succeeded"
    for drawn in zip(*(step.load() for step in run), strict=True):
        assert len(set(drawn)) == 6


SHARED = """
COUNT = 0

@step(cache=True)
def tiny(n: int) -> int:
    global COUNT
    COUNT += 1
    return COUNT

@pipeline
def flow():
    for n in range(3):
        tiny.named(f"tiny_{n}")(n)
"""


@pytest.mark.parametrize(
    "stack",
    [
        "orchestrator: {type: local, workers: 1, isolation: worker}",
        "orchestrator: {type: local, workers: 1}\nsteps: {'tiny*': {local: {isolation: worker}}}",
    ],
)
def test_steps_that_share_a_process_say_so_and_fill_no_cache(project, stack):
    project.write(SHARED)
    (project.folder / "stack.yaml").write_text(f"extends: local\n{stack}\n")
    for _ in range(2):
        launch = Launch.of(project.pipeline(), stack=str(project.folder / "stack.yaml"))
        handle = launch.submit({}, Options())
        assert handle.wait(60) == "succeeded"
        run = project.look(handle)
        assert sorted(step.load() for step in run) == [1, 2, 3]
        for step in run:
            assert (step.record.isolation, step.record.sealed, step.record.cached_from) == ("worker", False, None)
            assert step.summary.attempts[0].host.isolation == "worker"
    assert "shared its process" in (explain(run["tiny_0"]).reason or "")


def test_a_step_of_its_own_beside_steps_that_share_a_process_is_untouched(project):
    project.write(
        SHARED.replace(
            'tiny.named(f"tiny_{n}")(n)', 'tiny.named(f"tiny_{n}")(n)\n        tiny.named(f"own_{n}")(n + 10)'
        )
    )
    (project.folder / "stack.yaml").write_text(
        "extends: local\norchestrator: {type: local, workers: 1, isolation: worker}\n"
        "steps: {'own*': {local: {isolation: step}}}\n"
    )
    handle = Launch.of(project.pipeline(), stack=str(project.folder / "stack.yaml")).submit({}, Options())
    assert handle.wait(60) == "succeeded"
    run = project.look(handle)
    assert sorted(run[f"tiny_{n}"].load() for n in range(3)) == [1, 2, 3]
    assert [run[f"own_{n}"].load() for n in range(3)] == [1, 1, 1]
    assert run["own_0"].record.sealed
