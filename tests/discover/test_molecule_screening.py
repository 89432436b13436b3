"""Molecules are filtered, told apart, and relaxed by a real semi-empirical method."""

import pytest

pytest.importorskip("rdkit")

from discover.campaign import RelaxationSettings
from discover.molecule_screening import screen_molecules
from discover.records import Candidate, CandidateState, Provenance
from discover.structures.formulation import Component, Formulation, Role
from discover.structures.molecule import Molecule
from discover.structures.molecule_validity import MoleculeFilters

TEST = Provenance(generator="test", operation="none")
OFF = RelaxationSettings(enabled=False)


def candidate(smiles, **changes):
    return Candidate.of(Molecule.from_smiles(smiles), TEST).model_copy(update=changes)


def reasons(screened):
    return [c.reason for c in screened]


def test_filters_and_duplicates():
    before = candidate("COC(=O)OC", id="before")
    batch = [candidate(s) for s in ("CC#N", "C1CO1", "COC(=O)OC")] + [candidate("N#CC", id="again")]
    screened = screen_molecules(batch, MoleculeFilters(), OFF, others=[before])
    assert reasons(screened) == [
        None,
        "ring strain: a ring of 3 atoms (at least 4 wanted)",
        "duplicate of before",
        f"duplicate of {batch[0].id}",
    ]
    assert [c.state is CandidateState.READY for c in screened] == [True, False, False, False]
    assert [c.structure for c in screened] == [c.structure for c in batch]


def test_formulations_are_only_told_apart():
    def mixture(x):
        parts = (("CC#N", x), ("COC(=O)OC", 1 - x))
        return Candidate.of(
            Formulation(
                components=tuple(
                    Component(role=Role.SOLVENT, molecule=Molecule.from_smiles(s), mole_fraction=f)
                    for s, f in parts
                )
            ),
            TEST,
        )

    screened = screen_molecules([mixture(0.5), mixture(0.25), mixture(0.5)], MoleculeFilters(), OFF)
    assert reasons(screened)[:2] == [None, None]
    assert "duplicate" in screened[2].reason


class TestRelaxed:
    """By GFN2-xTB."""

    @pytest.fixture
    def potential(self):
        pytest.importorskip("tblite")
        from discover.potentials.xtb import XTBPotential

        return XTBPotential()

    def test_it_ends_in_a_minimum(self, potential):
        settings = RelaxationSettings(fmax_ev_per_angstrom=0.02)
        (relaxed,) = screen_molecules([candidate("CC#N")], MoleculeFilters(), settings, potential)
        assert relaxed.state is CandidateState.READY
        assert relaxed.relaxation.converged
        assert relaxed.relaxation.max_force_ev_per_angstrom < 0.02
        atoms = relaxed.molecule.to_atoms()
        triple = atoms.get_distance(1, 2)  # microwave: 1.157 Å (C. C. Costain, 1958)
        assert triple == pytest.approx(1.157, abs=0.02)
        assert relaxed.id == candidate("CC#N").id

    def test_too_few_steps_are_a_reason(self, potential):
        settings = RelaxationSettings(fmax_ev_per_angstrom=1e-4, max_steps=1)
        (stuck,) = screen_molecules([candidate("CC#N")], MoleculeFilters(), settings, potential)
        assert stuck.reason == "relaxation: not converged after 1 steps"

    def test_ions_have_their_charge(self, potential):
        atoms = Molecule.from_smiles("F[B-](F)(F)F").to_atoms()
        atoms.calc = potential.calculator()
        atoms.get_potential_energy()
        assert atoms.calc.get_property("charges").sum() == pytest.approx(-1)
