"""Surrogate `graph-ensemble`: graph networks that learn from the structures themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from surrogates.base import TrainingData
from surrogates.tabular import TabularSurrogate, judging, row_weights, without_mere_noise

if TYPE_CHECKING:
    from surrogates.graph_network import GraphEnsemble

LEARNING_RATE = 5e-3
WEIGHT_DECAY = 1e-2
ROWS_A_STEP = 128


class GraphDeepEnsemble(TabularSurrogate):
    """End-to-end deep ensemble on structures; its descriptor is `crystal`, and no other.

    Each member is a message passing network (`graph_network`) with a random prior of `prior_scale` and
    its own bootstrap of the groups; all are trained in one pass by `steps` of AdamW. `readout` is a
    perceptron or a Kolmogorov-Arnold layer.
    """

    def __init__(
        self,
        members: Annotated[int, Field(ge=4)] = 8,
        width: Annotated[int, Field(ge=4)] = 32,
        layers: Annotated[int, Field(ge=1)] = 2,
        steps: Annotated[int, Field(ge=1)] = 200,
        prior_scale: Annotated[float, Field(ge=0)] = 0.3,
        readout: Literal["mlp", "kan"] = "mlp",
    ) -> None:
        self._shape = {
            "members": members,
            "width": width,
            "layers": layers,
            "readout": readout,
            "prior_scale": prior_scale,
        }
        self._members, self._steps = members, steps

    def fit_exact(self, data: TrainingData, seed: int) -> GraphEnsemble:
        """A trained ensemble; SurrogateError where a row is no crystal."""
        import torch

        from surrogates.ensembles import bootstrap, out_of_bag_noise
        from surrogates.graph_descriptor import crystal_of, graph_of
        from surrogates.graph_network import GraphBatch, GraphEnsemble

        data = without_mere_noise(data)
        y = data.y.double().squeeze(-1)
        found = [graph_of(crystal_of(row)) for row in data.x.double().numpy()]
        graphs = GraphBatch.of(found, torch.float32)
        generator = torch.Generator().manual_seed(seed)
        model = GraphEnsemble(**self._shape, generator=generator)  # type: ignore[arg-type] # checked above
        model.shift.fill_(y.mean())
        model.scale.fill_(y.std())
        raw = model.prior(graphs).double()
        model.prior_shift.copy_(raw.mean(dim=1))
        model.prior_spread.copy_(raw.std(dim=1).clamp_min(1e-3))
        drawn = bootstrap(data, self._members, generator)
        weights = drawn * row_weights(data).float()
        residual = (((y - model.shift) / model.scale) - model.priors(graphs)).float()
        optimizer = torch.optim.AdamW(
            model.network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self._steps)
        with torch.enable_grad():
            for _ in range(self._steps):
                rows = torch.randperm(len(y), generator=generator)[:ROWS_A_STEP]
                optimizer.zero_grad()
                errors = model.network(graphs.rows(rows)) - residual[:, rows]
                (weights[:, rows] * errors.square()).mean(dim=-1).sum().backward()
                optimizer.step()
                schedule.step()
        model.requires_grad_(requires_grad=False)
        errors = (model.network(graphs) - residual).double()
        model.relative_noise.fill_(out_of_bag_noise(errors, (drawn == 0) & judging(data)))
        model.double().eval()
        return model
