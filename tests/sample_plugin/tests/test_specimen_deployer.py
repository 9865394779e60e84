"""The deployer passes its suite."""

import pytest

from turnout.testing.deployer import DeployerSuite
from turnout_specimen.deployer import SpecimenDeployer, SpecimenSettings


class TestSpecimenDeployer(DeployerSuite):
    @pytest.fixture
    def deployer(self, tmp_path):
        return SpecimenDeployer(SpecimenSettings(folder=str(tmp_path / "deployments")))
