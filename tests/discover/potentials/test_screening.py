"""Screening: every filter, and one bad structure that costs no other."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from discover.campaign import Filters, RelaxationSettings
from discover.errors import PotentialError
from discover.potentials.emt import EMTPotential
from discover.potentials.screening import screen
from discover.records import Candidate, CandidateState, Provenance
from discover.structures.crystal import Crystal

RELAXATION = RelaxationSettings()
ANY_ENERGY = Filters(max_formation_energy_ev_per_atom=None)


def candidate(identity, atoms, formula=None, spacegroup=225):
    return Candidate(
        id=identity,
        formula=formula or atoms.get_chemical_formula("metal"),
        spacegroup=spacegroup,
        prototype="fcc",
        structure=Crystal.from_atoms(atoms),
        provenance=Provenance(generator="test", operation="build"),
    )


def ordered_alloy(a, first="Au", second="Cu"):
    """L1_2, such as Cu3Au."""
    positions = [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    return Atoms(
        [first, second, second, second], scaled_positions=positions, cell=[a] * 3, pbc=True
    )


def only(screened):
    assert len(screened) == 1
    return screened[0]


def test_a_good_candidate_is_ready_and_stays_itself():
    proposed = candidate("a", ordered_alloy(3.9), "Cu3Au", 221)
    screened = only(screen([proposed], EMTPotential(), RELAXATION, Filters()))
    assert (screened.state, screened.reason) == (CandidateState.READY, None)
    assert screened.crystal != proposed.crystal
    assert screened.relaxation.converged
    assert screened.relaxation.volume_ratio == pytest.approx(
        screened.crystal.volume_angstrom3 / proposed.crystal.volume_angstrom3
    )
    # Cu3Au orders: -0.074 eV/atom in experiment (Hultgren et al., Selected Values, 1973); EMT gives
    # the sign and a seventh of the size.
    assert -0.1 < screened.formation_energy_ev_per_atom < 0
    kept = ("id", "formula", "spacegroup", "prototype", "provenance")
    assert all(getattr(screened, field) == getattr(proposed, field) for field in kept)


def test_one_bad_structure_costs_no_other():
    overlapping = Atoms("Cu2", positions=[(0, 0, 0), (0, 0, 1e-7)], cell=[3, 3, 3], pbc=True)
    batch = [
        candidate("salt", bulk("NaCl", "rocksalt", a=5.6)),
        candidate("overlap", overlapping),
        candidate("copper", bulk("Cu", a=3.7)),
    ]
    screened = screen(batch, EMTPotential(), RELAXATION, ANY_ENERGY)
    assert [c.id for c in screened] == ["salt", "overlap", "copper"]
    assert [c.state for c in screened] == ["rejected", "rejected", "ready"]
    assert screened[0].reason == "relaxation: emt does not know Cl, Na"
    assert screened[1].reason.startswith("relaxation: ")
    assert screened[0].crystal == batch[0].crystal


def test_a_volume_out_of_bounds_keeps_structure_and_record():
    settings = RelaxationSettings(max_volume_change=0.1)
    screened = only(
        screen([candidate("a", bulk("Cu", a=4.1))], EMTPotential(), settings, Filters())
    )
    assert screened.reason.startswith("relaxation: volume fell to")
    assert screened.relaxation.volume_ratio < 0.9
    assert screened.formation_energy_ev_per_atom is None


def test_a_lost_prototype():
    stretched = Atoms("Cu", cell=[2.6, 2.6, 3.3], pbc=True)
    stretched.set_cell(0.5 * np.array([[-2.6, 2.6, 3.4], [2.6, -2.6, 3.4], [2.6, 2.6, -3.4]]))
    screened = only(
        screen([candidate("a", stretched, spacegroup=139)], EMTPotential(), RELAXATION, ANY_ENERGY)
    )
    assert screened.reason == "relaxation: space group changed from 139 to 225"
    assert screened.spacegroup == 225
    assert screened.relaxation.converged


def test_atoms_too_close():
    filters = Filters(min_distance_ratio=0.99, max_formation_energy_ev_per_atom=None)
    screened = only(screen([candidate("a", bulk("Cu"))], EMTPotential(), RELAXATION, filters))
    assert screened.reason.startswith("distances: Cu-Cu only 2.5")


def test_formation_energy_above_the_limit():
    proposed = candidate("a", ordered_alloy(3.9), "Cu3Au", 221)
    filters = Filters(max_formation_energy_ev_per_atom=-1.0)
    screened = only(screen([proposed], EMTPotential(), RELAXATION, filters))
    assert screened.state is CandidateState.REJECTED
    assert screened.reason.startswith("formation energy: -0.")
    assert screened.reason.endswith("eV/atom (limit -1.000)")
    assert screened.formation_energy_ev_per_atom is not None


def test_no_reference_energy_matters_only_where_there_is_a_limit():
    class NoGold(EMTPotential):
        """Cannot compute elemental gold."""

        def calculator(self):
            class Calculator(EMT):
                def calculate(self, atoms=None, *args, **kwargs):
                    if set(atoms.symbols) == {"Au"}:
                        raise ValueError("no gold")
                    super().calculate(atoms, *args, **kwargs)

            return Calculator()

    proposed = [candidate("a", ordered_alloy(3.9), "Cu3Au", 221)]
    limited = only(screen(proposed, NoGold(), RELAXATION, Filters()))
    assert "formation energy: no reference energy of Au" in limited.reason
    free = only(screen(proposed, NoGold(), RELAXATION, ANY_ENERGY))
    assert free.state is CandidateState.READY
    assert free.formation_energy_ev_per_atom is None


def test_the_later_of_two_duplicates_is_rejected():
    batch = [candidate("first", bulk("Cu", a=3.7)), candidate("second", bulk("Cu", a=3.5))]
    screened = screen(batch, EMTPotential(), RELAXATION, ANY_ENERGY)
    assert [c.state for c in screened] == ["ready", "rejected"]
    assert screened[1].reason == "duplicate of first"


def test_duplicates_of_those_ready_before():
    before = screen([candidate("before", bulk("Cu"))], EMTPotential(), RELAXATION, ANY_ENERGY)
    batch = [candidate("again", bulk("Cu", a=3.7)), candidate("other", bulk("Ag"))]
    screened = screen(batch, EMTPotential(), RELAXATION, ANY_ENERGY, others=before)
    assert [c.reason for c in screened] == ["duplicate of before", None]


def test_a_rejected_candidate_is_no_original():
    batch = [candidate("first", bulk("Cu", a=4.4)), candidate("second", bulk("Cu", a=3.6))]
    settings = RelaxationSettings(max_volume_change=0.2)
    screened = screen(batch, EMTPotential(), settings, ANY_ENERGY)
    assert [c.state for c in screened] == ["rejected", "ready"]


def test_relaxation_off_takes_structures_as_they_are():
    proposed = candidate("a", ordered_alloy(3.75), "Cu3Au", 221)
    off = RelaxationSettings(enabled=False)
    evaluated = only(screen([proposed], EMTPotential(), off, Filters()))
    assert evaluated.crystal == proposed.crystal
    assert evaluated.formation_energy_ev_per_atom is not None
    untouched = only(screen([proposed], EMTPotential(), off, ANY_ENERGY))
    assert untouched.relaxation is None
    assert untouched.state is CandidateState.READY


def test_reference_energies_are_kept_in_the_folder(tmp_path):
    screen([candidate("a", bulk("Cu"))], EMTPotential(), RELAXATION, Filters(), references=tmp_path)
    assert (tmp_path / "references-emt.json").is_file()


def test_a_potential_that_cannot_be_loaded_is_no_fault_of_the_structures():
    class Absent(EMTPotential):
        def calculator(self):
            raise PotentialError("no weights")

    with pytest.raises(PotentialError, match="no weights"):
        screen([candidate("a", bulk("Cu"))], Absent(), RELAXATION, Filters())


def test_records_survive_the_store():
    screened = only(screen([candidate("a", bulk("Cu"))], EMTPotential(), RELAXATION, ANY_ENERGY))
    assert Candidate.model_validate_json(screened.model_dump_json()) == screened
