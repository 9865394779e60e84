"""For the tests of users and of plugin authors: fixtures, and the suites a plugin must pass."""

import pytest

for _module in (
    "artifact_store",
    "component",
    "deployer",
    "feature_store",
    "materializer",
    "observer",
    "orchestrator",
    "policy",
    "processes",
    "secret_store",
    "tracker",
    "trial",
):
    pytest.register_assert_rewrite(f"turnout.testing.{_module}")
