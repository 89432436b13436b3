"""The BoTorch model behind the surrogate `graph-ensemble`: message passing networks, all in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from surrogates.ensembles import MemberModel
from surrogates.graph_descriptor import EDGE_FEATURES, NODE_FEATURES, Graph, crystal_of, graph_of
from surrogates.kan import StackedKAN
from surrogates.stacked_linear import StackedLinear

if TYPE_CHECKING:
    from pydantic import JsonValue

CHUNK = 256
"""Crystals in one pass of the networks when they answer."""

NORM = 8.0
"""Messages come from about so many neighbours."""


@dataclass(frozen=True)
class GraphBatch:
    """Graphs of b crystals, filled up to n atoms: b x n x f, b x n x n x r, and b x n for who is real."""

    nodes: Tensor
    edges: Tensor
    real: Tensor

    @classmethod
    def of(cls, graphs: Sequence[Graph], dtype: torch.dtype) -> GraphBatch:
        """These graphs as tensors of this precision."""
        atoms = max(len(graph.nodes) for graph in graphs)
        nodes = np.zeros((len(graphs), atoms, NODE_FEATURES))
        edges = np.zeros((len(graphs), atoms, atoms, EDGE_FEATURES))
        real = np.zeros((len(graphs), atoms))
        for i, graph in enumerate(graphs):
            n = len(graph.nodes)
            nodes[i, :n], edges[i, :n, :n], real[i, :n] = graph.nodes, graph.edges, 1.0
        return cls(*(torch.from_numpy(array).to(dtype) for array in (nodes, edges, real)))

    def rows(self, which: Tensor) -> GraphBatch:
        """Some of the crystals."""
        return GraphBatch(self.nodes[which], self.edges[which], self.real[which])


class StackedGraphNetwork(nn.Module):
    """`members` networks of the same shape on graphs: -> members x b.

    Messages are continuous-filter convolutions (K. T. Schütt et al., SchNet, J. Chem. Phys. 148, 241722
    (2018)) with filters linear in the edges' basis, so that a supercell gives the same answer. Means and
    standard deviations over the atoms are read out by a perceptron (`mlp`) or a Kolmogorov-Arnold layer
    (`kan`).
    """

    def __init__(
        self, members: int, width: int, layers: int, readout: str, generator: torch.Generator
    ) -> None:
        super().__init__()
        self._members = members
        self.embed = StackedLinear(members, NODE_FEATURES, width, generator)
        self.filters, self.sent, self.updates = (nn.ModuleList() for _ in range(3))
        for _ in range(layers):
            self.filters.append(StackedLinear(members, EDGE_FEATURES, width, generator))
            self.sent.append(StackedLinear(members, width, width, generator))
            self.updates.append(StackedLinear(members, 2 * width, width, generator))
        pooled = 2 * width
        self.readout = (
            StackedKAN(members, pooled, 1, generator)
            if readout == "kan"
            else nn.Sequential(
                StackedLinear(members, pooled, width, generator),
                nn.SiLU(),
                StackedLinear(members, width, 1, generator),
            )
        )

    def forward(self, batch: GraphBatch) -> Tensor:
        """All members at all crystals."""
        real = batch.real.unsqueeze(-1)
        hidden = nn.functional.silu(
            self.embed(batch.nodes.expand(self._members, *batch.nodes.shape))
        )
        for filters, sent, update in zip(self.filters, self.sent, self.updates, strict=True):
            # without its bias a filter is linear in the edges: what has no edge sends nothing
            weights = torch.einsum("bijr,mrh->mbijh", batch.edges, filters.weight)
            messages = torch.einsum("mbijh,mbjh->mbih", weights, sent(hidden)) / NORM
            hidden = hidden + nn.functional.silu(update(torch.cat([hidden, messages], dim=-1)))
        atoms = real.sum(dim=-2)
        mean = (hidden * real).sum(dim=-2) / atoms
        spread = ((hidden - mean.unsqueeze(-2)).square() * real).sum(dim=-2) / atoms
        pooled = torch.cat([mean, (spread + 1e-4).sqrt()], dim=-1)
        return cast("Tensor", self.readout(pooled).squeeze(-1))


class GraphEnsemble(MemberModel):
    """Graph networks with a random prior each (Osband et al., NeurIPS 2018) on rows that are crystals.

    Each crystal is computed once: over a pool, the members answer from what they said before. The
    networks are made in float32, which is enough to train them; `double()` makes the model ready for use.
    """

    def __init__(
        self,
        *,
        members: int,
        width: int,
        layers: int,
        readout: str,
        prior_scale: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self._settings: dict[str, Any] = {
            "members": members,
            "width": width,
            "layers": layers,
            "readout": readout,
            "prior_scale": prior_scale,
        }
        shape = (members, width, layers, readout, generator)
        self.network = StackedGraphNetwork(*shape)
        self.prior = StackedGraphNetwork(*shape).requires_grad_(requires_grad=False)
        self.prior_scale = prior_scale
        for name in ("shift", "scale", "prior_shift", "prior_spread", "relative_noise"):
            size = members if name.startswith("prior") else 1
            self.register_buffer(name, torch.zeros(size, dtype=torch.float64))
        self._answers: dict[bytes, Tensor] = {}

    def priors(self, batch: GraphBatch) -> Tensor:
        """The frozen networks, of mean 0 and deviation `prior_scale` over the training data."""
        raw = (self.prior(batch) - self.prior_shift.unsqueeze(-1)) / self.prior_spread.unsqueeze(-1)
        return cast("Tensor", self.prior_scale * raw)

    def members(self, x: Tensor) -> Tensor:
        """Predictions of all members (b x members x q) at x (b x q x d), on the target's scale."""
        rows = x.detach().double().flatten(0, -2).cpu().contiguous().numpy()
        keys = [row.tobytes() for row in rows]
        new = {k: row for k, row in zip(keys, rows, strict=True) if k not in self._answers}
        fresh = list(new.items())
        for start in range(0, len(fresh), CHUNK):
            chunk = fresh[start : start + CHUNK]
            graphs = [graph_of(crystal_of(row)) for _, row in chunk]
            batch = GraphBatch.of(graphs, torch.float64)
            with torch.no_grad():
                values = self.network(batch) + self.priors(batch)
            answers = (self.shift + self.scale * values).T
            self._answers |= dict(zip([key for key, _ in chunk], answers, strict=True))
        found = torch.stack([self._answers[key] for key in keys], dim=1)
        return cast("Tensor", found.unflatten(-1, x.shape[:-1]).movedim(0, -2))

    @property
    def details(self) -> dict[str, JsonValue]:
        """The read-out besides."""
        return {**super().details, "readout": self._settings["readout"]}

    @classmethod
    def restore(cls, settings: Mapping[str, Any], tensors: dict[str, Tensor]) -> GraphEnsemble:
        """Inverse of `dump`."""
        model = cls(**settings, generator=torch.Generator())
        model.double().load_state_dict(tensors)
        model.requires_grad_(requires_grad=False)
        model.eval()
        return model
