"""What every surrogate and every descriptor must do, as tests that the author of one runs.

Subclass `SurrogateConformance` in a test module and give it one fixture:

    class TestMySurrogate(SurrogateConformance):
        @pytest.fixture(scope="class")
        def surrogate(self):
            return MySurrogate(...)

The data are a smooth function of four descriptors, two more that say nothing, and a constant one.
`DescriptorConformance` wants a fixture `make_descriptor`, a function without arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from discover.errors import SurrogateError
from discover.records import Candidate, Provenance
from discover.structures.crystal import Crystal
from discover.structures.formulation import Component, Formulation, Role
from discover.structures.molecule import Molecule
from surrogates.base import Surrogate, TrainingData
from surrogates.descriptors import Descriptor, featurize
from surrogates.gaussian import joint_moments
from surrogates.persistence import dump, load, restore, save

if TYPE_CHECKING:
    from botorch.models.model import Model


def example_data(rows: int, seed: int = 0) -> TrainingData:
    """Rows of seven raw descriptors of very different scales, and a target around 1.5."""
    generator = torch.Generator().manual_seed(seed)
    u = torch.rand(rows, 6, generator=generator, dtype=torch.float64)
    y = 1.5 + torch.sin(2 * u[:, :1]) + u[:, 1:2] * u[:, 2:3] - 0.5 * u[:, 3:4]
    scales = torch.tensor([1.0, 1e3, 1e-2, 50.0, 1.0, 10.0], dtype=torch.float64)
    return TrainingData(torch.cat([u * scales, torch.full((rows, 1), 7.0).double()], dim=1), y)


class SurrogateConformance:
    """The contract of `surrogates.base.Surrogate`; subclass it and give it `surrogate`."""

    rows = 24
    seed = 5

    def example(self, rows: int, seed: int = 0) -> TrainingData:
        """The data; override it for a surrogate that takes rows of a kind of its own."""
        return example_data(rows, seed)

    @pytest.fixture(scope="class")
    def model(self, surrogate: Surrogate) -> Model:
        """Fitted once on `example`."""
        return surrogate.fit(self.example(self.rows), self.seed)

    def test_the_posterior_has_botorch_shapes(self, model: Model) -> None:
        """A b x q x d input gives b x q x 1, in float64; one without a batch gives q x 1."""
        data = self.example(self.rows)
        for x, shape in ((data.x[:4], (4, 1)), (data.x[:6].reshape(3, 2, -1), (3, 2, 1))):
            posterior = model.posterior(x)
            assert posterior.mean.shape == shape
            assert posterior.variance.shape == shape
            assert posterior.mean.dtype == torch.float64
            assert posterior.rsample(torch.Size([5])).shape == (5, *shape)

    def test_it_has_a_joint_covariance(self, model: Model) -> None:
        """Symmetric, positive definite, its diagonal the variance: pending results need it."""
        x = self.example(8, seed=1).x
        with torch.no_grad():
            mean, covariance = joint_moments(model, x)
            posterior = model.posterior(x)
        torch.testing.assert_close(mean, posterior.mean.squeeze(-1))
        torch.testing.assert_close(
            covariance.diagonal(), posterior.variance.squeeze(-1), rtol=1e-4, atol=1e-10
        )
        torch.testing.assert_close(covariance, covariance.mT)
        assert float(torch.linalg.eigvalsh(covariance)[0]) > -1e-9 * float(covariance.trace())

    def test_it_learns(self, model: Model) -> None:
        """New points are predicted better than by the mean of the targets."""
        data, new = self.example(self.rows), self.example(50, seed=1)
        with torch.no_grad():
            mean = model.posterior(new.x).mean
        error = (mean - new.y).square().mean()
        assert error < 0.5 * (new.y - data.y.mean()).square().mean()

    def test_uncertainty_grows_away_from_the_data(self, model: Model) -> None:
        """Positive everywhere, larger far outside, larger for an observation than for the target."""
        data = self.example(self.rows)
        extent = data.x.amax(dim=0) - data.x.amin(dim=0)
        with torch.no_grad():
            near = model.posterior(data.x).variance
            far = model.posterior(data.x + 3 * extent).variance
            observed = model.posterior(data.x, observation_noise=True).variance
        assert float(near.min()) > 0
        assert float(far.min()) > float(near.mean())
        assert bool((observed >= near * (1 - 1e-6)).all())

    def test_a_descriptor_that_never_varied_is_no_distance(self, model: Model) -> None:
        """A constant column says nothing, so another value in it changes no prediction."""
        data = self.example(self.rows)
        moved = data.x.clone()
        moved[:, -1] += 100.0
        with torch.no_grad():
            here, there = model.posterior(data.x), model.posterior(moved)
        torch.testing.assert_close(here.mean, there.mean)
        torch.testing.assert_close(here.variance, there.variance)

    def test_the_same_data_and_seed_give_the_same_posterior(self, surrogate: Surrogate) -> None:
        """Whatever was drawn from torch's global generator before, which is left alone."""
        data = self.example(self.rows)
        x = self.example(5, seed=1).x
        torch.manual_seed(1)
        state = torch.random.get_rng_state()
        first = surrogate.fit(data, self.seed)
        assert torch.equal(torch.random.get_rng_state(), state)
        torch.rand(3)
        second = surrogate.fit(data, self.seed)
        with torch.no_grad():
            one, two = first.posterior(x), second.posterior(x)
        torch.testing.assert_close(one.mean, two.mean, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(one.variance, two.variance, rtol=1e-9, atol=1e-9)

    def test_it_does_not_depend_on_the_precision_that_torch_is_set_to(
        self, surrogate: Surrogate
    ) -> None:
        """Scripts that use BoTorch often make float64 the default of new tensors."""
        data, x = self.example(self.rows), self.example(5, seed=1).x
        usual = torch.get_default_dtype()
        try:
            torch.set_default_dtype(torch.float64)
            model = surrogate.fit(data, self.seed)
            with torch.no_grad():
                posterior = model.posterior(x)
        finally:
            torch.set_default_dtype(usual)
        assert posterior.mean.dtype == torch.float64
        assert bool(posterior.mean.isfinite().all())
        assert bool((posterior.variance > 0).all())

    def test_a_refit_takes_in_what_is_new(self, surrogate: Surrogate) -> None:
        """An observation that surprises moves the prediction there towards it."""
        data = self.example(self.rows)
        x, y = data.x[:1], data.y.max() + data.y.std()
        others = TrainingData(data.x[1:], data.y[1:])
        surprised = TrainingData(
            torch.cat([others.x, x, x]), torch.cat([others.y, torch.stack([y, y]).unsqueeze(-1)])
        )
        with torch.no_grad():
            before = surrogate.fit(others, self.seed).posterior(x)
            after = surrogate.fit(surprised, self.seed).posterior(x)
        assert float((after.mean - y).abs()) < float((before.mean - y).abs())

    @pytest.mark.parametrize("lacking", ["rows", "targets", "descriptors"])
    def test_data_without_information_are_refused(self, surrogate: Surrogate, lacking: str) -> None:
        """SurrogateError for one row, a constant target or constant descriptors."""
        data = self.example(9)
        poor = {
            "rows": data.rows(torch.arange(1)),
            "targets": TrainingData(data.x, torch.ones_like(data.y)),
            "descriptors": TrainingData(data.x[:1].expand_as(data.x), data.y),
        }
        with pytest.raises(SurrogateError):
            surrogate.fit(poor[lacking], self.seed)

    def test_botorch_acquisition_functions_work(self, model: Model) -> None:
        """An analytic one, and a Monte Carlo one with pending points, both finite."""
        from botorch.acquisition import LogExpectedImprovement, qLogExpectedImprovement
        from botorch.utils.sampling import manual_seed

        data = self.example(self.rows)
        x = self.example(6, seed=1).x
        best = float(data.y.max())
        with torch.no_grad(), manual_seed(0):
            analytic = LogExpectedImprovement(model, best_f=best)(x.unsqueeze(-2))
            sampled = qLogExpectedImprovement(model, best_f=best, X_pending=x[:2])
            assert bool(analytic.isfinite().all())
            assert bool(sampled(x[2:].unsqueeze(-2)).isfinite().all())

    def test_a_saved_model_comes_back(self, model: Model, tmp_path: Path) -> None:
        """The same posterior from disk, for surrogates whose model can be saved."""
        if not hasattr(model, "dump"):
            pytest.skip("the model has no dump and restore")
        save(model, tmp_path)
        x = self.example(5, seed=1).x
        with torch.no_grad():
            one, two = (fitted.posterior(x) for fitted in (model, load(tmp_path)))
        torch.testing.assert_close(one.mean, two.mean, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(one.variance, two.variance, rtol=1e-9, atol=1e-9)


class UncertainValuesConformance(SurrogateConformance):
    """What a surrogate that takes bounds and known noise must do besides: all of ours."""

    def test_a_bound_pushes_the_prediction_beyond_it(self, surrogate: Surrogate) -> None:
        """Lower where the true values are below `y` than where they are `y`, and higher where above."""
        data = example_data(self.rows)
        bounds = self.rows // 4
        for side in (-1, 1):
            y, means = data.y.clone(), []
            y[:bounds] -= 0.5 * side * data.y.std()
            for censored in (side, 0):
                sides = torch.zeros(data.y.shape, dtype=torch.int8)
                sides[:bounds] = censored
                model = surrogate.fit(TrainingData(data.x, y, censored=sides), self.seed)
                with torch.no_grad():
                    means.append(float(model.posterior(data.x[:bounds]).mean.mean()))
            assert side * (means[0] - means[1]) > 0

    def test_a_noisy_value_says_less(self, surrogate: Surrogate) -> None:
        """A wild value moves the prediction less where its noise is known to be large."""
        data = example_data(self.rows)
        y = data.y.clone()
        y[0] += 5 * data.y.std()
        noise = torch.full_like(y, torch.nan)
        noise[0] = 10 * data.y.std()
        predictions = []
        for given in (None, noise):
            model = surrogate.fit(TrainingData(data.x, y, noise=given), self.seed)
            with torch.no_grad():
                predictions.append(float(model.posterior(data.x[:1]).mean))
        assert predictions[1] < predictions[0]

    def test_values_that_are_mere_noise_do_no_harm(self, surrogate: Surrogate) -> None:
        """Half of the values say nothing: still better than the mean of those that are right."""
        data = example_data(2 * self.rows)
        spread = data.y.std()
        noise = torch.full_like(data.y, 1e-3 * float(spread))
        noise[::2] = 10 * spread
        wild = torch.randn(data.y.shape, generator=torch.Generator().manual_seed(0)).double()
        model = surrogate.fit(TrainingData(data.x, data.y + noise * wild, noise=noise), self.seed)
        with torch.no_grad():
            errors = model.posterior(data.x[::2]).mean - data.y[::2]
        assert float(errors.square().mean().sqrt()) < float(spread)


class TabularConformance(UncertainValuesConformance):
    """What a surrogate that models each of several targets alone must do besides."""

    def test_each_target_learns_from_the_rows_that_have_it(self, surrogate: Surrogate) -> None:
        """Two targets with gaps: b x q x 2, each as if it were alone; saved and back the same."""
        data, x = example_data(self.rows), example_data(4, seed=1).x
        y = torch.cat([data.y, 10 - 3 * data.y], dim=1)
        y[: self.rows // 4, 0] = torch.nan
        y[-self.rows // 4 :, 1] = torch.nan
        both = TrainingData(data.x, y)
        model = surrogate.fit(both, self.seed)
        with torch.no_grad():
            posterior = model.posterior(x.reshape(2, 2, -1))
            assert model.num_outputs == 2
            assert posterior.mean.shape == posterior.variance.shape == (2, 2, 2)
            together = model.posterior(x)
            alone = surrogate.fit(both.output(1), self.seed).posterior(x)
            again = restore(*dump(model)).posterior(x) if hasattr(model, "dump") else together
        torch.testing.assert_close(together.mean[:, 1:], alone.mean, rtol=1e-2, atol=1e-3)
        torch.testing.assert_close(together.variance[:, 1:], alone.variance, rtol=1e-2, atol=1e-3)
        torch.testing.assert_close(together.mean, again.mean, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(together.variance, again.variance, rtol=1e-7, atol=1e-9)

    def test_a_target_that_cannot_be_fitted_is_named(self, surrogate: Surrogate) -> None:
        """SurrogateError with its number."""
        data = example_data(self.rows)
        y = torch.cat([data.y, torch.ones_like(data.y)], dim=1)
        with pytest.raises(SurrogateError, match="target 1"):
            surrogate.fit(TrainingData(data.x, y), self.seed)


def ladder_data(rows: int, dear: int, seed: int = 0) -> TrainingData:
    """`rows` at a cheap fidelity, the first `dear` of them at a dear one too: twice as much, and 1.

    The last column of `x` is the fidelity.
    """
    cheap = example_data(rows, seed)
    x = torch.cat([cheap.x, cheap.x[:dear]])
    at = torch.cat([torch.zeros(rows, 1), torch.ones(dear, 1)]).double()
    return TrainingData(
        torch.cat([x, at], dim=1), torch.cat([cheap.y, 2 * cheap.y[:dear] + 1]), fidelities=2
    )


class MultiFidelityConformance:
    """What a surrogate with `multi_fidelity = True` must do besides; give it `surrogate`."""

    rows, dear, seed = 24, 6, 5

    @pytest.fixture(scope="class")
    def model(self, surrogate: Surrogate) -> Model:
        """Fitted once on `ladder_data`."""
        assert getattr(surrogate, "multi_fidelity", False)
        return surrogate.fit(ladder_data(self.rows, self.dear), self.seed)

    def test_the_lower_fidelity_tells_of_the_dearer(self, model: Model) -> None:
        """What was measured below only is predicted much better than by the mean."""
        data = ladder_data(self.rows, self.dear)
        x = data.x[self.dear : self.rows].clone()
        truth = 2 * data.y[self.dear : self.rows] + 1
        x[:, -1] = 1.0
        with torch.no_grad():
            error = (model.posterior(x).mean - truth).square().mean()
        assert error < 0.2 * (truth - data.y[self.rows :].mean()).square().mean()

    def test_pairs_of_candidates_and_fidelities_have_a_joint_covariance(self, model: Model) -> None:
        """Symmetric, positive, and a new candidate's two values are correlated."""
        new = ladder_data(5, 5, seed=1).x
        with torch.no_grad():
            _, covariance = joint_moments(model, new)
        torch.testing.assert_close(covariance, covariance.mT)
        scale = float(covariance.diagonal().mean())
        assert float(torch.linalg.eigvalsh(covariance)[0]) > -1e-6 * scale
        pairs = covariance[torch.arange(5), torch.arange(5, 10)]
        assert bool((pairs > 0).all())

    def test_a_value_below_narrows_the_one_above(self, surrogate: Surrogate) -> None:
        """A candidate measured at the cheap fidelity is less uncertain at the dear one."""
        data = ladder_data(self.rows, self.dear)
        x = data.x[self.rows - 1 : self.rows].clone()
        x[:, -1] = 1.0
        rows = torch.arange(len(data.x)) != self.rows - 1
        without = TrainingData(data.x[rows], data.y[rows], fidelities=2)
        with torch.no_grad():
            blind = surrogate.fit(without, self.seed).posterior(x).variance
            told = surrogate.fit(data, self.seed).posterior(x).variance
        assert float(told) < float(blind)

    def test_without_a_value_at_the_target_there_is_no_model(self, surrogate: Surrogate) -> None:
        """SurrogateError: nothing says what the target is like."""
        data = ladder_data(self.rows, self.dear)
        with pytest.raises(SurrogateError):
            surrogate.fit(
                TrainingData(data.x[: self.rows], data.y[: self.rows], fidelities=2), self.seed
            )

    def test_a_saved_model_comes_back(self, model: Model, tmp_path: Path) -> None:
        """The same posterior from disk, for surrogates whose model can be saved."""
        if not hasattr(model, "dump"):
            pytest.skip("the model has no dump and restore")
        save(model, tmp_path)
        x = ladder_data(5, 5, seed=1).x
        with torch.no_grad():
            one, two = (fitted.posterior(x) for fitted in (model, load(tmp_path)))
        torch.testing.assert_close(one.mean, two.mean, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(one.variance, two.variance, rtol=1e-9, atol=1e-9)


NewDescriptor = Callable[[], Descriptor]


def example_candidates(*, conventional: bool = False) -> list[Candidate]:
    """Rock salt, zincblende and CsCl, in their primitive or (but for CsCl) conventional cells."""
    from ase.build import bulk

    return [
        Candidate(
            id=formula,
            formula=formula,
            spacegroup=spacegroup,
            prototype=prototype,
            structure=Crystal.from_atoms(
                bulk(formula, prototype, a=a, cubic=conventional or prototype == "cesiumchloride")
            ),
            provenance=Provenance(generator="conformance", operation="decorate"),
        )
        for formula, prototype, spacegroup, a in (
            ("NaCl", "rocksalt", 225, 5.64),
            ("GaAs", "zincblende", 216, 5.65),
            ("CsCl", "cesiumchloride", 221, 4.12),
        )
    ]


class DescriptorConformance:
    """The contract of `surrogates.descriptors.Descriptor`; subclass it, give it `make_descriptor`.

    What is described are crystals; `MoleculeDescriptorConformance` is for those of other sorts.
    """

    def candidates(self, *, again: bool = False) -> list[Candidate]:
        """Three different candidates; `again`: the same ones, given in another way."""
        return example_candidates(conventional=again)

    def test_one_row_of_named_finite_numbers_each(self, make_descriptor: NewDescriptor) -> None:
        """As many columns as names, no name twice."""
        descriptor = make_descriptor()
        rows = descriptor.describe(self.candidates())
        assert rows.shape == (3, len(descriptor.names))
        assert rows.dtype == np.float64
        assert np.isfinite(rows).all()
        assert len(set(descriptor.names)) == len(descriptor.names) > 0

    def test_a_row_depends_on_its_candidate_alone(self, make_descriptor: NewDescriptor) -> None:
        """Not on the other ones, their order, or what was described before."""
        candidates = self.candidates()
        rows = make_descriptor().describe(candidates)
        descriptor = make_descriptor()
        for candidate, row in reversed(list(zip(candidates, rows, strict=True))):
            np.testing.assert_array_equal(descriptor.describe([candidate]), [row])

    def test_structures_are_told_apart(self, make_descriptor: NewDescriptor) -> None:
        """Three different structures, three different rows."""
        assert len(np.unique(make_descriptor().describe(self.candidates()), axis=0)) == 3

    def test_how_a_structure_is_given_does_not_matter(self, make_descriptor: NewDescriptor) -> None:
        """The primitive and the conventional cell, or two ways to write a SMILES."""
        descriptor = make_descriptor()
        rows = descriptor.describe(self.candidates())
        again = descriptor.describe(self.candidates(again=True))
        np.testing.assert_allclose(again, rows, rtol=1e-6, atol=1e-9)

    def test_candidates_are_featurized(self, make_descriptor: NewDescriptor) -> None:
        """Its rows become the features of the candidates, which stay what they are."""
        candidates = self.candidates()
        descriptor = make_descriptor()
        featurized = featurize(candidates, [descriptor])
        rows = [tuple(row.tolist()) for row in descriptor.describe(candidates)]
        assert [c.features for c in featurized] == rows
        assert [c.model_copy(update={"features": None}) for c in featurized] == candidates


class MoleculeDescriptorConformance(DescriptorConformance):
    """The same for a descriptor of molecules, or with `sort = Formulation` of those."""

    sort: type = Molecule

    def candidates(self, *, again: bool = False) -> list[Candidate]:
        """Three molecules, or each of them with a salt."""
        solvents = (
            ("C1OC(=O)OC1", "O(C)C(=O)OC", "N#CC") if again else ("O=C1OCCO1", "COC(=O)OC", "CC#N")
        )
        provenance = Provenance(generator="conformance", operation="read")
        molecules = [Molecule.from_smiles(smiles) for smiles in solvents]
        if self.sort is Molecule:
            return [Candidate.of(molecule, provenance) for molecule in molecules]
        ions = [(Role.CATION, "[Li+]"), (Role.ANION, "F[B-](F)(F)F")]
        salt = [
            Component(role=role, molecule=Molecule.from_smiles(smiles), mole_fraction=0.1)
            for role, smiles in ions
        ]
        return [
            Candidate.of(
                Formulation(
                    components=(
                        *salt,
                        Component(role=Role.SOLVENT, molecule=molecule, mole_fraction=0.8),
                    )
                ),
                provenance,
            )
            for molecule in molecules
        ]
