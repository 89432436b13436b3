"""Which device potentials run on."""

import pytest
import torch

from discover.errors import PotentialError
from discover.potentials.devices import torch_device


def test_a_gpu_where_there_is_one(monkeypatch):
    monkeypatch.delenv("DISCOVER_DEVICE", raising=False)
    assert torch_device() == ("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setenv("DISCOVER_DEVICE", "cpu")
    assert torch_device() == "cpu"


def test_what_is_no_device(monkeypatch):
    monkeypatch.setenv("DISCOVER_DEVICE", "gpu")
    with pytest.raises(PotentialError, match="must be cpu or cuda"):
        torch_device()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setenv("DISCOVER_DEVICE", "cuda")
    with pytest.raises(PotentialError, match="finds no GPU"):
        torch_device()
