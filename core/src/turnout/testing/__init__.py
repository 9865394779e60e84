"""For the tests of users and of plugin authors: fixtures, and the suites a plugin must pass."""

import pytest

pytest.register_assert_rewrite("turnout.testing.artifact_store")
