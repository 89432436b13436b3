"""The surrogate that learns across fidelities."""

from __future__ import annotations

import pytest

from surrogates.conformance import SurrogateConformance
from surrogates.multi_fidelity import MultiFidelityGP


class TestConformance(SurrogateConformance):
    """With one fidelity it is a surrogate like any other."""

    @pytest.fixture(scope="class")
    def surrogate(self):
        return MultiFidelityGP()
