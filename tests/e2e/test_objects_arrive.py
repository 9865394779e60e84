"""Objects with more to them than their fields: another process reads what was returned, whatever form that took."""

from __future__ import annotations

import json
import os
import subprocess
import sys

CLASSES = """
    import dataclasses
    from typing import NamedTuple
    import pydantic

    class Ids(pydantic.RootModel[list[int]]):
        pass

    class Names(pydantic.RootModel):
        root: dict[str, int] = {}

    class Model(pydantic.BaseModel):
        a: int
        b: str = "b"
        _hidden: int = pydantic.PrivateAttr(default=1)

    class Open(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")
        a: int = 1

    class Holder(pydantic.BaseModel):
        ids: Ids
        inner: Model

    class Stateful(pydantic.BaseModel):
        a: int = 1
        def __getstate__(self):
            return {**super().__getstate__(), "more": 1}
        def __setstate__(self, state):
            assert state.pop("more") == 1
            super().__setstate__(state)

    class Slotted(pydantic.BaseModel):
        __slots__ = ("extra",)
        a: int = 1

    class Point(NamedTuple):
        x: int
        y: int

    class Named(Point):
        pass

    class Base:
        __slots__ = ("kept", "__private")
        def hide(self, value):
            self.__private = value
            return self
        def hidden(self):
            return getattr(self, "_Base__private", None)

    @dataclasses.dataclass
    class Sub(Base):
        a: int = 1

    @dataclasses.dataclass
    class Slim:
        __slots__ = ("a",)
        a: int

    def with_(value, **attributes):
        for name, item in attributes.items():
            object.__setattr__(value, name, item)
        return value

    def private(value):
        value._hidden = 7
        return value

    def state(value):
        told = {"class": type(value).__name__, "attributes": {**getattr(value, "__dict__", {})}}
        for name in ("__pydantic_extra__", "__pydantic_private__", "__pydantic_fields_set__", "kept", "extra", "x"):
            item = getattr(value, name, None)
            told[name] = sorted(item) if isinstance(item, set) else item
        told["hidden"] = value.hidden() if isinstance(value, Base) else None
        return repr(told) + repr(value)
"""
OBJECTS = {
    "root model": ("Ids([3, 1])", "pydantic"),
    "root model of a dict": ("Names({'b': 1, 'a': 2})", "pydantic"),
    "root model inside": ("Holder(ids=Ids([1]), inner=Model(a=1))", "pydantic"),
    "in a list": ("[Ids([1]), Point(1, 2)]", "json"),
    "extra fields": ("Open(z=1, b=[2])", "pydantic"),
    "private attributes": ("private(Model(a=1))", "pydantic"),
    "fields set": ("Model(a=1, b='b')", "pydantic"),
    "constructed without a field": ("Model.model_construct(b='x')", "pickle"),
    "constructed with other types": ("Model.model_construct(a='text', b=3)", "pydantic"),
    "constructed inside": ("Holder.model_construct(ids=[1], inner=Model.model_construct())", "pickle"),
    "attribute on a model": ("with_(Model(a=1), later=3)", "pickle"),
    "state of its own": ("Stateful()", "pickle"),
    "slot on a model not set": ("Slotted()", "pydantic"),
    "attribute on a tuple": ("with_(Named(1, 2), note='n')", "pickle"),
    "tuple without": ("Named(1, 2)", "json"),
    "inherited slot": ("with_(Sub(2), kept=3)", "pickle"),
    "inherited private slot": ("Sub(2).hide(4)", "pickle"),
    "inherited slot not set": ("Sub(2)", "dataclass"),
    "own slots": ("Slim(1)", "dataclass"),
}
READ = """
import importlib, json, sys
from turnout.api.run import Run

module = importlib.import_module(sys.argv[1])
told = {}
for one in Run("latest", stack="stack.yaml"):
    value = one.load()
    told[one.name] = [*map(module.state, value)] if isinstance(value, list) else module.state(value)
print(json.dumps(told))
"""


def test_a_slot_that_pydantic_would_lose_is_refused(project):
    run, state, _ = project.run(
        CLASSES
        + """
    @step
    def make() -> dict:
        return {"m": with_(Slotted(), extra=3)}

    @pipeline
    def flow():
        make()
    """
    )
    first = project.log(run, "make").splitlines()[0]
    assert state == "failed"
    assert first == f"output 'output': the slot 'extra' of a {project.module}.Slotted cannot be saved"


def test_what_an_object_holds_beyond_its_fields_is_kept(project):
    names = {name: name.replace(" ", "_") for name in OBJECTS}
    steps = "".join(
        f"\n    @step\n    def {names[name]}():\n        return {expression}\n"
        for name, (expression, _) in OBJECTS.items()
    )
    flow = "\n    @pipeline\n    def flow():\n" + "".join(f"        {names[name]}()\n" for name in OBJECTS)
    run, state, _ = project.run(CLASSES + steps + flow)
    assert state == "succeeded"
    module = sys.modules[project.module]
    done = subprocess.run(
        [sys.executable, "-c", READ, project.module],
        cwd=project.folder,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(project.folder)},
    )
    assert done.returncode == 0, done.stderr
    arrived = json.loads(done.stdout)
    for name, (expression, form) in OBJECTS.items():
        value = eval(expression, vars(module))
        expected = [*map(module.state, value)] if isinstance(value, list) else module.state(value)
        assert arrived[names[name]] == expected, name
        assert run[names[name]].record.outputs["output"].artifact.materializer == form, name
