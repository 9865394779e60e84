"""The materializer passes its suite."""

import pytest

from turnout.testing.materializer import MaterializerSuite
from turnout_specimen.materializer import Specimen, SpecimenMaterializer


class TestSpecimenMaterializer(MaterializerSuite):
    @pytest.fixture
    def materializer(self):
        return SpecimenMaterializer()

    @pytest.fixture
    def values(self):
        return [Specimen([1, 2]), Specimen([])]

    @pytest.fixture
    def unequal(self):
        return [(Specimen([1, 2]), Specimen([2, 1]))]
