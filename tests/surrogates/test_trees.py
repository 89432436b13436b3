import pytest

from surrogates.conformance import TabularConformance
from surrogates.trees import GradientBoosting, RandomForest


@pytest.mark.parametrize(
    "surrogate",
    [RandomForest(members=50), GradientBoosting(members=4, iterations=30)],
    ids=lambda s: type(s).__name__,
    scope="class",
)
class TestTrees(TabularConformance):
    rows = 60
