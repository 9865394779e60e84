"""Settings declared at the fields that hold them: what each is called, takes and means, and who may change it."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from turnout.base.errors import DefinitionError, Location
from turnout.model.capability import Capability


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A setting, declared once: ``field: Annotated[type, Setting(…)]``; :func:`settings_of` reads the declarations.

    Args:
        name: what it is called in Python and in a stack file; by default as its field.
        about: what it means, for the reference and for editors.
        accepts: the type it is written in (with bounds), where that is not the field's.
        check: turns what was written into the field's value, and refuses by a ``ValueError`` that says why, or by
            a ``DefinitionError`` of its own; without one *accepts* decides.
        wanted: what it must be, for the message: ``a whole number from 0``.
        example: a good value, as Python source.
        fix: what to do instead, where an example does not say it; ``{name}`` is replaced.
        in_python: whether the decorator takes it.
        in_stack: whether a stack may change it.
        adds: whether what a stack says is added to what the step says.
        fields: what it sets in a struct of several fields, where that is not only its own field.
        capability: what it asks of an orchestrator where it is not at its default.
        asks: that in words; ``{}`` is the value.
        needs: a field beside it without which it asks for nothing.
    """

    name: str = ""
    about: str
    accepts: Any = None
    check: Callable[[Any], Any] | None = None
    wanted: str = ""
    example: str = ""
    fix: str = ""
    in_python: bool = True
    in_stack: bool = False
    adds: bool = False
    fields: Callable[[Any], dict[str, Any]] | None = None
    capability: Capability | None = None
    asks: str = ""
    needs: str = ""
    path: tuple[str, ...] = ()
    """The field in a step, or a struct of it and the field therein."""
    owner: str = ""
    """The struct of which it is a part, if it is written as one: ``Resources``."""
    default: Any = None
    parts: tuple[Setting, ...] = ()
    """The settings within a struct that is written as one: ``resources``."""

    def value(self, given: Any) -> Any:
        """The field's value.

        Raises:
            DefinitionError, ValueError: for what it does not take.
        """
        if self.check is not None:
            return self.check(given)
        if self.parts and not isinstance(given, self.accepts):
            raise ValueError
        return msgspec.convert(given, self.accepts)

    def read(self, given: Any, where: Location) -> Any:
        """The field's value of what stands in Python source; of a struct the values of its parts by their names.

        Raises:
            DefinitionError: for what it does not take, at *where*.
        """
        try:
            value = self.value(given)
            if not self.parts:
                return value
            given_parts = [(part, getattr(value, part.name)) for part in self.parts]
            return {part.name: part.read(one, where) for part, one in given_parts if one is not part.default}
        except DefinitionError as error:
            error.where = error.where or where
            raise
        except ValueError as error:
            why = "" if isinstance(error, msgspec.ValidationError) else str(error)
            written = f"{self.name}={self.example}"
            fix = self.fix.format(name=self.name) or f"write {f'{self.owner}({written})' if self.owner else written}"
            what = f"{self.name}={given!r} is not {self.wanted}"
            raise DefinitionError(what, where=where, why=why or None, fix=fix) from None

    def described(self, accepts: Any = None) -> Any:
        """The type in which it is written, with its description."""
        return Annotated[accepts or self.accepts, Meta(description=self.about)]


@lru_cache(maxsize=8)
def settings_of(owner: type[msgspec.Struct], part_of: str = "") -> tuple[Setting, ...]:
    """The settings that the fields of a struct declare, in their order.

    A field whose struct declares settings is written as one where it is a setting itself (``resources``), else as
    what is in it (``retries``).
    """
    defaults = {
        field.name: field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        for field in msgspec.structs.fields(owner)
    }
    settings: list[Setting] = []
    for field, hint in typing.get_type_hints(owner, include_extras=True).items():
        kind, *notes = typing.get_args(hint) if typing.get_origin(hint) is Annotated else (hint,)
        setting = next((note for note in notes if isinstance(note, Setting)), None)
        is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
        if setting is not None:
            settings.append(
                msgspec.structs.replace(
                    setting,
                    name=setting.name or field,
                    accepts=setting.accepts or kind,
                    path=(field,),
                    owner=part_of,
                    default=defaults[field],
                    parts=settings_of(kind, kind.__name__) if is_struct else (),
                )
            )
        elif is_struct:
            settings.extend(msgspec.structs.replace(s, path=(field, *s.path)) for s in settings_of(kind))
    return tuple(settings)


def changes(owner: msgspec.Struct, settings: Iterable[Setting], values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a struct that differ with other values of its settings.

    Args:
        values: by the settings' names; of a struct's parts a mapping. Those that are UNSET or lack say nothing.
    """
    fields: dict[str, Any] = {}
    for setting in settings:
        value = values.get(setting.name, UNSET)
        if value is UNSET:
            continue
        field = setting.path[0]
        current = fields.get(field, getattr(owner, field))
        if setting.parts:
            value = msgspec.structs.replace(current, **value)
        elif len(setting.path) > 1:
            more = setting.fields(value) if setting.fields else {setting.path[1]: value}
            value = msgspec.structs.replace(current, **more)
        elif setting.adds:
            value = tuple(dict.fromkeys((*current, *value)))
        fields[field] = value
    return {field: value for field, value in fields.items() if value != getattr(owner, field)}
