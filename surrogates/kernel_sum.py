"""The BoTorch model behind the linear surrogates and the GPs with ARD: a sum of kernels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from surrogates.gaussian import GaussianModel, solved
from surrogates.scaling import standard_score, unit_box, varies
from surrogates.screening import KernelScreening, inverse_root

if TYPE_CHECKING:
    from pydantic import JsonValue

TERMS = ("descriptors", "categories", "interactions", "smooth")
OFFSET_VARIANCE = 1.0
NOISE_FLOOR = 1e-4
"""Prior variance of the constant, and smallest noise variance, relative to that of the target."""

AMPLITUDE = {
    "descriptors": (math.log(0.5), 1.5),
    "categories": (math.log(0.5), 1.5),
    "interactions": (math.log(0.01), 1.0),
    "smooth": (math.log(0.1), 1.0),
}
"""Centre and width of the normal prior of each term's log variance, relative to the target's.

Interactions and the smooth term have to be borne out by the data: on fifty rows they would otherwise
take from the main effects what these need to extrapolate.
"""
SMOOTH_ALONE = (math.log(0.5), 1.5)
"""The same of a smooth term without linear ones."""
NOISE = (math.log(0.05), 2.0)
"""The same of the noise variance."""
RELEVANCE = 1.0
"""Width of the normal prior of the logarithm of the factor by which a column is divided."""


class KernelSumGP(GaussianModel):
    """Exact GP: a constant, linear terms and a smooth one, each with a variance of its own.

    k(x, x') = a₀ + a₁ d·d' + a₂ c·c' + a₃ (d·d')(c·c') + a₄ Matérn-5/2(x, x'), where d are the
    descriptors (standard scores) and c the categories (codes), each dot product divided by its mean over
    the data. The first four are Bayesian linear regression with one precision for each kind of
    coefficient (Bishop, Pattern Recognition and Machine Learning (2006), sect. 3.5), the product being
    all interactions of QMex-ILR (Shimakawa et al., npj Comput. Mater. 10, 11 (2024)): evidence decides
    for each kind how far its coefficients may go, which keeps interactions from over-fitting.

    The smooth term has one length scale in the unit box with the prior of Hvarfner et al. (ICML 2024),
    whose median grows as √d. With `ard` every column is divided by a factor of its own, in all terms
    alike, whose prior is log-normal around one: automatic relevance determination (Neal, Bayesian
    Learning for Neural Networks (1996), sect. 1.2.5), which is a length scale a column for the smooth
    term and a variance a coefficient for the linear ones.
    `noise` (n) are known standard deviations of the values, which add to the noise that is fitted.
    Descriptors are scaled as those of `reference` are, by default the data's own.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        noise: Tensor | None = None,
        *,
        terms: Sequence[str],
        categories: Sequence[int] = (),
        ard: bool = False,
        reference: Tensor | None = None,
    ) -> None:
        super().__init__()
        known = x if reference is None else reference
        varying = varies(known)
        self._settings: dict[str, JsonValue] = {
            "terms": list(terms),
            "categories": list(categories),
            "ard": ard,
        }
        self._data = {"x": x, "y": y} | ({} if noise is None else {"noise": noise})
        coded = torch.zeros(x.shape[-1], dtype=torch.bool)
        coded[list(categories)] = True
        self._columns = {"descriptors": varying & ~coded, "categories": varying & coded}
        linear = {"descriptors", "categories"}
        if not self._columns["categories"].any():
            linear -= {"categories"}
        if not self._columns["descriptors"].any():
            linear -= {"descriptors"}
        possible = linear | {"smooth"} | ({"interactions"} if len(linear) == 2 else set())
        self.terms = tuple(term for term in terms if term in possible)
        self.box, self.score = unit_box(known), standard_score(known)
        self.register_buffer("shift", y.mean())
        self.register_buffer("scale", y.std())
        self._columns["smooth"] = varying
        self._known = {kind: self._scaled(kind, x) for kind in self._columns}
        self.relevance = nn.Parameter(
            torch.zeros(int(varying.sum()) if ard else 0, dtype=torch.float64)
        )
        self._norm = {
            kind: self._scaled(kind, known).square().sum(dim=-1).mean()
            for kind in ("descriptors", "categories")
        }
        self._length_prior = (
            math.sqrt(2) + math.log(int(varying.sum())) / 2,
            math.sqrt(3),
        )
        mean, std = self._length_prior
        self._amplitudes = (
            [SMOOTH_ALONE] if self.terms == ("smooth",) else [AMPLITUDE[t] for t in self.terms]
        )
        centres = torch.tensor([centre for centre, _ in self._amplitudes], dtype=torch.float64)
        self.log_variance = nn.Parameter(centres)
        self.log_noise = nn.Parameter(torch.tensor(NOISE[0], dtype=torch.float64))
        self.log_length = nn.Parameter(torch.tensor(mean - std, dtype=torch.float64))
        self._solved: tuple[Tensor, Tensor] | None = None

    def loss(self) -> Tensor:
        """Negative logarithm of the marginal likelihood and of the priors, up to a constant."""
        x = self._data["x"]
        covariance = self.covariance(x, x) + torch.diag(self._noise_of_data())
        return _Evidence.apply(covariance, self._values()) + self._prior()  # type: ignore[no-untyped-call, no-any-return]

    def _prior(self) -> Tensor:
        loss = _normal(self.log_noise, *NOISE) + _normal(self.relevance, 0.0, RELEVANCE).sum()
        for variance, prior in zip(self.log_variance, self._amplitudes, strict=True):
            loss = loss + _normal(variance, *prior)
        if "smooth" in self.terms:
            loss = loss + _normal(self.log_length, *self._length_prior)
        return loss

    def moments(self, x: Tensor, *, observation_noise: bool = False) -> tuple[Tensor, Tensor]:
        """Joint mean and covariance; the noise of an observation to come is the fitted one."""
        known = self._data["x"]
        if self._solved is None:
            noise = torch.diag(self._noise_of_data())
            root = torch.linalg.cholesky(self.covariance(known, known) + noise).detach()
            self._solved = root, torch.cholesky_solve(self._values(), root)
        root, weights = self._solved
        cross = self.covariance(x, known)
        explained = solved(root, cross.mT)
        covariance = self.covariance(x, x) - explained.mT @ explained
        if observation_noise:
            covariance = covariance + self.noise_variance * torch.eye(x.shape[-2]).to(covariance)
        mean = (cross @ weights).squeeze(-1)
        return self.shift + self.scale * mean, self.scale**2 * covariance

    def screening(self, pending: Tensor) -> KernelScreening:
        """Means and variances of single candidates, results at `pending` (p x d) believed."""
        x = self._data["x"]
        root = inverse_root(self.covariance(x, x) + torch.diag(self._noise_of_data()))
        return KernelScreening(
            self,
            x,
            root @ (root.mT @ self._values()),
            [(-1.0, root)],
            pending=pending,
            noise=self.noise_variance,
            shift=self.shift,
            scale=self.scale,
        )

    @property
    def noise_variance(self) -> Tensor:
        """That of a value, relative to the target's."""
        return self.log_noise.exp() + NOISE_FLOOR

    def _values(self) -> Tensor:
        return cast("Tensor", (self._data["y"] - self.shift) / self.scale)

    def _noise_of_data(self) -> Tensor:
        noise = self.noise_variance.expand(len(self._data["x"]))
        if "noise" in self._data:
            noise = noise + (self._data["noise"] / self.scale).square()
        return noise

    def _scaled(self, kind: str, x: Tensor) -> Tensor:
        """The columns of a term: standard scores of descriptors, others in the unit box."""
        scale = self.score if kind == "descriptors" else self.box
        return cast("Tensor", scale.transform(x)[..., self._columns[kind]])

    def _raw(self, kind: str, x: Tensor) -> Tensor:
        """The columns of a term, each divided by its factor; what is known was scaled before."""
        scaled = self._known[kind] if x is self._data["x"] else self._scaled(kind, x)
        if len(self.relevance):
            of_kind = self._columns[kind][self._columns["smooth"]]
            scaled = scaled / self.relevance[of_kind].exp()
        return scaled

    def covariance(self, one: Tensor, two: Tensor) -> Tensor:
        """Prior covariance (b x q x p) of the function at `one` (b x q x d) and `two` (b x p x d)."""
        products: dict[str, Tensor] = {}
        for kind in ("descriptors", "categories"):
            if kind in self.terms or "interactions" in self.terms:
                left = self._raw(kind, one)
                right = left if two is one else self._raw(kind, two)
                products[kind] = left @ right.mT / self._norm[kind]
        if "interactions" in self.terms:
            products["interactions"] = products["descriptors"] * products["categories"]
        if "smooth" in self.terms:
            products["smooth"] = _Matern.apply(self._squares(one, two))  # type: ignore[no-untyped-call]
        total = torch.full((), OFFSET_VARIANCE, dtype=torch.float64)
        for variance, term in zip(self.log_variance, self.terms, strict=True):
            total = total + variance.exp() * products[term]
        return total

    @property
    def lengths(self) -> Tensor:
        """Length scales in the unit box: one for each column that varies, or the shared one."""
        relative = self.relevance if len(self.relevance) else torch.zeros(()).double()
        return (self.log_length + relative).exp()

    def variances(self, x: Tensor) -> Tensor:
        """Prior variances (n) of the function at `x` (n x d)."""
        products = {"smooth": torch.ones(len(x), dtype=torch.float64)}
        for kind in ("descriptors", "categories"):
            products[kind] = self._raw(kind, x).square().sum(dim=-1) / self._norm[kind]
        products["interactions"] = products["descriptors"] * products["categories"]
        total = torch.full((len(x),), OFFSET_VARIANCE, dtype=torch.float64)
        for variance, term in zip(self.log_variance, self.terms, strict=True):
            total = total + variance.exp() * products[term]
        return total

    def _squares(self, one: Tensor, two: Tensor) -> Tensor:
        """Squared distances (b x q x p) in units of the length scales."""
        left = self._raw("smooth", one) / self.log_length.exp()
        right = left if two is one else self._raw("smooth", two) / self.log_length.exp()
        squares = left.square().sum(-1).unsqueeze(-1) + right.square().sum(-1).unsqueeze(-2)
        distances: Tensor = (squares - 2 * left @ right.mT).clamp_min(0.0)
        return distances

    @property
    def details(self) -> dict[str, JsonValue]:
        """Variance of each term relative to the target's, noise (standard deviation), length scales."""
        found: dict[str, JsonValue] = {
            "variances": dict(zip(self.terms, self.log_variance.exp().tolist(), strict=True)),
            "noise_std": float(self.scale * self.noise_variance.sqrt()),
        }
        if "smooth" in self.terms:
            found["length_scales"] = self.lengths.flatten().tolist()
        elif len(self.relevance):
            found["relevances"] = (-self.relevance).exp().tolist()
        return found

    def dump(self) -> tuple[dict[str, JsonValue], dict[str, Tensor]]:
        """For `surrogates.persistence`: the training data and the fitted parameters."""
        parameters = {f"fitted.{name}": value for name, value in self.named_parameters()}
        return self._settings, self._data | parameters

    @classmethod
    def restore(cls, settings: Mapping[str, Any], tensors: dict[str, Tensor]) -> Self:
        """Inverse of `dump`."""
        model = cls(tensors["x"], tensors["y"], tensors.get("noise"), **settings)
        model.take_fitted(tensors)
        return model

    def take_fitted(self, tensors: Mapping[str, Tensor]) -> None:
        """Parameters as in the tensors of a `dump`."""
        for name, parameter in self.named_parameters():
            parameter.data.copy_(tensors[f"fitted.{name}"])
        self.requires_grad_(requires_grad=False)

    def with_data(self, x: Tensor, y: Tensor, noise: Tensor | None) -> Self:
        """The same prior, conditioned on other data."""
        settings, tensors = self.dump()
        kept = {name: tensor for name, tensor in tensors.items() if name not in self._data}
        data = {"x": x, "y": y} | ({} if noise is None else {"noise": noise})
        return self.restore(settings, data | kept)


class _Evidence(torch.autograd.Function):
    """Negative log likelihood of values (n x 1) under a covariance (n x n), up to a constant.

    Its derivative by the covariance (Rasmussen & Williams, Gaussian Processes for Machine Learning
    (2006), eq. 5.9) takes no differentiation of the factorization.
    """

    @staticmethod
    def forward(ctx: Any, covariance: Tensor, values: Tensor) -> Tensor:
        """The value; torch.linalg.LinAlgError where the covariance is not positive definite."""
        root = torch.linalg.cholesky(covariance)
        inverse = torch.cholesky_inverse(root)
        weights = inverse @ values
        ctx.save_for_backward(inverse.addmm_(weights, weights.mT, alpha=-1).mul_(0.5))
        value: Tensor = 0.5 * (values * weights).sum() + root.diagonal().log().sum()
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor, None]:
        """By the covariance."""
        (slope,) = ctx.saved_tensors
        return above * slope, None


class _Matern(torch.autograd.Function):
    """Matérn-5/2 correlation at squared distances in units of the length scale."""

    @staticmethod
    def forward(ctx: Any, squares: Tensor) -> Tensor:
        """(1 + s + s²/3) exp(-s) with s² five times the squared distance."""
        s = (5 * squares).sqrt_()
        decay, rising = (-s).exp_(), 1 + s
        correlation = torch.addcmul(rising, s, s, value=1 / 3).mul_(decay)
        ctx.save_for_backward(rising.mul_(decay))
        return correlation

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: Tensor) -> Tensor:
        """By the squared distance: -5/6 (1 + s) exp(-s), finite where there is none."""
        (falling,) = ctx.saved_tensors
        slope: Tensor = above * falling * (-5 / 6)
        return slope


def _normal(value: Tensor, mean: float, std: float) -> Tensor:
    return 0.5 * ((value - mean) / std).square()
