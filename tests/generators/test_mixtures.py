import math
from itertools import pairwise

import pytest

pytest.importorskip("rdkit")

from discover.errors import StructureError
from discover.plugins import create
from discover.structures.formulation import Formulation, Role
from generators import GeneratorContext
from generators.conformance import GeneratorConformance
from generators.mixtures import SALTS, FormulationGenerator, Salt

SOLVENTS = ("O=C1OCCO1", "COC(=O)OC", "COCCOC")


class TestGrid(GeneratorConformance):
    batch = 7
    draws = 9

    @pytest.fixture
    def make_generator(self):
        return lambda: FormulationGenerator(SOLVENTS, salts=("LiPF6", "LiFSI"))


class TestSobol(GeneratorConformance):
    @pytest.fixture
    def make_generator(self):
        return lambda: FormulationGenerator(SOLVENTS, sampling="sobol", additives=("O=C1OC=CO1",))


def test_the_grid_has_every_combination():
    """2 salts x 2 contents x (3 pure + 3 pairs x 3 shares), with or without an additive."""
    generator = FormulationGenerator(SOLVENTS, ("LiPF6", "LiTFSI"), additives=("O=C1OC=CO1",))
    assert generator.size() == 2 * 2 * (3 + 3 * 3) * 2
    drawn = generator.propose(200, GeneratorContext(0, 0, frozenset()))
    assert drawn.exhausted
    assert len({c.id for c in drawn.candidates}) == generator.size() == len(drawn.candidates)


def test_amounts_are_those_asked_for():
    generator = FormulationGenerator(
        ("CC#N",),
        salts=(Salt(cation="[Mg+2]", anion=SALTS["LiTFSI"].anion),),
        salt_per_solvent=(0.1,),
        additives=("O=C1OC=CO1",),
        additive_per_solvent=0.02,
    )
    drawn = generator.propose(2, GeneratorContext(0, 0, frozenset())).candidates
    mixture = max((c.formulation for c in drawn), key=lambda m: len(m.components))
    amounts = {c.role: c.mole_fraction for c in mixture.components}
    total = 0.1 + 0.2 + 1 + 0.02
    assert amounts == pytest.approx(
        {
            Role.CATION: 0.1 / total,
            Role.ANION: 0.2 / total,
            Role.SOLVENT: 1 / total,
            Role.ADDITIVE: 0.02 / total,
        }
    )


def test_sobol_points_fill_the_simplex_between_the_bounds():
    generator = FormulationGenerator(
        SOLVENTS[:2], salt_per_solvent=(0.05, 0.15), sampling="sobol", max_solvents=2
    )
    drawn = generator.propose(32, GeneratorContext(2, 0, frozenset())).candidates
    shares, contents = [], []
    for mixture in (c.formulation for c in drawn):
        solvents = [c for c in mixture.components if c.role is Role.SOLVENT]
        whole = math.fsum(c.mole_fraction for c in solvents)
        shares += [c.mole_fraction / whole for c in solvents if c.molecule.smiles == "COC(=O)OC"]
        contents += [c.mole_fraction / whole for c in mixture.components if c.role is Role.CATION]
    assert min(contents) >= 0.05
    assert max(contents) <= 0.15
    ordered = [0.0, *sorted(shares), 1.0]
    assert max(b - a for a, b in pairwise(ordered)) < 0.2


def test_one_solvent_written_twice_is_one():
    generator = FormulationGenerator(("CC#N", "N#CC"), additives=("CC#N",))
    drawn = generator.propose(9, GeneratorContext(0, 0, frozenset())).candidates
    assert all(isinstance(c.structure, Formulation) for c in drawn)
    assert len(drawn) == 2


def test_everything_wrong_is_said_at_once():
    with pytest.raises(StructureError) as told:
        FormulationGenerator(
            ("CC#N", "C1CC", "[Li+]"),
            salts=("LiPF7", Salt(cation="[Li+]", anion="CC#N")),
            salt_per_solvent=(-0.1,),
        )
    for part in (
        "-0.1 is not positive",
        "'C1CC'",
        "charge +1, not neutral",
        "did you mean 'LiPF6'",
    ):
        assert part in str(told.value)
    assert "'CC#N' has the charge +0, not negative" in str(told.value)


def test_options_as_a_campaign_file_gives_them():
    options = {"solvents": ["CC#N"], "salts": [{"cation": "[Na+]", "anion": "F[B-](F)(F)F"}]}
    generator = create("generators", "formulation", options)
    assert {"Na", "B", "F", "N", "C", "H"} == generator.elements()
