"""A setting of a step is declared once; what is derived from it, and the signature that editors read, agree with that."""

from __future__ import annotations

import sys
import typing

import msgspec
import pytest

from turnout.definition.step import step
from turnout.model.declared import settings_of
from turnout.model.plan import StepPlan
from turnout.model.spec import StepBase, StepSpec
from turnout.stack.overrides import StepOverrides, StepSettings

DECLARED = {setting.name: setting for setting in settings_of(StepSpec)}
IN_PYTHON = {name for name, setting in DECLARED.items() if setting.in_python}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="overloads cannot be read before Python 3.11")
def test_the_decorators_signature_is_what_is_declared():
    typed = typing.get_type_hints(typing.get_overloads(step)[1]).keys() - {"name", "options", "engines", "return"}
    assert typed == IN_PYTHON


def test_the_decorators_docstring_tells_of_each_setting():
    assert {name for name in IN_PYTHON if f"        {name}: " not in step.__doc__} == set()


def test_a_stack_may_change_what_is_declared_so():
    names = {name for name, setting in DECLARED.items() if setting.in_stack}
    assert set(StepSettings.__struct_fields__) == names
    assert set(StepOverrides.__struct_fields__) == {*names, "options", "places"}


def test_every_setting_says_what_it_is_about_and_what_a_good_value_is():
    for setting in DECLARED.values():
        for part in (setting, *setting.parts):
            assert part.about
            assert not part.in_python or part.check or (part.wanted and part.example), part.name
            assert bool(part.capability) is bool(part.asks)


def test_a_plan_has_every_field_that_a_spec_shares_with_it():
    spec, plan = StepSpec(name="fit"), StepPlan(name="fit")
    shared = set(StepBase.__struct_fields__) - {"cache"}
    assert {name: getattr(spec, name) for name in shared} == {name: getattr(plan, name) for name in shared}


def test_settings_that_are_refused_alike_in_python_and_in_a_stack():
    bounds = {field.name: field.type for field in msgspec.structs.fields(StepSettings)}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(200, bounds["retry_backoff"])
