"""The deployer passes its suite."""

import pytest

from turnout.testing.deployer import DeployerSuite, Served
from turnout_specimen.deployer import SpecimenDeployer, SpecimenSettings


class TestSpecimenDeployer(DeployerSuite):
    @pytest.fixture
    def deployer(self, tmp_path):
        return SpecimenDeployer(SpecimenSettings(folder=str(tmp_path / "deployments")))

    @pytest.fixture
    def served(self):
        return Served(
            endpoint={"name": "double", "input": "x", "factor": 2},
            name="double",
            rows=[{"x": 1}, {"x": 2.5}],
            predictions=[2, 5.0],
            bad_rows=[{}, {"x": "two"}],
        )
