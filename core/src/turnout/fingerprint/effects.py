"""Which statements do more, when a module is imported, than bind names: seeds set, tables filled, things registered."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from turnout.fingerprint.scope import Scope, blocks_of, chain_of

_PURE_BUILTINS = frozenset({
    "abs", "all", "any", "bool", "bytearray", "bytes", "chr", "classmethod", "complex", "dict", "divmod",
    "enumerate", "float", "format", "frozenset", "getattr", "hasattr", "hash", "hex", "id", "int", "isinstance",
    "issubclass", "len", "list", "object", "oct", "ord", "pow", "property", "range", "repr", "reversed", "round",
    "set", "slice", "staticmethod", "str", "sum", "super", "tuple", "type", "zip", "Exception", "ValueError",
    "TypeError", "RuntimeError", "KeyError",
})  # fmt: skip
_PURE_MODULES = frozenset({
    "abc", "collections", "contextlib", "dataclasses", "datetime", "decimal", "enum", "fractions", "functools",
    "math", "numbers", "pathlib", "re", "string", "textwrap", "types", "typing", "typing_extensions", "uuid",
    "zoneinfo",
})  # fmt: skip
_PURE_ORIGINS = ("logging.getLogger", "os.environ.get", "os.getenv", "os.path", "itertools.count")
_ACCESSORS = frozenset({"setter", "getter", "deleter"})


def has_effect(statement: ast.stmt, scope: Scope, *, in_class: bool = False) -> bool:
    """Whether executing *statement* may change more than the names it binds.

    Calls count, unless what is called is known to be pure: builtins, constructors of the standard library, turnout's
    own but for ``materializer``.
    """
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        defaults = [*statement.args.defaults, *filter(None, statement.args.kw_defaults)]
        return _decorates(statement.decorator_list, scope) or _calls(defaults, scope)
    if isinstance(statement, ast.ClassDef):
        return (
            _decorates(statement.decorator_list, scope)
            or any(one.arg == "metaclass" and not is_pure(one.value, scope) for one in statement.keywords)
            or any(has_effect(one, scope, in_class=True) for one in statement.body)
        )
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        values = [] if statement.value is None else [statement.value]
        return not all(map(_is_name, targets)) or _calls(values, scope)
    if isinstance(statement, (ast.AugAssign, ast.Delete)):
        return not in_class
    if isinstance(statement, ast.Expr):
        return not isinstance(statement.value, ast.Constant)
    inner = any(has_effect(one, scope, in_class=in_class) for one in blocks_of(statement))
    return inner or _calls(_heads(statement), scope)


def is_pure(expression: ast.expr, scope: Scope) -> bool:
    """Whether calling *expression*, or deriving from it, is known to change nothing."""
    root = root_of(expression)
    if isinstance(root, (ast.Constant, ast.JoinedStr, ast.List, ast.Tuple, ast.Dict, ast.Set)):
        return True
    chain = chain_of(root)
    origins = () if chain is None else scope.origins(chain)
    return bool(origins) and all(map(_is_known, origins))


def root_of(expression: ast.expr) -> ast.expr:
    """What a row of calls, attributes and subscripts starts from: ``np.array`` of ``np.array([1])[0].item()``."""
    root = expression
    while isinstance(root, (ast.Attribute, ast.Call, ast.Subscript)) and chain_of(root) is None:
        root = root.func if isinstance(root, ast.Call) else root.value
    return root


def _is_known(origin: str) -> bool:
    top, _, rest = origin.partition(".")
    if top == "builtins":
        return rest.partition(".")[0] in _PURE_BUILTINS
    if top == "turnout":
        return rest != "materializer"
    if origin == "functools.reduce":
        return False
    return top in _PURE_MODULES or origin.startswith(_PURE_ORIGINS)


def _decorates(decorators: Iterable[ast.expr], scope: Scope) -> bool:
    return not all(
        is_pure(one, scope) or (isinstance(one, ast.Attribute) and one.attr in _ACCESSORS) for one in decorators
    )


def _calls(expressions: Iterable[ast.expr], scope: Scope) -> bool:
    stack: list[ast.AST] = list(expressions)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Call) and not is_pure(node.func, scope):
            return True
        if not isinstance(node, ast.Lambda):
            stack.extend(ast.iter_child_nodes(node))
    return False


def _heads(statement: ast.stmt) -> Iterator[ast.expr]:
    """The expressions in the head of a compound statement: its test, what it loops over, what it opens."""
    for name in ("test", "iter", "subject"):
        if isinstance(head := getattr(statement, name, None), ast.expr):
            yield head
    for item in getattr(statement, "items", ()):
        yield item.context_expr


def _is_name(target: ast.expr) -> bool:
    if isinstance(target, (ast.Tuple, ast.List)):
        return all(map(_is_name, target.elts))
    return isinstance(target.value if isinstance(target, ast.Starred) else target, ast.Name)
