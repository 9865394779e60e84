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
