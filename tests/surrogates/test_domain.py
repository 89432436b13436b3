"""Inside or outside of what a model knows."""

import torch

from surrogates.domain import Domain


def test_replicates_do_not_narrow_the_domain():
    x = torch.rand(40, 3, generator=torch.Generator().manual_seed(0)).double()
    new = torch.rand(100, 3, generator=torch.Generator().manual_seed(1)).double()
    once, repeated = Domain(x).distance(new), Domain(x.repeat(4, 1)).distance(new)
    torch.testing.assert_close(once, repeated, rtol=0.02, atol=0.0)
