import pytest

from surrogates.conformance import TabularConformance
from surrogates.kernel_families import (
    ARDGaussianProcess,
    BayesianRidge,
    InteractiveLinear,
    LinearGaussianProcess,
)


@pytest.mark.parametrize(
    "surrogate",
    [BayesianRidge(), InteractiveLinear(), ARDGaussianProcess(), LinearGaussianProcess()],
    ids=lambda s: type(s).__name__,
    scope="class",
)
class TestKernelFamilies(TabularConformance):
    pass
