"""The command, as the tests of the catalog call it."""

import pytest
from projects import call_here


@pytest.fixture
def call(capsys):
    """Run the command in this process, to the exit code that is expected; what it printed."""

    def call(*words, code=0):
        call_here(*words, code=code)
        return capsys.readouterr()

    return call
