"""The errors turnout raises: what happened, where, why, and how to mend it.

Every error a user can cause is a :class:`TurnoutError`. Its text is made of four parts, of which only
*what* is obligatory; the command line prints it without a traceback of turnout's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from turnout.base.texts import shown


class Location(NamedTuple):
    """A place in a file: the path (relative to the project where it lies in it) and the line, from 1."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


class TurnoutError(Exception):
    """The base of all errors that turnout raises on purpose.

    Args:
        what: one sentence, without a full stop, naming the thing that is wrong.
        where: the place in the user's file, if there is one.
        why: the reason, where it is not plain from *what*.
        fix: what to do about it, as an instruction.
    """

    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        where: Location | str | None = None,
        why: str | None = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        lines = [head]
        if self.why:
            lines.append(f"  why: {self.why}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the message, without a traceback of turnout's own."""
        return [shown(f"{type(self).__name__}: {self}")]

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.where, self.why, self.fix)


def _rebuild(
    kind: type[TurnoutError], what: str, where: Location | str | None, why: str | None, fix: str | None
) -> TurnoutError:
    return kind(what, where=where, why=why, fix=fix)


class DefinitionError(TurnoutError):
    """A pipeline or step is defined in a way that cannot work."""


class TurnoutWarning(UserWarning):
    """Something went wrong that does not stop what was asked for. The command prints it as a line."""


class ConfigError(TurnoutError):
    """A stack file, a project setting or a command-line value is wrong."""


class PluginError(TurnoutError):
    """A plugin is missing, broken, or breaks its contract."""


class PlanError(TurnoutError):
    """A definition, a stack and an environment cannot be bound to a plan."""


class UnsupportedError(TurnoutError):
    """The stack cannot express what the pipeline asks for."""


class RunError(TurnoutError):
    """A run or a step failed; ``__cause__`` is the user's own exception where it is at hand.

    ``trace`` is that exception's traceback as text, the user's own frames alone, where it was recorded.
    """

    exit_code = 1
    trace = ""

    def _render_traceback_(self) -> list[str]:
        text = super()._render_traceback_()
        if self.trace and self.why and self.trace.rstrip().endswith(self.why.partition("\n")[2].rstrip()):
            short = RunError(self.what, where=self.where, why=self.why.partition("\n")[0], fix=self.fix)
            text = super(RunError, short)._render_traceback_()  # what the traceback ends with is not told again
        return [*shown(self.trace.rstrip()).splitlines(), *text]


class ArtifactError(TurnoutError):
    """An artifact or a store cannot be written, read or trusted."""


class DeployError(TurnoutError):
    """An endpoint cannot be deployed or does not answer as it should."""


class ManyErrors(TurnoutError):
    """Several errors of one kind, found together and reported at once."""

    def __init__(self, what: str, errors: Iterable[TurnoutError]) -> None:
        self.errors: Sequence[TurnoutError] = tuple(errors)
        super().__init__(what)

    def __str__(self) -> str:
        return "\n".join([f"{self.what}:", *("- " + str(error).replace("\n", "\n  ") for error in self.errors)])

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.what, self.errors)


class PlanErrors(ManyErrors, PlanError):
    """Every reason why a plan could not be made."""


class ConfigErrors(ManyErrors, ConfigError):
    """Everything that is wrong with a stack."""


def raise_all(what: str, errors: Sequence[TurnoutError]) -> None:
    """Raise nothing for no error, the error itself for one, :class:`PlanErrors` for more."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise PlanErrors(what, errors)


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that is nearest to *word*, or an empty string where none is near."""
    import difflib

    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"Did you mean 'x'?"`` for the nearest known word, or an empty string."""
    near = nearest(word, known)
    return f"Did you mean {near!r}?" if near else ""
