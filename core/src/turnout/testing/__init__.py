"""For the tests of users and of plugin authors: fixtures, and the suites a plugin must pass."""

import pytest

for _module in ("artifact_store", "orchestrator", "trial"):
    pytest.register_assert_rewrite(f"turnout.testing.{_module}")
