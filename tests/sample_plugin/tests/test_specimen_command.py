"""The command is among those of turnout, and does what it says."""

from click.testing import CliRunner

from turnout.testing.component import registry_of
from turnout_specimen.command import greet


def test_it_is_registered_without_a_problem():
    registry = registry_of("command", greet)
    assert [str(problem) for problem in registry.problems] == []
    assert registry.get("command", "specimen") is greet


def test_it_greets():
    assert CliRunner().invoke(greet, ["Zoë"]).output == "hello, Zoë\n"
