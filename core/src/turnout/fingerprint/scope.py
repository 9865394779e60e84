"""Names in a module, followed to where they come from."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Sequence

import msgspec

Chain = tuple[str, ...]
"""A name and the attributes taken from it: ``np.random.seed`` is ``("np", "random", "seed")``."""


class Target(msgspec.Struct, frozen=True):
    """What an import binds: a module (after *level* leading dots), or a *name* in it."""

    level: int
    module: str
    name: str | None = None


class Scope(msgspec.Struct, frozen=True):
    """The names a module knows: from its imports, and ``bound`` by its other statements."""

    imports: dict[str, tuple[Target, ...]]
    bound: frozenset[str]

    def origins(self, chain: Chain) -> tuple[str, ...]:
        """What a chain may stand for, each in full: ``numpy.random.seed``, ``builtins.list``.

        Empty where it is the project's own or cannot be told: a relative import, a name bound here.
        """
        name, rest = chain[0], chain[1:]
        if name in self.bound:
            return ()
        targets = self.imports.get(name)
        if targets is None:
            return (".".join(("builtins", *chain)),) if hasattr(builtins, name) else ()
        if any(target.level for target in targets):
            return ()
        return tuple(".".join(filter(None, (target.module, target.name, *rest))) for target in targets)


def chain_of(node: ast.AST) -> Chain | None:
    """The chain that an expression is, or None if it is anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else None


def statements_of(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when *body* does, those inside ``if``, ``try``, ``with`` and loops among them."""
    for statement in body:
        yield statement
        yield from statements_of(blocks_of(statement))


def blocks_of(statement: ast.stmt) -> list[ast.stmt]:
    """The statements directly inside a compound statement; none for definitions, whose bodies run on their own."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return []
    found: list[ast.stmt] = []
    for name in ("body", "orelse", "finalbody"):
        found.extend(getattr(statement, name, ()))
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        found.extend(part.body)
    return found


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_CLASSES = (ast.ClassDef,)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def parts_of(node: ast.AST, hidden: frozenset[str]) -> Iterator[tuple[ast.AST, frozenset[str]]]:
    """The parts of a piece of syntax, each with the names of the module that are hidden in it.

    A function's parameters and what it assigns hide the module's names of the same name in its body, not in its
    decorators, defaults and annotations. A class hides nothing from its methods, and its own assignments bring the
    module's names to light again: there Python looks past the functions around it.
    """
    if isinstance(node, FUNCTIONS):
        body = node.body if isinstance(node.body, list) else [node.body]
        own, of_module = _locals_of(node.args, body)
        inside = (hidden - of_module) | own
        yield from ((one, inside) for one in body)
        within = set(map(id, body))
        yield from ((one, hidden) for one in ast.iter_child_nodes(node) if id(one) not in within)
    elif isinstance(node, _CLASSES):
        own, of_module = _locals_of(None, node.body)
        yield from ((one, hidden - own - of_module) for one in ast.iter_child_nodes(node))
    else:
        yield from ((one, hidden) for one in ast.iter_child_nodes(node))


def _locals_of(arguments: ast.arguments | None, body: Sequence[ast.AST]) -> tuple[frozenset[str], frozenset[str]]:
    """The names that a body makes its own, by parameters and assignments, and those it takes as the module's.

    Not its own are names that it imports: these are followed to where they come from.
    """
    own: set[str] = set()
    other: set[str] = set()
    if arguments is not None:
        every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg)
        own.update(one.arg for one in every if one is not None)
    stack: list[ast.AST] = list(body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Global):
            other.update(node.names)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            other.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            own.add(node.id)
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            own.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            own.add(node.rest)
        if isinstance(node, (*FUNCTIONS, *_CLASSES)):
            own.update([node.name] if not isinstance(node, ast.Lambda) else [])
        elif isinstance(node, _COMPREHENSIONS):  # its loop's names are nobody else's; a walrus in it is the body's
            loops = {id(one) for one in node.generators}
            stack.extend(one for one in ast.iter_child_nodes(node) if id(one) not in loops)
            stack.extend(one for loop in node.generators for one in (loop.iter, *loop.ifs))
        else:
            stack.extend(ast.iter_child_nodes(node))
    return frozenset(own - other), frozenset(other)
