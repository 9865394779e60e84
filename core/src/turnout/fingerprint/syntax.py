"""A module's source taken apart: its top-level statements, what each binds, mentions and reaches for."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache

import msgspec

from turnout.fingerprint import effects
from turnout.fingerprint.scope import Chain, Scope, Target, chain_of, statements_of

MODULE, PACKAGE = 1, 2
"""How far a statement may reach by means that cannot be followed: its whole module, its whole package."""
BY_NAME = "<imported by name>"
"""Stands in the imports of a unit for the modules it imports by a literal name, without binding one."""


class Unit(msgspec.Struct, frozen=True):
    """One top-level statement.

    ``digest`` is of its syntax; ``chains`` are the names it mentions, ``words`` its string constants that could be
    names, ``files`` the names and patterns of files in them; ``imports`` and ``loads`` the imports inside it;
    ``received`` the names in its annotations; ``bases`` of a class what it derives from, ``hooks`` whether it acts on
    classes derived from it; ``widens`` is 0, MODULE or PACKAGE; ``introspects`` tells whether it reads docstrings or
    source, ``effect`` whether its execution when the module is imported may change more than the names it binds.
    """

    names: tuple[str, ...]
    digest: str
    chains: frozenset[Chain]
    words: frozenset[str]
    files: frozenset[str]
    imports: dict[str, tuple[Target, ...]]
    loads: tuple[Target, ...]
    received: frozenset[Chain]
    bases: tuple[Chain, ...]
    hooks: bool
    widens: int
    introspects: bool
    effect: bool


class Source(msgspec.Struct, frozen=True):
    """A module: its units, which of them bind a name, and its imports. ``digest`` is of its whole syntax."""

    digest: str
    units: tuple[Unit, ...]
    binds: dict[str, tuple[int, ...]]
    imports: dict[str, tuple[Target, ...]]
    loads: tuple[Target, ...]
    stars: tuple[Target, ...]


_NOT_IN_A_FILE = re.compile(r"[^\w.*?\[\]-]+")
_FILE = re.compile(r"[^\n]*\.[A-Za-z]\w{0,9}\Z")
"""The name of a file, with a suffix, or a pattern for such."""
_VARIABLE = re.compile(r"@([^\W\d]\w*)")
"""A variable in the text of a query of pandas, which looks it up in the module of its caller."""
_WORD = re.compile(r"[^\W\d][\w.]{0,200}(:[^\W\d][\w.]{0,200})?\Z")
_DYNAMIC_NAMES = {"eval": PACKAGE, "exec": PACKAGE, "compile": PACKAGE, "globals": MODULE}
_DYNAMIC_MEMBERS = {
    "import_module": PACKAGE,
    "__import__": PACKAGE,
    "__subclasses__": PACKAGE,
    "run_module": PACKAGE,
    "run_path": PACKAGE,
    "exec_module": PACKAGE,
    "load_module": PACKAGE,
    "__globals__": MODULE,
    "f_globals": MODULE,
    "getmodule": MODULE,
}
_DYNAMIC_ORIGINS = re.compile(
    r"(builtins\.(eval|exec|compile)|sys\.(modules|executable)|pandas\.read_pickle|pydoc\.locate"
    r"|pkgutil\.(resolve_name|iter_modules|walk_packages)|hydra\.utils\.(instantiate|call|get_\w+)"
    r"|(pickle|_pickle|cloudpickle|dill|joblib|shelve|torch)\.(load|loads|Unpickler|open))\b"
)
_INTROSPECTION = frozenset({"__doc__", "getdoc", "getsource", "getsourcelines", "getcomments", "co_firstlineno"})
_DEFINERS = frozenset({"turnout.step", "turnout.pipeline", "turnout.endpoint"})
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@lru_cache(maxsize=4096)
def parse(data: bytes) -> Source | None:
    """Take a module's source apart; None where the running Python cannot read it."""
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    tree.body = [statement for statement in tree.body if not _is_main_guard(statement)]
    imports: dict[str, tuple[Target, ...]] = {}
    loads: list[Target] = []
    stars: list[Target] = []
    for statement in statements_of(tree.body):
        _note_import(statement, imports, loads, stars)
    scope = Scope(imports, frozenset(name for one in tree.body for name in _bound(one)))
    _clean(tree, scope)
    units = tuple(_unit(one, scope) for one in tree.body if not isinstance(one, (ast.Import, ast.ImportFrom)))
    binds: dict[str, tuple[int, ...]] = {}
    for number, unit in enumerate(units):
        for name in unit.names:
            binds[name] = (*binds.get(name, ()), number)
    return Source(dump(tree), units, binds, imports, tuple(loads), tuple(stars))


def dump(tree: ast.AST) -> str:
    """The digest of a syntax tree, alike for all versions of Python: no positions, contexts and empty fields."""
    hasher = hashlib.sha256()
    stack: list[ast.AST | str] = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            hasher.update(item.encode("utf-8", "surrogatepass"))
        elif isinstance(item, ast.Constant):
            literal = f"{item.value:x}" if type(item.value) is int else repr(item.value)
            stack.append(f"{type(item.value).__name__} {literal};")
        else:
            stack.append(")")
            for name, value in reversed(list(ast.iter_fields(item))):
                if name not in {"ctx", "type_comment"} and value is not None and value != []:
                    stack.append(";")
                    for one in reversed(value if isinstance(value, list) else [value]):
                        stack.extend((",", one if isinstance(one, ast.AST) else repr(one)))
                    stack.append(f"{name}=")
            stack.append(f"{type(item).__name__}(")
    return hasher.hexdigest()


def _is_main_guard(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.If)
        and not statement.orelse
        and isinstance(statement.test, ast.Compare)
        and isinstance(statement.test.left, ast.Name)
        and statement.test.left.id == "__name__"
        and isinstance(statement.test.ops[0], ast.Eq)
    )


def _note_import(
    node: ast.AST, imports: dict[str, tuple[Target, ...]], loads: list[Target], stars: list[Target]
) -> None:
    def bind(name: str, target: Target) -> None:
        imports[name] = (*imports.get(name, ()), target)

    if isinstance(node, ast.Import):
        for alias in node.names:
            loads.append(Target(0, alias.name))
            first = alias.name.split(".")[0]
            bind(alias.asname or first, Target(0, alias.name if alias.asname else first))
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            if alias.name == "*":
                stars.append(Target(node.level, node.module or ""))
                loads.append(Target(node.level, node.module or ""))
            else:
                target = Target(node.level, node.module or "", alias.name)
                loads.append(target)
                bind(alias.asname or alias.name, target)


def _clean(tree: ast.Module, scope: Scope) -> None:
    """Take out what is not behaviour: docstrings, unless something unknown may read them, and turnout's decorators."""
    kept: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, _DEFINITIONS):
            node.decorator_list = [one for one in node.decorator_list if not _is_definer(one, scope)]
            readers = [*node.decorator_list, *(node.bases if isinstance(node, ast.ClassDef) else ())]
            if node.body and any(_is_foreign(reader, scope) for reader in readers):
                kept.add(id(node.body[0]))
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                setattr(node, name, [one for one in block if id(one) in kept or not _is_text(one)])


def _is_definer(decorator: ast.expr, scope: Scope) -> bool:
    chain = chain_of(decorator.func if isinstance(decorator, ast.Call) else decorator)
    return chain is not None and any(origin in _DEFINERS for origin in scope.origins(chain))


def _is_foreign(reader: ast.expr, scope: Scope) -> bool:
    chain = chain_of(effects.root_of(reader))
    return chain is not None and bool(scope.origins(chain)) and not effects.is_pure(reader, scope)


def _is_text(statement: ast.AST) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _bound(statement: ast.stmt) -> tuple[str, ...]:
    """The names that a top-level statement binds, but for its imports; comprehensions' own among them, harmlessly."""
    if isinstance(statement, _DEFINITIONS):
        return (statement.name,)
    names: dict[str, None] = {}
    stack: list[ast.AST] = [statement]
    while stack:
        node = stack.pop()
        if isinstance(node, _DEFINITIONS):
            names[node.name] = None
            continue
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names[node.id] = None
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            names[node.name] = None
        elif isinstance(node, ast.MatchMapping) and node.rest:
            names[node.rest] = None
        if not isinstance(node, ast.Lambda):
            stack.extend(ast.iter_child_nodes(node))
    return tuple(sorted(names))


def _unit(statement: ast.stmt, scope: Scope) -> Unit:
    imports: dict[str, tuple[Target, ...]] = {}
    loads: list[Target] = []
    chains: set[Chain] = set()
    words: set[str] = set()
    files: set[str] = set()
    received: set[Chain] = set()
    widens = 0
    followed: set[int] = set()
    stack: list[ast.AST] = [statement]
    while stack:
        node = stack.pop()
        _note_import(node, imports, loads, loads)
        chain = chain_of(node)
        if chain is not None:
            chains.add(chain)
            if id(node) not in followed:
                widens = max(widens, _DYNAMIC_MEMBERS.get(chain[-1], 0), _DYNAMIC_NAMES.get(chain[0], 0))
            continue
        if isinstance(node, ast.Attribute):
            widens = max(widens, _DYNAMIC_MEMBERS.get(node.attr, 0))
        elif text := _text_of(node):
            words |= {text} if _WORD.match(text) else set()
            chains |= {(name,) for name in _VARIABLE.findall(text)}
            files |= _files_in(text)
        elif isinstance(node, ast.Call):
            widens = max(widens, _reach_of(node))
            if (module := _imported_by_name(node)) is not None:
                followed.add(id(node.func))
                chains.add((BY_NAME,))
                imports[BY_NAME] = (*imports.get(BY_NAME, ()), Target(0, module))
        elif isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation is not None:
            received |= _annotated(node.annotation)
        stack.extend(ast.iter_child_nodes(node))
    local = Scope({**scope.imports, **imports}, scope.bound)
    chains |= received
    origins = {origin for chain in chains for origin in local.origins(chain)}
    if any(_DYNAMIC_ORIGINS.match(origin) for origin in origins):
        widens = PACKAGE
    return Unit(
        names=_bound(statement),
        digest=dump(statement),
        chains=frozenset(chains),
        words=frozenset(words),
        files=frozenset(files),
        imports=imports,
        loads=tuple(loads),
        received=frozenset(received),
        bases=tuple(filter(None, map(_base, statement.bases))) if isinstance(statement, ast.ClassDef) else (),
        hooks=isinstance(statement, ast.ClassDef) and _acts_on_subclasses(statement),
        widens=widens,
        introspects=any(part in _INTROSPECTION for chain in chains for part in chain),
        effect=effects.has_effect(statement, scope),
    )


def _reach_of(call: ast.Call) -> int:
    """How far a call may reach by a name that is made up when it runs."""
    chain = chain_of(call.func)
    if chain in {("getattr",), ("setattr",), ("delattr",)}:
        return 0 if len(call.args) > 1 and isinstance(call.args[1], ast.Constant) else MODULE
    return MODULE if chain in {("vars",), ("locals",)} and not call.args else 0


def _imported_by_name(call: ast.Call) -> str | None:
    """The module that a call such as ``importlib.import_module("shop.models")`` gives."""
    chain = chain_of(call.func)
    if chain is None or chain[-1] not in {"import_module", "__import__"} or len(call.args) != 1:
        return None
    name = call.args[0].value if isinstance(call.args[0], ast.Constant) else None
    return name if isinstance(name, str) and not name.startswith(".") else None


def _annotated(annotation: ast.expr) -> set[Chain]:
    """The names in an annotation, those in quotes too."""
    found: set[Chain] = set()
    stack: list[ast.AST] = [annotation]
    while stack:
        node = stack.pop()
        chain = chain_of(node)
        if chain is not None:
            found.add(chain)
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            stack.extend(_parsed(node.value))
        stack.extend(ast.iter_child_nodes(node))
    return found


def _files_in(text: str) -> set[str]:
    """The names of files in a text: its words, and what follows its last slash."""
    words = {*_NOT_IN_A_FILE.split(text), re.split(r"[/\\]", text)[-1]}
    return {word for word in words if len(word) < 256 and _FILE.match(word)}


def _text_of(node: ast.AST) -> str:
    """The text of a string, of an f-string with ``*`` for what is only known later; empty for anything else."""
    if isinstance(node, ast.JoinedStr):
        return "".join("*" if isinstance(part, ast.FormattedValue) else _text_of(part) for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _parsed(text: str) -> Iterator[ast.AST]:
    try:
        yield ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return


def _base(base: ast.expr) -> Chain | None:
    return chain_of(base.value if isinstance(base, ast.Subscript) else base)


def _acts_on_subclasses(statement: ast.ClassDef) -> bool:
    if any(keyword.arg == "metaclass" for keyword in statement.keywords):
        return True
    return any(getattr(one, "name", "") == "__init_subclass__" for one in statements_of(statement.body))
