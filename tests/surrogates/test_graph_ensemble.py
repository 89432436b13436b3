"""The deep ensemble on structures."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from ase.build import bulk
from ase.data import atomic_masses, atomic_numbers, covalent_radii

from discover.errors import SurrogateError
from discover.records import Candidate, Provenance
from discover.structures.crystal import Crystal
from surrogates import Surrogate, TrainingData
from surrogates.conformance import SurrogateConformance, example_data
from surrogates.graph_descriptor import CrystalDescriptor
from surrogates.graph_ensemble import GraphDeepEnsemble

CATIONS = ("Li", "Na", "K", "Mg", "Ca", "Zn", "Cd", "Al", "Ga", "In")
ANIONS = ("O", "S", "Se", "F", "Cl", "Br", "N", "P", "As")


def binary(cation: str, anion: str, prototype: str) -> tuple[Candidate, float]:
    """A compound, and a target that rises with light atoms and four neighbours."""
    numbers = [atomic_numbers[cation], atomic_numbers[anion]]
    bond = covalent_radii[numbers].sum()
    length = bond * (2.0 if prototype == "rocksalt" else 4 / 3**0.5)
    crystal = Crystal.from_atoms(bulk(cation + anion, prototype, a=length))
    candidate = Candidate(
        id=cation + anion,
        formula=cation + anion,
        spacegroup=225,
        prototype=prototype,
        structure=crystal,
        provenance=Provenance(generator="test", operation="test"),
    )
    mass = float(atomic_masses[numbers].mean())
    return candidate, 4 - mass**0.5 / 3 + (0.5 if prototype == "zincblende" else 0.0)


@cache
def compounds(rows: int, seed: int) -> TrainingData:
    every = [(c, a, p) for c in CATIONS for a in ANIONS for p in ("rocksalt", "zincblende")]
    drawn = torch.randperm(len(every), generator=torch.Generator().manual_seed(seed))[:rows]
    candidates, targets = zip(*(binary(*every[i]) for i in drawn.tolist()), strict=True)
    x = torch.from_numpy(CrystalDescriptor(max_atoms=4).describe(candidates))
    return TrainingData(x, torch.tensor(targets, dtype=torch.float64).unsqueeze(-1))


class TestConformance(SurrogateConformance):
    @pytest.fixture(scope="class")
    def surrogate(self) -> Surrogate:
        return GraphDeepEnsemble(members=6, width=16, steps=60)

    def example(self, rows: int, seed: int = 0) -> TrainingData:
        return compounds(rows, seed)

    def test_uncertainty_grows_away_from_the_data(self, model: torch.nn.Module) -> None:
        """Pure heavy metals are like no binary compound."""
        far = [bulk("Pb", "fcc", a=4.95), bulk("W", "bcc", a=3.16), bulk("Os", "hcp")]
        candidate, _ = binary("Na", "Cl", "rocksalt")
        rows = CrystalDescriptor(max_atoms=4).describe(
            [candidate.model_copy(update={"structure": Crystal.from_atoms(atoms)}) for atoms in far]
        )
        data = self.example(self.rows)
        near = model.posterior(data.x).variance
        assert float(near.min()) > 0
        assert float(model.posterior(torch.from_numpy(rows)).variance.mean()) > float(near.mean())
        observed = model.posterior(data.x, observation_noise=True).variance
        assert bool((observed >= near * (1 - 1e-6)).all())

    def test_a_descriptor_that_never_varied_is_no_distance(self, model: torch.nn.Module) -> None:
        """Where the atoms are in the cell as a whole says nothing."""
        data = self.example(self.rows)
        moved = data.x.clone()
        moved[:, 13:19] += 0.3  # two atoms, three coordinates
        here, there = model.posterior(data.x), model.posterior(moved)
        torch.testing.assert_close(here.mean, there.mean)
        torch.testing.assert_close(here.variance, there.variance)


def test_kolmogorov_arnold_heads_learn_too() -> None:
    data, new = compounds(24, 0), compounds(50, 1)
    model = GraphDeepEnsemble(members=4, width=16, steps=60, readout="kan").fit(data, seed=0)
    assert model.details["readout"] == "kan"
    error = (model.posterior(new.x).mean - new.y).square().mean()
    assert float(error) < 0.5 * float((new.y - data.y.mean()).square().mean())


def test_a_crystal_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever rows are asked for again come from what the members said before."""
    data = compounds(12, 0)
    model = GraphDeepEnsemble(members=4, width=8, steps=5).fit(data, seed=0)
    first = model.members(data.x)
    monkeypatch.setattr(model, "network", None)
    torch.testing.assert_close(model.members(data.x.flip(0)), first.flip(-1))


def test_rows_that_are_no_crystals_are_refused() -> None:
    with pytest.raises(SurrogateError, match="descriptors: \\[crystal\\]"):
        GraphDeepEnsemble().fit(example_data(9), seed=0)
