"""The BoTorch model behind the surrogate `multi-fidelity`: fidelities that build on one another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from surrogates.gaussian import GaussianModel, solved
from surrogates.scaling import unit_box, varies

if TYPE_CHECKING:
    from pydantic import JsonValue

FLOOR = 1e-4
"""Smallest noise variance, relative to that of all values."""
OFFSET_VARIANCE = 1.0
"""Prior variance of what a fidelity differs by everywhere, relative to that of all values."""

DIFFERENCE, ROUGH, NOISE = math.log(0.4), -1.5, math.log(1e-3)
"""Centres of the priors: amplitude (log) of what a dearer fidelity adds, share (logit) of it that no
descriptor tells, and noise variance (log) of the lower fidelities, all relative to all values."""


class AutoregressiveGP(GaussianModel):
    """Exact GP over (candidate, fidelity), each fidelity made of the one below and a difference.

    f_m(x) = ρ_m f_{m-1}(x) + δ_m(x), the autoregressive model of Kennedy & O'Hagan (Biometrika 87, 1
    (2000), eq. 1). Each δ_m is a Gaussian process of its own with a constant, a Matérn-5/2 part with
    one length scale for all descriptors (as in `SharedScaleGP`), and a part that differs from crystal
    to crystal: what no descriptor tells but the dearer fidelity shares. The lower fidelities have
    noise besides, which it does not share. `noise` (n) are known standard deviations of the values.

    With `coupled=False` every ρ is zero: each fidelity is a process alone. With several fidelities, the
    last column of every input (b x q x (d + 1)) is the fidelity's index, 0 for the cheapest.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        fidelities: int,
        noise: Tensor | None = None,
        *,
        coupled: bool = True,
    ) -> None:
        super().__init__()
        self._fidelities = fidelities
        self._coupled = coupled
        self._data = {"x": x, "y": y} | ({} if noise is None else {"noise": noise})
        descriptors, _ = self._split(x)
        columns = int(varies(descriptors).sum())
        self.scaling = unit_box(descriptors)
        self.register_buffer("shift", y.mean())
        self.register_buffer("scale", y.std())
        self._length_prior = (math.sqrt(2) + math.log(columns) / 2, math.sqrt(3))

        mean, std = self._length_prior
        self.log_length = _parameters(fidelities, mean - std**2)
        self.log_amplitude = _parameters(fidelities, 0.0)
        self._amplitudes = torch.zeros(fidelities, dtype=torch.float64)
        if coupled:
            self._amplitudes[1:] = DIFFERENCE
        self.rough_logit = _parameters(fidelities, ROUGH)
        self.slope = _parameters(fidelities - 1, 1.0 if coupled else 0.0)
        self.slope.requires_grad_(coupled)
        self.log_noise = _parameters(fidelities - 1, NOISE)
        self._distances: Tensor | None = None
        self._solved: tuple[Tensor, Tensor] | None = None

    def loss(self) -> Tensor:
        """Negative logarithm of the marginal likelihood and of the priors, up to a constant."""
        covariance = self._covariance_of_data()
        with torch.no_grad():
            root, values = torch.linalg.cholesky(covariance), self._values()
            inverse = torch.cholesky_inverse(root)
            weights = inverse @ values
            value = 0.5 * (values * weights).sum() + root.diagonal().log().sum()
            slope = 0.5 * (inverse - weights @ weights.mT)
        # its value, and by what the covariance depends on its gradient (Rasmussen & Williams, Gaussian
        # Processes for Machine Learning (2006), eq. 5.9), without differentiating the factorization
        likelihood = value + (slope * (covariance - covariance.detach())).sum()

        def normal(value: Tensor, mean: float, std: float) -> Tensor:
            return 0.5 * ((value - mean) / std).square().sum()

        loss: Tensor = (
            likelihood
            + normal(self.log_length, *self._length_prior)
            + normal(self.log_amplitude - self._amplitudes, 0.0, 0.6)
            + normal(self.rough_logit, ROUGH, 1.5)
            + normal(self.slope, 1.0, 0.5)
            + normal(self.log_noise, NOISE, 1.5)
        )
        return loss

    def moments(self, x: Tensor, *, observation_noise: bool = False) -> tuple[Tensor, Tensor]:
        """Joint mean and covariance over (candidate, fidelity) pairs."""
        if self._solved is None:
            root = torch.linalg.cholesky(self._covariance_of_data())
            weights = torch.cholesky_solve(self._values(), root)
            self._solved = root.detach(), weights.detach()
        root, weights = self._solved
        known = self._data["x"]
        cross = self._covariance(x, known, self._distance(x, known))
        explained = solved(root, cross.mT)
        covariance = self._covariance(x, x, self._distance(x, x)) - explained.mT @ explained
        if observation_noise:
            covariance = covariance + torch.diag_embed(self._noise(x))
        mean = (cross @ weights).squeeze(-1)
        return self.shift + self.scale * mean, self.scale**2 * covariance

    def _values(self) -> Tensor:
        return cast("Tensor", (self._data["y"] - self.shift) / self.scale)

    def _covariance_of_data(self) -> Tensor:
        """That of all values, noise included; their distances are computed once."""
        x = self._data["x"]
        if self._distances is None:
            self._distances = self._distance(x, x)
        noise = self._noise(x)
        if "noise" in self._data:
            noise = noise + (self._data["noise"] / self.scale).square()
        return self._covariance(x, x, self._distances) + torch.diag(noise)

    def _noise(self, x: Tensor) -> Tensor:
        noise = torch.cat([self.log_noise.exp(), self.log_noise.new_zeros(1)]) + FLOOR
        return noise[self._split(x)[1]]

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Descriptors (b x q x d) and indices of fidelities (b x q)."""
        if self._fidelities == 1:
            return x, torch.zeros(x.shape[:-1], dtype=torch.long)
        return x[..., :-1], x[..., -1].long()

    def _distance(self, one: Tensor, two: Tensor) -> Tensor:
        """Distances (b x q x p) in the unit box; those of equal descriptors are exactly zero."""
        return torch.cdist(
            self.scaling.transform(self._split(one)[0]),
            self.scaling.transform(self._split(two)[0]),
            compute_mode="donot_use_mm_for_euclid_dist",
        )

    def _covariance(self, one: Tensor, two: Tensor, distance: Tensor) -> Tensor:
        """Prior covariance (b x q x p) of the values at `one` (b x q) and at `two` (b x p)."""
        same = (distance == 0).to(distance)
        loadings = self._loadings()
        left, right = loadings[self._split(one)[1]], loadings[self._split(two)[1]]
        total = torch.zeros_like(distance)
        for level in range(self._fidelities):
            rough = self.rough_logit[level].sigmoid()
            smooth = _matern(distance / self.log_length[level].exp())
            part = OFFSET_VARIANCE + (2 * self.log_amplitude[level]).exp() * (
                (1 - rough) * smooth + rough * same
            )
            total = total + left[..., :, None, level] * right[..., None, :, level] * part
        return total

    def _loadings(self) -> Tensor:
        """How much of each difference is in each fidelity (m x j): the product of the slopes between."""
        unit = torch.eye(self._fidelities, dtype=torch.float64)
        rows = [unit[0]]
        for level in range(1, self._fidelities):
            rows.append(rows[-1] * self.slope[level - 1] + unit[level])
        return torch.stack(rows)

    @property
    def details(self) -> dict[str, JsonValue]:
        """Slopes between the fidelities, and what each adds (standard deviation, target's scale)."""
        amplitudes = self.scale * self.log_amplitude.detach().exp()
        return {
            "slopes": self.slope.tolist(),
            "difference_std": amplitudes.tolist(),
            "length_scales": self.log_length.detach().exp().tolist(),
            "share_without_descriptors": self.rough_logit.detach().sigmoid().tolist(),
        }

    def dump(self) -> tuple[dict[str, JsonValue], dict[str, Tensor]]:
        """For `surrogates.persistence`: the training data and the fitted parameters."""
        parameters = {f"fitted.{name}": value for name, value in self.named_parameters()}
        settings: dict[str, JsonValue] = {"fidelities": self._fidelities, "coupled": self._coupled}
        return settings, self._data | parameters

    @classmethod
    def restore(cls, settings: Mapping[str, Any], tensors: dict[str, Tensor]) -> AutoregressiveGP:
        """Inverse of `dump`."""
        model = cls(tensors["x"], tensors["y"], noise=tensors.get("noise"), **settings)
        for name, parameter in model.named_parameters():
            parameter.data.copy_(tensors[f"fitted.{name}"])
        model.requires_grad_(requires_grad=False)
        return model


def _matern(r: Tensor) -> Tensor:
    """Matérn-5/2 correlation at distances in units of the length scale."""
    s = math.sqrt(5) * r
    return (1 + s + s.square() / 3) * (-s).exp()


def _parameters(count: int, value: float) -> nn.Parameter:
    return nn.Parameter(torch.full((count,), value, dtype=torch.float64))
