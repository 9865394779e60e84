"""The policy passes its suite."""

import pytest

from turnout.plugin_api import Retry
from turnout.testing.plans import sample_plan, sample_step
from turnout.testing.policy import PolicySuite
from turnout_specimen.policy import SpecimenPolicy, SpecimenSettings


class TestSpecimenPolicy(PolicySuite):
    @pytest.fixture
    def policy(self):
        return SpecimenPolicy(SpecimenSettings(retries=2))

    @pytest.fixture
    def allowed(self):
        return [sample_plan(), sample_plan(sample_step(retry=Retry(count=2)))]

    @pytest.fixture
    def forbidden(self):
        return [sample_plan(sample_step("fine"), sample_step("stubborn", retry=Retry(count=3)))]
