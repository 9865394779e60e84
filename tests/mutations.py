"""What the fuzzers change, and how: documents by their structure and their bytes, stacks and commands by their words."""

from __future__ import annotations

import base64
import contextlib
import copy
import io
import json
import os
import random
import shutil
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import yaml

import turnout
from turnout.base import canonical
from turnout.base.errors import TurnoutError
from turnout.cli import main
from turnout.model.records import Submission
from turnout.project import project
from turnout.runtime.finish import finish_run
from turnout.runtime.joining import join
from turnout.runtime.parameters import parse_submission
from turnout.runtime.session import Session
from turnout.runtime.step import run_step
from turnout.stores.local import LocalStore

CANARY = "canary-4f1d2c7b9e"
"""A secret of the project; no byte that is written may hold it."""
OURS = str(Path(turnout.__file__).parent)
ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, -(2**63) - 1, 10**30, 1.5, -0.0, 1e308, "", " ", "x", "../../planted",
    "/planted", "a/b", "a\\b", ".", "..", "\x00", "\x1b]0;x\x07", "[bold]x[/]", "caf\u00e9", "\ud800", "\u202e", "0" * 64,
    "a" * 20, "x" * 5000, "2026-01-31", "2026-01-31T00:00:00Z", "9999-12-31T23:59:59.999999Z", "nan", "inf", "${env:HOME}",
    "${secret:x}", "${", "os:system", "json", "pickle", [], [[]], {}, {"": {}}, {"$enum": ["os:X", "A"]}, {"$keys": [1]},
    {"$tuple": 1}, {"a": [1, {"b": None}]}, [None] * 50,
)  # fmt: skip


def mutated(document: Any, chance: random.Random) -> Any:
    """A copy of a document with one to three odd values, or without something."""
    made = copy.deepcopy(document)
    for _ in range(chance.randint(1, 3)):
        places = list(_places(made))
        if not places:
            return chance.choice(ODD)
        holder, key = chance.choice(places)
        what = chance.random()
        if what < 0.7:
            alike = [
                odd for odd in ODD if type(odd) is type(holder[key])
            ]  # of another type it is mostly refused at once
            holder[key] = copy.deepcopy(chance.choice(alike if alike and what < 0.5 else ODD))
        elif what < 0.8:
            del holder[key]
        elif what < 0.9 and isinstance(holder, dict):
            holder[str(chance.choice(ODD))[:100]] = copy.deepcopy(chance.choice(ODD))
        else:
            other, name = chance.choice(places)
            with contextlib.suppress(KeyError, IndexError):
                holder[key] = copy.deepcopy(other[name])
    return made


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    items: Any = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in list(items):
        yield document, key
        yield from _places(value)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The bytes of a document, changed: by its structure, cut short, with odd bytes, nested without end."""
    what = chance.random()
    if what < 0.75:
        return json.dumps(mutated(json.loads(data), chance)).encode()
    if what < 0.8:
        return data[: chance.randrange(len(data) + 1)]
    if what < 0.9:
        changed = bytearray(data)
        for _ in range(chance.randint(1, 8)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        return bytes(changed)
    if what < 0.95:
        depth = chance.choice([50, 300, 900, 5000, 100_000])
        deep = b"[" * depth + b"]" * depth
        return data.rstrip()[:-1] + b', "params": {"x": ' + deep + b'}, "key_parts": {"x": ' + deep + b"}}"
    return chance.choice([b"", b"{", b"null", b"[]", b"\xff\xfe", b"1" * 5000, b'{"format": 99}', b"\x00" * 64])


class Failed(AssertionError):
    """What a fuzzer found."""


def check_error(error: BaseException, what: str) -> None:
    """Fail for anything but an error of turnout's own, which must be short and say what it is about."""
    if not isinstance(error, TurnoutError):
        raise Failed(f"{what}: {''.join(traceback.format_exception(error))[-3000:]}") from error
    if len(str(error)) > 20_000:
        raise Failed(f"{what}: an error of {len(str(error))} characters")


@contextlib.contextmanager
def _descriptors() -> Iterator[Any]:
    """A file to which all goes that this process's children print meanwhile."""
    kept = {number: os.dup(number) for number in (1, 2)}
    with tempfile.TemporaryFile() as held:
        for number in kept:
            os.dup2(held.fileno(), number)
        try:
            yield held
        finally:
            for number, copied in kept.items():
                os.dup2(copied, number)
                os.close(copied)


def call(*arguments: str) -> tuple[int, str]:
    """A command in this process: its exit code and all it printed.

    Raises:
        Failed: for an exception, a traceback of turnout's own, and bytes that would act on a terminal.
    """
    out = io.StringIO()
    before, path, here = sys.argv, list(sys.path), Path.cwd()
    sys.argv = ["turnout", *arguments]
    sys.modules.pop("fuzzed_flow", None)  # another project's has the same name
    project.load.cache_clear()
    with _descriptors() as printed:
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                main()
        except SystemExit as ended:
            code = ended.code
        except BaseException as error:
            raise Failed(f"turnout {arguments}: {''.join(traceback.format_exception(error))[-3000:]}") from error
        finally:
            sys.argv, sys.path[:] = before, path
            os.chdir(here)
        printed.seek(0)
        text = out.getvalue() + printed.read().decode("utf-8", "surrogateescape")
    if "Traceback (most recent call last)" in text and OURS in text:
        raise Failed(f"turnout {arguments} printed {text[-3000:]}")
    if any(bad in text for bad in ("\x1b", "\x07", "\u202e", CANARY)) or len(text) > 3_000_000:
        raise Failed(f"turnout {arguments} printed {text[-300:]!r}")
    return (code if isinstance(code, int) else int(code is not None)), text


PIPELINE = """
from typing import Any
import os
from turnout import log_artifact, log_metric, log_params, pipeline, step, when

@step
def numbers(count: int) -> list[int]:
    return list(range(min(count, 5)))

@step
def double(number: int) -> int:
    log_metric("number", number)
    return 2 * number

@step(secrets={"TOKEN": "FUZZ_TOKEN"})
def total(several: list[int]) -> dict[str, Any]:
    log_params({"several": several})
    log_artifact("notes", "x" * 10)
    print("the token is", os.environ["TOKEN"])
    return {"sum": sum(several), "big": "x" * 5000}

@step
def breaks(given: dict[str, Any]) -> int:
    raise ValueError(f"{given['sum']} is not enough for {os.environ.get('TOKEN')}")

@step
def small(given: dict[str, Any]) -> str:
    return "small"

@pipeline
def flow(count: int = 2, rate: float = 0.5, name: str = "x", options: dict[str, Any] | None = None):
    summed = total(double.map(numbers(count)))
    with when(summed["sum"] > 1):
        breaks(summed)
    with when(summed["sum"] > 100):
        small(summed)
"""
STACK = """\
extends: local
artifact_store: {type: local, root: .turnout/store}
orchestrator: {type: local, in_process: true, workers: 2}
secrets: {type: env}
policies: [{type: images, allow: ["*"]}]
observers: [{type: jsonl, path: events.jsonl}]
tracker: {type: specimen, folder: tracked}
steps: {"dou*": {retries: 1, timeout: 30m, resources: {cpu: 1, memory: 1Gi}}}
pipelines: {flow: {tags: {team: ops}}}
"""


class Shop:
    """A project with runs on record that a fuzzer may damage, one document at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        (root / "pyproject.toml").write_text(
            "[project]\nname = 'shop'\nversion = '1'\n\n[tool.turnout]\nstack = 'fuzz'\n"
        )
        (root / "fuzzed_flow.py").write_text(PIPELINE)
        (root / "stacks").mkdir()
        (root / "stacks/fuzz.yaml").write_text(STACK)
        self.store = root / ".turnout/store"

    def fill(self) -> None:
        """Run the pipeline twice, and name something."""
        call("run", "fuzzed_flow.py")
        call("run", "fuzzed_flow.py", "-p", "count=3", "--tag", "kind=second")
        call("promote", "latest", "total", "--alias", "champion")
        call("runs", "list")
        self.runs = sorted(path.name for path in (self.store / "shop/runs").iterdir())
        self.documents = sorted(
            path for path in self.store.rglob("*.json") if ".staging" not in path.parts and "claims" not in path.parts
        )

    def copied(self, root: Path) -> Shop:
        """The same in another folder, runs and all."""
        shutil.copytree(self.root, root)
        other = copy.copy(self)
        other.root, other.store = root, root / ".turnout/store"
        other.documents = [root / path.relative_to(self.root) for path in self.documents]
        return other

    @contextlib.contextmanager
    def changed(self, path: Path, data: bytes) -> Iterator[None]:
        """A document with other bytes, for a while; whatever a command has removed or added is undone."""
        kept = path.read_bytes()
        self.put(path, data)
        try:
            yield
        finally:
            self.put(path, kept)

    @staticmethod
    def put(path: Path, data: bytes) -> None:
        """Write over a file of the store."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(data)

    def commands(self) -> list[tuple[str, ...]]:
        """What looks at runs and what they made."""
        run = self.runs[0]
        return [
            ("runs", "list"), ("runs", "list", "--json"), ("runs", "list", "--state", "failed", "--tag", "kind=second"),
            ("runs", "show", run), ("runs", "show", run, "--json"), ("runs", "show", "latest"),
            ("runs", "compare", *self.runs[:2]), ("runs", "compare", *self.runs[:2], "--json"),
            ("runs", "logs", run, "total"), ("runs", "cancel", run), ("runs", "sync", run),
            ("artifacts", "list"), ("artifacts", "list", run), ("artifacts", "list", run, "--json"),
            ("artifacts", "show", run, "total"), ("artifacts", "show", run, "double", "--json"),
            ("artifacts", "show", "champion"), ("artifacts", "load", run, "total"), ("artifacts", "load", "champion"),
            ("artifacts", "load", run, "numbers", "--json"), ("artifacts", "aliases"), ("artifacts", "aliases", "champion"),
            ("artifacts", "gc", "--dry-run"), ("artifacts", "gc", "--runs", "keep=1", "--dry-run"), ("index", "rebuild"),
            ("explain", run, "total"), ("explain", run, "double.0"), ("explain", run, "breaks", "--json"),
            ("explain", "fuzzed_flow.py"), ("promote", run, "numbers", "--alias", "champion"),
            ("run", "fuzzed_flow.py", "--reuse", run), ("run", "fuzzed_flow.py", "--json"),
        ]  # fmt: skip


def written(*folders: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file below the folders."""
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield path, path.read_bytes()


def check_secret(path: Path, data: bytes) -> None:
    """Fail where bytes hold a secret, as it is or encoded, or in an archive that is encoded itself."""
    if data[:4] == b"UEsD":  # of a code package inside an export
        data = base64.b64decode(data)
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data += b"".join(map(archive.read, archive.namelist()))
    forms = [CANARY.encode(), *(base64.b64encode(b"x" * n + CANARY.encode())[4:-4] for n in range(3))]
    if any(form in data for form in forms):
        raise Failed(f"{path} holds the secret")


def check_written(root: Path, *apart: Path) -> None:
    """Fail where a secret was written, or anything beside the project and *apart*."""
    for path, data in written(root.parent):
        check_secret(path, data)
    beside = set(root.parent.iterdir()) - {root, *apart}
    if beside:
        raise Failed(f"written beside the project: {beside}")


def guarded(action: Callable[[], Any], what: str) -> Any:
    """The result of a call, or None where it was refused as it should be."""
    try:
        return action()
    except Failed:
        raise
    except Exception as error:
        check_error(error, what)
        return None


# what each fuzzer does once; the result says how it went


def fuzz_document(shop: Shop, chance: random.Random) -> str:
    """Damage a document of the store, and look at what there is."""
    path = chance.choice(shop.documents)
    with shop.changed(path, damaged(path.read_bytes(), chance)):
        return f"exit {call(*chance.choice(shop.commands()))[0]}"


def fuzz_plan(shop: Shop, chance: random.Random) -> str:
    """Let a run go by a plan that was changed with its digest, and look at it; call its steps."""
    info = shop.store / "shop/runs" / shop.runs[0] / "run.json"
    document = json.loads(info.read_bytes())
    plan = mutated(json.loads((shop.store / f"plans/{document['plan']}.json").read_bytes()), chance)
    data = json.dumps(plan).encode()
    digest = canonical.digest(data)
    place = shop.store / f"plans/{digest}.json"
    there = place.exists()
    shop.put(place, data)
    try:
        with shop.changed(info, json.dumps({**document, "plan": digest}).encode()):
            if chance.random() < 0.5:
                return f"exit {call(*chance.choice(shop.commands()))[0]}"
            session = guarded(lambda: _session(shop, digest, f"run {chance.random()}", Submission()), "opening")
            return "refused" if session is None else _called(session, chance)
    finally:
        if not there:
            place.unlink()


def fuzz_params(shop: Shop, chance: random.Random) -> str:
    """Trigger a run with odd parameters and options."""
    run = shop.runs[0]
    given: Any = {
        "params": {"count": 2, "rate": 0.5, "name": "x", "options": {"a": [1, "b", None]}},
        "options": {
            "uuid": "x", "at": "2026-01-31T00:00:00Z", "interval": ["2026-01-30T00:00:00Z", "2026-01-31T00:00:00Z"],
            "tags": {"a": "b"}, "no_cache": True, "started_by": "x", "reuse": {"run": run, "from_": "total"},
            "replace": {"numbers": {"output": f"{run}/numbers:output"}}, "engine_url": "http://x", "stack_digest": "x",
            "git": {"commit": "x", "dirty": False},
        },
    }  # fmt: skip
    for name in chance.sample(sorted(given["options"]), chance.randint(0, 11)):
        del given["options"][name]
    data = damaged(json.dumps(given).encode(), chance)
    text = data.decode("utf-8", "surrogateescape")
    plan = json.loads((shop.store / "shop/runs" / run / "run.json").read_bytes())["plan"]
    session = guarded(lambda: _session(shop, plan, f"run {chance.random()}", parse_submission(text)), "TURNOUT_PARAMS")
    return "refused" if session is None else _called(session, chance)


def _session(shop: Shop, plan: str, name: str, submission: Submission) -> Session:
    store = LocalStore.from_url(str(shop.store))
    return join(store, plan, name, submission, in_process=True)


def _called(session: Session, chance: random.Random) -> str:
    """Call some steps of a run, which may fail but not break, and mark its end."""
    out = io.StringIO()
    path = list(sys.path)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            for step in session.run.plan.steps[: chance.randint(1, 9)]:
                result = guarded(partial(run_step, session, step.name, 0 if step.mapped else None), "a step")
                if result is not None and len(result.message) > 20_000:
                    raise Failed(f"a message of {len(result.message)} characters")
            guarded(lambda: finish_run(session), "the end")
    finally:
        session.close()
        sys.path[:] = path
        sys.modules.pop("fuzzed_flow", None)
        for folder in (shop_runs := Path(session.run.store.address) / "shop/runs").iterdir():
            if folder.name == session.run.info.id:
                shutil.rmtree(shop_runs / folder.name)
    if CANARY in out.getvalue() or ("Traceback" in out.getvalue() and OURS in out.getvalue()):
        raise Failed(f"printed {out.getvalue()[-3000:]}")
    return "called"


def fuzz_stack(shop: Shop, chance: random.Random) -> str:
    """Check, show, plan for and run on an odd stack."""
    document = yaml.safe_load(STACK)
    what = chance.random()
    if what < 0.7:
        text = yaml.safe_dump(mutated(document, chance), allow_unicode=True)
    elif what < 0.8:
        text = STACK[: chance.randrange(len(STACK))]
    elif what < 0.9:
        place = chance.randrange(len(STACK))
        text = (
            STACK[:place]
            + chance.choice(
                ["*a", "&a", "!!python/object:os.system x", "<<: *a", "{", "\t", "\x00", "${env:X}", "- ", "?"]
            )
            + STACK[place:]
        )
    else:
        text = chance.choice(
            [
                "a: &a [x]\nb: [*a, *a]\n",
                "&a [*a]",
                "&a {x: *a}",
                "[" * 5000,
                "{a: " * 5000,
                "1",
                "",
                "x: " + "9" * 5000,
                "? [a]\n: b",
                "2026-01-31: x",
            ]
        )
    (shop.root / "stacks/odd.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    commands = (
        ("stack", "check", "odd"), ("stack", "show", "odd"), ("stack", "show", "odd", "--json"), ("explain", "fuzzed_flow.py", "--stack", "odd"),
        ("stack", "diff", "fuzz", "odd"), ("runs", "list", "--stack", "odd"), ("stack", "list"),
        ("artifacts", "load", "latest", "total", "--stack", "odd"),
    )  # fmt: skip
    return f"exit {call(*chance.choice(commands))[0]}"


WORDS = (
    "run", "runs", "list", "show", "latest", "artifacts", "load", "explain", "verify", "promote", "sweep", "stack", "check",
    "plugin", "index", "rebuild", "export", "image", "init", "debug", "compare", "logs", "cancel", "resume", "invalidate",
    "sync", "aliases", "champion", "total", "double.0", "double", "fuzzed_flow.py", "fuzzed_flow.py:flow", "fuzzed_flow",
    "--json", "--stack", "fuzz", "local", "-p", "count=1", "rate=x", "options={\"a\": 1}", "--tag", "a=b", "--at", "--limit",
    "3", "--since", "7d", "--to", "out", "-o", "--alias", "--from", "store", "--reuse", "--params", "--help", "-h", "--",
    "--dry-run", "gc", "--keep-runs", "0", "--state", "failed", "--code", "here", "--csv", "-", "--no-cache", "schema", "diff",
    "new", "own", "--kind", "tracker", "doctor", "--accept", "gpu", "--max-parallel", "count=[1, 2]", "--only", "--replace",
)  # fmt: skip
SLOW = {"image", "resume", "debug", "verify", "init", "doctor"}


def fuzz_command(shop: Shop, chance: random.Random) -> str:
    """Type something."""
    arguments = [chance.choice(WORDS) for _ in range(chance.randint(1, 6))]
    if chance.random() < 0.8:
        arguments = [*chance.choice(shop.commands()), *arguments[: chance.randint(0, 2)]]
    for number in range(len(arguments)):
        if chance.random() < 0.2:
            odd = str(chance.choice(ODD)).replace("\x00", "?")
            arguments[number] = odd[:3000] if chance.random() < 0.7 else f"{arguments[number]}{odd[:50]}"
    if arguments[0] in SLOW or ({"gc", "/planted", "../../planted"} & set(arguments) and "--dry-run" not in arguments):
        return "left out"
    return f"exit {call(*arguments)[0]}"
