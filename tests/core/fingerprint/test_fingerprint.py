"""The fingerprint of a function: it changes with everything the function reaches, and with nothing else."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import projects
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnout.fingerprint import syntax
from turnout.fingerprint.fingerprint import FOREIGN, Fingerprint, Fingerprints, fingerprint
from turnout.project.project import Project

Files = Mapping[str, str]


def write(root: Path, files: Files) -> Project:
    projects.write(root, {path: textwrap.dedent(text) for path, text in files.items()})
    return Project(root=root, name="p")


@pytest.fixture
def take(tmp_path: Path) -> Callable[..., Fingerprint]:
    """Write files into the project, and take the fingerprint of ``flow:fit`` as it then is."""

    def take(files: Files, reference: str = "flow:fit") -> Fingerprint:
        found = Fingerprints(write(tmp_path, files)).of_class(reference)
        assert found is not None
        return found

    return take


FIT = "def fit(x):\n    return x + 1\n"

SAME = {
    "comment": ({"flow.py": FIT}, {"flow.py": "# why\ndef fit(x):  # so\n\n    return x + 1\n"}),
    "format": ({"flow.py": FIT}, {"flow.py": "def fit(\n    x,\n):\n    return (x\n        + 1)\n"}),
    "quotes": ({"flow.py": "def fit():\n    return 'a'"}, {"flow.py": 'def fit():\n    return "a"'}),
    "docstring": ({"flow.py": FIT}, {"flow.py": '"""Module."""\ndef fit(x):\n    """Function."""\n    return x + 1\n'}),
    "docstring of a class": (
        {"flow.py": "class A:\n    x = 1\ndef fit(): return A"},
        {"flow.py": "class A:\n    'Doc.'\n    x = 1\n    'Of x.'\ndef fit(): return A"},
    ),
    "unrelated function": (
        {"flow.py": FIT + "def other(): return 1"},
        {"flow.py": FIT + "def other(): return 2\ndef more(): return fit(1)"},
    ),
    "unrelated constant": ({"flow.py": FIT + "A = 1"}, {"flow.py": FIT + "A = [2, {'b': 3}]"}),
    "unrelated class": (
        {"flow.py": FIT + "class A:\n    def f(self): return 1"},
        {"flow.py": FIT + "class A:\n    def f(self): return 2"},
    ),
    "unrelated module": ({"flow.py": FIT, "lib.py": "A = 1"}, {"flow.py": FIT, "lib.py": "A = 2"}),
    "other function of a module that is used": (
        {"flow.py": "import lib\ndef fit(): return lib.f()", "lib.py": "def f(): return 1\ndef g(): return 1"},
        {"lib.py": "def f(): return 1\ndef g(): return 2"},
    ),
    "other name of a re-exporting package": (
        {
            "flow.py": "from lib import f\ndef fit(): return f()",
            "lib/__init__.py": "from .a import f\nfrom .b import g",
            "lib/a.py": "def f(): return 1",
            "lib/b.py": "def g(): return 1",
        },
        {"lib/b.py": "def g(): return 2"},
    ),
    "options of the step": (
        {"flow.py": "from turnout import step\n@step\ndef fit(): return 1"},
        {"flow.py": "from turnout import step\n@step(retries=3, cache=True)\ndef fit(): return 1"},
    ),
    "another step of the module": (
        {"flow.py": "import turnout as t\n@t.step\ndef fit(): return 1\n@t.step\ndef other(): return 1"},
        {"flow.py": "import turnout as t\n@t.step\ndef fit(): return 1\n@t.step\ndef other(): return 2"},
    ),
    "the main block": (
        {"flow.py": FIT + "if __name__ == '__main__':\n    fit(1)"},
        {"flow.py": FIT + "if __name__ == '__main__':\n    print(fit(2))"},
    ),
    "pure constructors": (
        {"flow.py": FIT + "import re, pathlib\nP = re.compile('a')\nQ = pathlib.Path('a') / 'b'"},
        {"flow.py": FIT + "import re, pathlib\nP = re.compile('b')\nQ = pathlib.Path('c') / 'b'"},
    ),
    "a file that nothing names": ({"flow.py": FIT, "q.sql": "select 1"}, {"q.sql": "select 2"}),
    "a file of the same suffix": (
        {"flow.py": "def fit(x): return f'{x}.{x}', 'q.sql', '.sql'", "q.sql": "select 1", "other.sql": "select 1"},
        {"other.sql": "select 2"},
    ),
    "a module of the name of an installed package, elsewhere": (
        {"flow.py": "import yaml\ndef fit(): return yaml.dump(1)", "lib/yaml.py": "A = 1"},
        {"lib/yaml.py": "A = 2"},
    ),
    "a cycle of imports, elsewhere": (
        {
            "flow.py": "import b\ndef fit(): return b.f()",
            "b.py": "import flow\ndef f(): return 1\ndef g(): return flow.fit",
        },
        {"b.py": "import flow\ndef f(): return 1\ndef g(): return flow"},
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_what_does_not_count(take: Callable[..., Fingerprint], case: str) -> None:
    before, after = SAME[case]
    first = take(before)
    assert take({**before, **after}) == first


CHANGED = {
    "a default that is called as the parameter": (
        {"flow.py": "A = 1\ndef fit(A=A): return A"},
        {"flow.py": "A = 2\ndef fit(A=A): return A"},
    ),
    "a decorator that is called as a parameter": (
        {"flow.py": "def d(f): return f\n@d\ndef fit(d): return d"},
        {"flow.py": "def d(f): return lambda d: 1\n@d\ndef fit(d): return d"},
    ),
    "a name that a function takes as the module's": (
        {"flow.py": "A = 1\ndef fit():\n    global A\n    A += 1\n    return A"},
        {"flow.py": "A = 2\ndef fit():\n    global A\n    A += 1\n    return A"},
    ),
    "a name that an inner function takes as the module's": (
        {"flow.py": "A = 1\ndef fit(A):\n    def inner():\n        global A\n        return A\n    return inner()"},
        {"flow.py": "A = 2\ndef fit(A):\n    def inner():\n        global A\n        return A\n    return inner()"},
    ),
    "a name beside a comprehension that uses it": (
        {"flow.py": "A = 1\ndef fit(x): return [A for A in x], A"},
        {"flow.py": "A = 2\ndef fit(x): return [A for A in x], A"},
    ),
    "a name in a class that hides it from itself": (
        {"flow.py": "A = 1\ndef fit(A):\n    class C:\n        A = A\n    return C.A"},
        {"flow.py": "A = 2\ndef fit(A):\n    class C:\n        A = A\n    return C.A"},
    ),
    "a name of a class's body in its methods": (
        {
            "flow.py": "A = 1\ndef fit():\n    class C:\n        A = 0\n        def f(self): return A\n    return C().f()"
        },
        {
            "flow.py": "A = 2\ndef fit():\n    class C:\n        A = 0\n        def f(self): return A\n    return C().f()"
        },
    ),
    "an import that may be replaced": (
        {
            "flow.py": "def fit():\n    try:\n        from a import f\n    except ImportError:\n        f = None\n    return f()",
            "a.py": "def f(): return 1",
        },
        {"a.py": "def f(): return 2"},
    ),
    "a call in what is annotated": (
        {
            "flow.py": "from typing import Annotated\nA = 1\ndef m(x): return x\ndef fit(x: Annotated[int, m(A)]): return x"
        },
        {
            "flow.py": "from typing import Annotated\nA = 2\ndef m(x): return x\ndef fit(x: Annotated[int, m(A)]): return x"
        },
    ),
    "the function": ({"flow.py": FIT}, {"flow.py": FIT.replace("1", "2")}),
    "its default": ({"flow.py": "def fit(x=1): return x"}, {"flow.py": "def fit(x=2): return x"}),
    "a default by name": (
        {"flow.py": "A = 1\ndef fit(x=A): return x"},
        {"flow.py": "A = 2\ndef fit(x=A): return x"},
    ),
    "1 is not 1.0": ({"flow.py": "def fit(): return 1"}, {"flow.py": "def fit(): return 1.0"}),
    "1 is not True": ({"flow.py": "def fit(): return 1"}, {"flow.py": "def fit(): return True"}),
    "None is not nothing": ({"flow.py": "def fit(a): return a[None:]"}, {"flow.py": "def fit(a): return a[:None:]"}),
    "sync and async": ({"flow.py": "def fit(): return 1"}, {"flow.py": "async def fit(): return 1"}),
    "helper in the module": (
        {"flow.py": "def h(): return 1\ndef fit(): return h()"},
        {"flow.py": "def h(): return 2\ndef fit(): return h()"},
    ),
    "helper of a helper in another module": (
        {
            "flow.py": "import a\ndef fit(): return a.f()",
            "a.py": "from b import g\ndef f(): return g()",
            "b.py": "def g(): return 1",
        },
        {"b.py": "def g(): return 2"},
    ),
    "constant": ({"flow.py": "A = 1\ndef fit(): return A"}, {"flow.py": "A = 2\ndef fit(): return A"}),
    "constant of constants": (
        {"flow.py": "A = 1\nB = (A, 2)\ndef fit(): return B"},
        {"flow.py": "A = 3\nB = (A, 2)\ndef fit(): return B"},
    ),
    "constant of a module by attribute": (
        {"flow.py": "import a\ndef fit(): return a.A", "a.py": "A = 1"},
        {"a.py": "A = 2"},
    ),
    "constant that a later statement changes": (
        {"flow.py": "T = {}\nT['a'] = 1\ndef fit(): return T"},
        {"flow.py": "T = {}\nT['a'] = 2\ndef fit(): return T"},
    ),
    "constant bound again": (
        {"flow.py": "A = 1\nif A:\n    A = 2\ndef fit(): return A"},
        {"flow.py": "A = 1\nif A:\n    A = 3\ndef fit(): return A"},
    ),
    "augmented constant": (
        {"flow.py": "A = [1]\nB = A\nB += [1]\ndef fit(): return A"},
        {"flow.py": "A = [1]\nB = A\nB += [2]\ndef fit(): return A"},
    ),
    "decorator": (
        {"flow.py": "def d(f): return f\n@d\ndef fit(): return 1"},
        {"flow.py": "def d(f): return lambda: 2\n@d\ndef fit(): return 1"},
    ),
    "decorator under @step": (
        {
            "flow.py": "from turnout import step\nfrom a import d\n@step\n@d\ndef fit(): return 1",
            "a.py": "def d(f): return f",
        },
        {"a.py": "def d(f): return lambda: 2"},
    ),
    "method of a class received": (
        {"flow.py": "from m import M\ndef fit(m: M): return m.run()", "m.py": "class M:\n    def run(self): return 1"},
        {"m.py": "class M:\n    def run(self): return 2"},
    ),
    "class received in a quoted annotation": (
        {"flow.py": "import m\ndef fit(m: 'list[m.M]'): return m", "m.py": "class M:\n    def run(self): return 1"},
        {"m.py": "class M:\n    def run(self): return 2"},
    ),
    "class that derives from the one received": (
        {
            "flow.py": "from m import M\ndef fit(m: M): return m.run()",
            "m.py": "class M: pass",
            "other.py": "import m as k\nclass N(k.M):\n    pass\nclass O(N):\n    def run(self): return 1",
        },
        {"other.py": "import m as k\nclass N(k.M):\n    pass\nclass O(N):\n    def run(self): return 2"},
    ),
    "class in a field of the one received": (
        {
            "flow.py": "from m import Bundle\ndef fit(b: Bundle): return b",
            "m.py": "class Base: pass\nclass Bundle:\n    inner: Base",
            "other.py": "from m import Base\nclass Real(Base):\n    def run(self): return 1",
        },
        {"other.py": "from m import Base\nclass Real(Base):\n    def run(self): return 2"},
    ),
    "base class": (
        {
            "flow.py": "from m import M\ndef fit(): return M()",
            "m.py": "from b import B\nclass M(B): pass",
            "b.py": "class B:\n    x = 1",
        },
        {"b.py": "class B:\n    x = 2"},
    ),
    "class attribute": (
        {"flow.py": "class C:\n    A = 1\ndef fit(): return C.A"},
        {"flow.py": "class C:\n    A = 2\ndef fit(): return C.A"},
    ),
    "import a.b as c": (
        {"flow.py": "import a.b as c\ndef fit(): return c.f()", "a/__init__.py": "", "a/b.py": "def f(): return 1"},
        {"a/b.py": "def f(): return 2"},
    ),
    "import a.b": (
        {"flow.py": "import a.b\ndef fit(): return a.b.f()", "a/__init__.py": "", "a/b.py": "def f(): return 1"},
        {"a/b.py": "def f(): return 2"},
    ),
    "from . import": (
        {"p/flow.py": "from . import b\ndef fit(): return b.f()", "p/__init__.py": "", "p/b.py": "def f(): return 1"},
        {"p/b.py": "def f(): return 2"},
    ),
    "from ..b import": (
        {
            "p/q/flow.py": "from ..b import f as g\ndef fit(): return g()",
            "p/__init__.py": "",
            "p/q/__init__.py": "",
            "p/b.py": "def f(): return 1",
        },
        {"p/b.py": "def f(): return 2"},
    ),
    "a package without __init__": (
        {"flow.py": "from a import b\ndef fit(): return b.f()", "a/b.py": "def f(): return 1"},
        {"a/b.py": "def f(): return 2"},
    ),
    "a name re-exported": (
        {
            "flow.py": "from lib import f\ndef fit(): return f()",
            "lib/__init__.py": "from .a import g as f",
            "lib/a.py": "def g(): return 1",
        },
        {"lib/a.py": "def g(): return 2"},
    ),
    "a module that its package imports from itself": (
        {
            "flow.py": "from lib import a\ndef fit(): return a.f()",
            "lib/__init__.py": "from . import a",
            "lib/a.py": "def f(): return 1",
        },
        {"lib/a.py": "def f(): return 2"},
    ),
    "a value that its package sets on a module of it": (
        {
            "flow.py": "from lib import a\ndef fit(): return a.A",
            "lib/__init__.py": "from lib import a\na.A = 1",
            "lib/a.py": "A = 0",
        },
        {"lib/__init__.py": "from lib import a\na.A = 2"},
    ),
    "a name that two modules import from each other": (
        {
            "flow.py": "from a import f\ndef fit(): return f()",
            "a.py": "try:\n    from b import f\nexcept ImportError:\n    def f(): return 1",
            "b.py": "from a import f",
        },
        {"a.py": "try:\n    from b import f\nexcept ImportError:\n    def f(): return 2"},
    ),
    "a conditional import": (
        {
            "flow.py": "try:\n    from a import f\nexcept ImportError:\n    from b import f\ndef fit(): return f()",
            "a.py": "def f(): return 1",
            "b.py": "def f(): return 1",
        },
        {"b.py": "def f(): return 2"},
    ),
    "an import inside the function": (
        {"flow.py": "def fit():\n    from a import f\n    return f()", "a.py": "def f(): return 1"},
        {"a.py": "def f(): return 2"},
    ),
    "an import inside of a module as a whole": (
        {
            "flow.py": "def fit():\n    import a.b\n    return a.b.f()",
            "a/__init__.py": "",
            "a/b.py": "def f(): return 1",
        },
        {"a/b.py": "def f(): return 2"},
    ),
    "a nested function": (
        {"flow.py": "A = 1\ndef fit():\n    def inner():\n        return A\n    return inner()"},
        {"flow.py": "A = 2\ndef fit():\n    def inner():\n        return A\n    return inner()"},
    ),
    "a table of functions": (
        {"flow.py": "def f(): return 1\nT = {'f': f}\ndef fit(k): return T[k]()"},
        {"flow.py": "def f(): return 2\nT = {'f': f}\ndef fit(k): return T[k]()"},
    ),
    "a table filled by decorators": (
        {
            "flow.py": "T = {}\ndef reg(f):\n    T[f.__name__] = f\n    return f\n@reg\ndef f(): return 1\ndef fit(k): return T[k]()"
        },
        {
            "flow.py": "T = {}\ndef reg(f):\n    T[f.__name__] = f\n    return f\n@reg\ndef f(): return 2\ndef fit(k): return T[k]()"
        },
    ),
    "a table filled by another module": (
        {
            "flow.py": "import plug\nfrom table import T\ndef fit(k): return T[k]()",
            "table.py": "T = {}",
            "plug.py": "from table import T\nT['a'] = lambda: 1",
        },
        {"plug.py": "from table import T\nT['a'] = lambda: 2"},
    ),
    "a table filled by __init_subclass__": (
        {
            "flow.py": "from b import B\nclass C(B):\n    x = 1\ndef fit(): return B.all",
            "b.py": "class B:\n    all = []\n    def __init_subclass__(cls): B.all.append(cls)",
        },
        {"flow.py": "from b import B\nclass C(B):\n    x = 2\ndef fit(): return B.all"},
    ),
    "a table filled in a class body": (
        {
            "flow.py": "from b import reg, T\nclass C:\n    @reg\n    def f(self): return 1\ndef fit(): return T",
            "b.py": "T = []\ndef reg(f):\n    T.append(f)\n    return f",
        },
        {"flow.py": "from b import reg, T\nclass C:\n    @reg\n    def f(self): return 2\ndef fit(): return T"},
    ),
    "an accessor registered with another package": (
        {
            "flow.py": "import pandas as pd\n@pd.api.extensions.register_dataframe_accessor('g')\nclass G:\n    x = 1\ndef fit(d): return d.g.x"
        },
        {
            "flow.py": "import pandas as pd\n@pd.api.extensions.register_dataframe_accessor('g')\nclass G:\n    x = 2\ndef fit(d): return d.g.x"
        },
    ),
    "a seed set at the top": (
        {"flow.py": "import random\nrandom.seed(1)\ndef fit(): return random.random()"},
        {"flow.py": "import random\nrandom.seed(2)\ndef fit(): return random.random()"},
    ),
    "a seed set by a module that is imported": (
        {
            "flow.py": "import setup_all\ndef fit(): return 1",
            "setup_all.py": "import deep",
            "deep.py": "import random\nrandom.seed(1)",
        },
        {"deep.py": "import random\nrandom.seed(2)"},
    ),
    "a seed set by the package around": (
        {"p/flow.py": "def fit(): return 1", "p/__init__.py": "import random\nrandom.seed(1)"},
        {"p/__init__.py": "import random\nrandom.seed(2)"},
    ),
    "an attribute set on another module": (
        {
            "flow.py": "import a, patch\ndef fit(): return a.f()",
            "a.py": "def f(): return 1",
            "patch.py": "import a\na.f = lambda: 1",
        },
        {"patch.py": "import a\na.f = lambda: 2"},
    ),
    "a star import": (
        {"flow.py": "from a import *\ndef fit(): return f()", "a.py": "from b import *", "b.py": "def f(): return 1"},
        {"b.py": "def f(): return 2"},
    ),
    "getattr with a made-up name": (
        {"flow.py": "import a\ndef fit(n): return getattr(a, n)()", "a.py": "def f(): return 1"},
        {"a.py": "def f(): return 2"},
    ),
    "getattr on what is re-exported": (
        {
            "flow.py": "import a\ndef fit(n): return getattr(a, n)()",
            "a/__init__.py": "from .b import f",
            "a/b.py": "def f(): return 1",
        },
        {"a/b.py": "def f(): return 2"},
    ),
    "a module passed on": (
        {"flow.py": "import a\ndef call(m): return m.f()\ndef fit(): return call(a)", "a.py": "def f(): return 1"},
        {"a.py": "def f(): return 2"},
    ),
    "globals": (
        {"flow.py": "def f(): return 1\ndef fit(n): return globals()[n]()"},
        {"flow.py": "def f(): return 2\ndef fit(n): return globals()[n]()"},
    ),
    "eval": (
        {"p/flow.py": "def fit(n): return eval(n)", "p/__init__.py": "", "p/b.py": "A = 1"},
        {"p/b.py": "A = 2"},
    ),
    "import_module with a made-up name": (
        {"flow.py": "import importlib\ndef fit(n): return importlib.import_module(n).f()", "b.py": "def f(): return 1"},
        {"b.py": "def f(): return 2"},
    ),
    "import_module with a literal": (
        {
            "flow.py": "from importlib import import_module\ndef fit(): return import_module('b').f()",
            "b.py": "def f(): return 1",
        },
        {"b.py": "def f(): return 2"},
    ),
    "a function named by a string": (
        {"flow.py": "def load(n): ...\ndef fit(): return load('b.c:f')", "b/c.py": "def f(): return 1"},
        {"b/c.py": "def f(): return 2"},
    ),
    "a module in a folder put on sys.path": (
        {
            "flow.py": "import sys\nfrom pathlib import Path\nsys.path.insert(0, str(Path(__file__).parent / 'lib'))\n"
            "import aside\ndef fit(): return aside.f()",
            "lib/aside.py": "def f(): return 1",
        },
        {"lib/aside.py": "def f(): return 2"},
    ),
    "a module of a package in a folder put on sys.path": (
        {
            "flow.py": "import sys\nsys.path.append('my-libs')\nfrom aside.b import f\ndef fit(): return f()",
            "my-libs/aside/b.py": "def f(): return 1",
        },
        {"my-libs/aside/b.py": "def f(): return 2"},
    ),
    "a file read beside the module": (
        {
            "flow.py": "from pathlib import Path\ndef fit(): return Path(__file__).with_name('q.sql').read_text()",
            "q.sql": "select 1",
        },
        {"q.sql": "select 2"},
    ),
    "a file read at the top": (
        {
            "flow.py": "import json\nA = json.load(open('conf/settings.json'))\ndef fit(): return A",
            "conf/settings.json": "1",
        },
        {"conf/settings.json": "2"},
    ),
    "a file of a name that is made up": (
        {"flow.py": "def fit(n): return open(f'sql/{n}_daily.sql').read()", "sql/a_daily.sql": "select 1"},
        {"sql/a_daily.sql": "select 2"},
    ),
    "files of a pattern": (
        {"flow.py": "def fit(d): return sorted(d.glob('*.sql'))", "sql/a.sql": "select 1"},
        {"sql/a.sql": "select 2"},
    ),
    "a file in a command": (
        {"flow.py": "import os\ndef fit(): return os.system('sh tool.sh --fast')", "tool.sh": "echo 1"},
        {"tool.sh": "echo 2"},
    ),
    "a script that cannot be imported": (
        {"flow.py": "import runpy\ndef fit(): return runpy.run_path('my-tools/x.py')", "my-tools/x.py": "A = 1"},
        {"my-tools/x.py": "A = 2"},
    ),
    "another Python started": (
        {
            "flow.py": "import subprocess, sys\ndef fit(m): return subprocess.run([sys.executable, '-m', m])",
            "tool.py": "print(1)",
        },
        {"tool.py": "print(2)"},
    ),
    "a name resolved by pkgutil": (
        {"flow.py": "import pkgutil\ndef fit(n): return pkgutil.resolve_name(n)", "a.py": "A = 1"},
        {"a.py": "A = 2"},
    ),
    "a variable in a query of pandas": (
        {"flow.py": "from a import LOW\ndef fit(d): return d.query('x > @LOW')", "a.py": "LOW = 1"},
        {"a.py": "LOW = 2"},
    ),
    "a pickle loaded": (
        {
            "flow.py": "import joblib\ndef fit(p): return joblib.load(p).run()",
            "b.py": "class M:\n    def run(self): return 1",
        },
        {"b.py": "class M:\n    def run(self): return 2"},
    ),
    "sub-classes asked for": (
        {
            "flow.py": "from b import B\ndef fit(): return B.__subclasses__()",
            "b.py": "class B: ...",
            "c.py": "from b import B\nclass C(B): x = 1",
        },
        {"c.py": "from b import B\nclass C(B): x = 2"},
    ),
    "a name that only __getattr__ gives": (
        {"flow.py": "import a\ndef fit(): return a.lazy", "a.py": "def f(): return 1\ndef __getattr__(n): return f()"},
        {"a.py": "def f(): return 2\ndef __getattr__(n): return f()"},
    ),
    "docstrings, where they are read": (
        {"flow.py": "def f():\n    'one'\ndef fit(): return f.__doc__"},
        {"flow.py": "def f():\n    'two'\ndef fit(): return f.__doc__"},
    ),
    "docstring under another package's decorator": (
        {"flow.py": "from tools import tool\n@tool\ndef fit():\n    'one'"},
        {"flow.py": "from tools import tool\n@tool\ndef fit():\n    'two'"},
    ),
    "a materializer registered": (
        {"flow.py": FIT + "import turnout\n@turnout.materializer(int)\nclass M:\n    x = 1"},
        {"flow.py": FIT + "import turnout\n@turnout.materializer(int)\nclass M:\n    x = 2"},
    ),
    "another package imported": ({"flow.py": FIT}, {"flow.py": "import seaborn\n" + FIT}),
    "a module that cannot be read": (
        {"flow.py": "import a\ndef fit(): return a.f()", "a.py": "def f(: 1"},
        {"a.py": "def f(: 2"},
    ),
    "a compiled module": (
        {"flow.py": "import a\ndef fit(): return a.f()", "a.pyx": "def f(): 1"},
        {"a.pyx": "def f(): 2"},
    ),
    "a cycle of imports": (
        {"flow.py": "import b\nA = 1\ndef fit(): return b.f()", "b.py": "import flow\ndef f(): return flow.A"},
        {"flow.py": "import b\nA = 2\ndef fit(): return b.f()"},
    ),
    "a name bound by with, for and match": (
        {"flow.py": "for A in (1, 2):\n    pass\ndef fit(): return A"},
        {"flow.py": "for A in (1, 3):\n    pass\ndef fit(): return A"},
    ),
}


@pytest.mark.parametrize("case", CHANGED)
def test_what_counts(take: Callable[..., Fingerprint], case: str) -> None:
    before, after = CHANGED[case]
    flow = next(path for path in before if path.endswith("flow.py"))
    reference = flow.removesuffix(".py").replace("/", ".") + ":fit"
    first = take(before, reference)
    second = take({**before, **after}, reference)
    assert first.digest != second.digest
    assert first.parts != second.parts
    assert take(before, reference) == first, "and back"


def test_parts_name_what_changed(take: Callable[..., Fingerprint]) -> None:
    files = {
        "flow.py": "import numpy as np\nimport lib\nA = 1\ndef fit(): return lib.f(A)",
        "lib.py": "import random\nrandom.seed(1)\ndef f(x): return x",
    }
    first = take(files)
    assert list(first.parts) == [FOREIGN, "flow:A", "flow:fit", "lib:(top level)", "lib:f"]
    second = take({**files, "lib.py": files["lib.py"].replace("return x", "return -x")})
    assert {name for name, digest in second.parts.items() if first.parts[name] != digest} == {"lib:f"}


def test_a_whole_module_is_one_part(take: Callable[..., Fingerprint]) -> None:
    found = take({"flow.py": "import a\ndef fit(n): return getattr(a, n)", "a.py": "A = 1\nB = 2"})
    assert list(found.parts) == ["a", "flow"]


def test_import_roots_of_the_project(tmp_path: Path) -> None:
    files = {"src/flow.py": "import lib\ndef fit(): return lib.A", "src/lib.py": "A = 1"}
    first = Fingerprints(write(tmp_path, files)).of_class("flow:fit")
    assert first is not None
    second = Fingerprints(write(tmp_path, {"src/lib.py": "A = 2"})).of_class("flow:fit")
    assert second is not None
    assert first.digest != second.digest
    assert Fingerprints(write(tmp_path, {})).of_class("json:loads") is None


def test_a_snapshot_reads_each_file_once(tmp_path: Path) -> None:
    project = write(tmp_path, {"flow.py": FIT})
    prints = Fingerprints(project)
    first = prints.of_class("flow:fit")
    write(tmp_path, {"flow.py": "def fit(x):\n    return x + 2\n"})
    assert prints.of_class("flow:fit") is first
    assert Fingerprints(project).of_class("flow:fit") != first


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Files, str], ModuleType]]:
    """Import a module of a project in a temporary folder; forget its modules afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))

    def load(files: Files, name: str) -> ModuleType:
        write(tmp_path, files)
        for known in set(sys.modules) - before:
            del sys.modules[known]
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield load
    for known in set(sys.modules) - before:
        del sys.modules[known]


def test_a_function_is_found_by_its_file(tmp_path: Path, modules: Callable[[Files, str], ModuleType]) -> None:
    module = modules(
        {
            "fp_a.py": "import functools\nA = 1\ndef d(f):\n    @functools.wraps(f)\n    def w(): return f()\n    return w\n@d\ndef fit(): return A"
        },
        "fp_a",
    )
    project = Project(root=tmp_path, name="p")
    expected = Fingerprints(project).of_class("fp_a:fit")
    assert fingerprint(module.fit, project) == expected
    prints = Fingerprints(project)
    assert prints.of(module.fit) is prints.of(module.fit)
    assert prints.of(module.fit) == expected


def test_a_closure_counts_with_what_it_holds(tmp_path: Path, modules: Callable[[Files, str], ModuleType]) -> None:
    text = "B = 1\ndef helper(): return B\ndef make(k):\n    def fit(x): return x + k + helper()\n    return fit\n"
    module = modules({"fp_b.py": text}, "fp_b")
    project = Project(root=tmp_path, name="p")
    one, again, two = (fingerprint(module.make(k), project) for k in (1, 1, 2))
    assert one == again
    assert one.digest != two.digest
    assert "fp_b:B" in one.parts
    changed = modules({"fp_b.py": text.replace("B = 1", "B = 2")}, "fp_b")
    assert fingerprint(changed.make(1), project).digest != one.digest


def run_cell(text: str, space: dict[str, object] | None = None) -> dict[str, object]:
    """Run source as a notebook does: in memory, in a module without a file."""
    space = {"__name__": "__main__"} if space is None else space
    exec(compile(textwrap.dedent(text), "<cell>", "exec"), space)
    return space


NOTEBOOK = """
    import dataclasses, json
    SCALE = {"a": [1, 2.5], "b": {3, 4}}
    @dataclasses.dataclass
    class Row:
        x: int = 1
        y: list = dataclasses.field(default_factory=list)
        def total(self): return self.x
    def helper(row): return json.dumps(row.total() * SCALE["a"][0])
    def fit(row: Row): return helper(row)
"""


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("2.5", "2.5", True),
        ("def helper(row): return", "def helper(row):\n        # why\n        return", True),
        ("2.5", "2.6", False),
        ("{3, 4}", "{3, 5}", False),
        ("return self.x", "return -self.x", False),
        ("x: int = 1", "x: int = 2", False),
        ("default_factory=list", "default_factory=tuple", False),
        ('SCALE["a"][0]', 'SCALE["a"][1]', False),
        ("def fit(row: Row):", "def fit(row: Row, k=1):", False),
    ],
)
def test_functions_of_a_notebook(tmp_path: Path, old: str, new: str, same: bool) -> None:
    assert old in NOTEBOOK
    project = Project(root=tmp_path, name="p")
    first = fingerprint(run_cell(NOTEBOOK)["fit"], project)
    second = fingerprint(run_cell(NOTEBOOK.replace(old, new))["fit"], project)
    assert (first == second) == same
    assert "__main__:helper" in first.parts


def test_a_notebook_reaches_into_the_project(tmp_path: Path, modules: Callable[[Files, str], ModuleType]) -> None:
    project = Project(root=tmp_path, name="p")
    cell = "import fp_lib\nfrom fp_lib import f\ndef fit(): return f() + fp_lib.g()"
    modules({"fp_lib.py": "def f(): return 1\ndef g(): return 1"}, "fp_lib")
    first = fingerprint(run_cell(cell)["fit"], project)
    modules({"fp_lib.py": "def f(): return 1\ndef g(): return 2"}, "fp_lib")
    assert fingerprint(run_cell(cell)["fit"], project).digest != first.digest


def test_objects_a_notebook_holds_count_with_their_class(tmp_path: Path) -> None:
    project = Project(root=tmp_path, name="p")
    cell = "import decimal\nclass M:\n    def run(self): return 1\nm = M()\nd = decimal.Decimal(1)\ndef fit(): return m.run() + d"
    first = fingerprint(run_cell(cell)["fit"], project)
    assert "__main__:M" in first.parts
    assert fingerprint(run_cell(cell.replace("return 1", "return 2"))["fit"], project).digest != first.digest
    assert fingerprint(run_cell(cell.replace("Decimal(1)", "Decimal(2)"))["fit"], project).digest != first.digest


def test_what_cannot_be_told_never_matches(tmp_path: Path) -> None:
    project = Project(root=tmp_path, name="p")
    space = run_cell("import threading\nlock = threading.Lock()\ndef fit(): return lock")
    assert fingerprint(space["fit"], project) != fingerprint(space["fit"], project)


def test_recursion_in_a_notebook_ends(tmp_path: Path) -> None:
    space = run_cell(
        "loop = []\nloop.append(loop)\ndef odd(n): return n and even(n - 1)\ndef even(n): return odd(n) if loop else 0"
    )
    found = fingerprint(space["odd"], Project(root=tmp_path, name="p"))
    assert list(found.parts) == ["__main__:even", "__main__:odd"]


def test_the_digest_does_not_depend_on_hash_seed_or_folder(tmp_path: Path) -> None:
    files = {
        "flow.py": "import a, numpy, pandas\nS = {'x', 'y', 'z'}\ndef fit(n): return getattr(a, n)(S)",
        "a.py": "from b import *\nimport b\ndef f(x): return g(x)",
        "b.py": "def g(x): return x\nclass C:\n    def m(self): return {1, 2}",
    }
    script = (
        "import sys; from pathlib import Path; from turnout.fingerprint.fingerprint import Fingerprints;"
        "from turnout.project.project import Project;"
        "print(Fingerprints(Project(root=Path(sys.argv[1]), name='p')).of_class('flow:fit').digest)"
    )
    found = set()
    for seed in ("0", "5"):
        root = tmp_path / seed
        write(root, files)
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", script, str(root)]
        found.add(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)
    assert len(found) == 1


def test_a_deep_expression_is_no_obstacle(take: Callable[..., Fingerprint]) -> None:
    text = "def fit():\n    return " + " + ".join(["'a'"] * 2000)
    assert take({"flow.py": text}).digest != take({"flow.py": text + " + 'b'"}).digest


names = st.sampled_from(["a", "b", "c"])
expressions = st.recursive(
    st.one_of(st.integers(-3, 3).map(str), names, st.sampled_from(["'s'", "1.5", "None", "True"])),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "and", "is", "<"]), inner).map(" ".join).map("({})".format),
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.tuples(names, inner).map(lambda pair: f"{pair[0]}({pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]})[{pair[1]}:]"),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(expressions, expressions)
def test_syntax_digests_are_equal_just_where_the_syntax_is(one: str, two: str) -> None:
    first, second = (ast.parse(f"def f(a, b, c):\n    return {text}") for text in (one, two))
    assert (syntax.dump(first) == syntax.dump(second)) == (ast.dump(first) == ast.dump(second))
    assert syntax.dump(ast.parse(ast.unparse(first))) == syntax.dump(first)
