"""Campaigns of molecules and of formulations, from generator to page, with a quick calculation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rdkit")
pytest.importorskip("selfies")

from discover.folder import CampaignFolder
from discover.preflight import check_file
from discover.records import CandidateState
from discover.report.page import markdown_report, write_report
from discover.results import ranking
from discover.runner import run_campaign
from discover.structures.formulation import Formulation
from discover.structures.molecule import Molecule

KINDS = '''
"""Stands in for a real calculation: a number that the structure alone decides."""

from discover.calculations.base import Outcome, Value
from discover.structures.formulation import Formulation
from discover.structures.molecule import Molecule


class Mass:
    name = "mass"
    properties = ("bulk_modulus",)
    takes = (Molecule, Formulation)
    drives = object

    def run(self, structure, engine, directory):
        parts = structure.components if isinstance(structure, Formulation) else ()
        mass = sum(c.mole_fraction * sum(c.molecule.numbers) for c in parts)
        mass = mass or sum(structure.numbers)
        return Outcome(values=(Value.of("bulk_modulus", mass),))


class Paper:
    name = "paper"

    def check(self):
        pass

    def elements(self):
        return frozenset({"H", "B", "C", "F", "Li", "N", "O", "P", "S"})

    def versions(self):
        return {}
'''
MUTATE = {"name": "mutate", "options": {"parents": 1, "max_heavy_atoms": 6}}
MIXTURES = {"name": "formulation", "options": {"solvents": ["CC#N", "COC(=O)OC", "COCCOC"]}}


@pytest.fixture
def campaign(tmp_path: Path) -> Callable[..., Path]:
    """Folder of a campaign with a quick surrogate."""

    def make(**changes: Any) -> Path:
        (tmp_path / "quick.py").write_text(KINDS)
        spec = {
            "name": "quick",
            "objective": {"property": "bulk_modulus"},
            "pool": {"size": 1, "batch": 1},
            "relaxation": {"enabled": False},
            "surrogate": {"name": "bayesian-ridge"},
            "initial": 2,
            "calculation": {"kind": "quick.py:Mass", "engine": "quick.py:Paper"},
            "budget": {"calculations": 3},
        }
        (tmp_path / "campaign.yaml").write_text(yaml.safe_dump(spec | changes))
        return tmp_path

    return make


def test_molecules(campaign: Callable[..., Path]) -> None:
    """They are bred from the best, screened, described, computed, ranked and drawn."""
    folder = CampaignFolder.at(campaign(generator=MUTATE, descriptors=["molecule", "morgan"]))
    run_campaign(folder, lambda _: None)
    spec = folder.load()
    with closing(folder.open_store(spec)) as store:
        rows = ranking(store, spec)
        candidates = list(store.candidates())
        page = write_report(folder, spec, store).read_text()
        markdown = markdown_report(folder, spec, store, now=2e9)
    assert len(rows) == 3
    assert all(isinstance(c.structure, Molecule) for c in candidates)
    assert {r.candidate for r in rows} <= {p for c in candidates for p in c.provenance.parents} | {
        c.id for c in candidates
    }
    assert any(c.provenance.parents for c in candidates)
    for row in rows:
        assert (row.spacegroup, row.prototype, row.title) == (None, None, row.smiles)
        assert f'<code class="smiles">{row.smiles}</code>' in page.replace("&#61;", "=")
    assert page.count('class="molecule"') == 3
    assert str(rows[0].smiles) in markdown
    assert "None" not in markdown


def test_formulations(campaign: Callable[..., Path]) -> None:
    folder = CampaignFolder.at(
        campaign(generator=MIXTURES, descriptors=["formulation"], budget={"calculations": 1})
    )
    run_campaign(folder, lambda _: None)
    spec = folder.load()
    with closing(folder.open_store(spec)) as store:
        rows = ranking(store, spec)
        candidates = list(store.candidates())
        page = write_report(folder, spec, store).read_text()
    assert len(rows) == 1
    assert all(isinstance(c.structure, Formulation) for c in candidates)
    assert all(c.state is CandidateState.READY for c in candidates)
    assert all("% [Li+] + " in row.title for row in rows)
    assert page.count('class="molecule"') >= 3


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, None),
        ({"descriptors": ["structure", "morgan"]}, "descriptors.0: 'structure' describes crystals"),
        (
            {"calculation": {"kind": "agl"}},
            "calculation.kind: 'agl' takes crystals, and the generator",
        ),
        (
            {"calculation": {"kind": "agl", "engine": "quick.py:Paper"}},
            "calculation.engine: 'agl' cannot use the engine 'paper'",
        ),
        ({"relaxation": {"enabled": True}}, "potential: 'chgnet' relaxes crystals"),
        ({"relaxation": {"enabled": True}, "potential": "xtb"}, None),
        (
            {"filters": {"molecules": {"forbidden_groups": ["[C", "CC"]}}},
            "filters.molecules.forbidden_groups.0: '[C' is not a SMARTS",
        ),
        ({"filters": {"molecules": {"elements": ["Q"]}}}, "no chemical symbols: Q"),
        (
            {
                "generator": MIXTURES,
                "descriptors": ["formulation"],
                "relaxation": {"enabled": True},
            },
            "relaxation.enabled: a formulation has no geometry to relax",
        ),
        (
            {"generator": {"name": "formulation", "options": {"solvents": ["C1CC", "CCC("]}}},
            "'CCC(' is not a SMILES",
        ),
        (
            {"generator": {"name": "prototypes", "options": {"elements": ["Li", "F"]}}},
            "takes molecules or formulations, and the generator 'prototypes' makes crystals",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    campaign: Callable[..., Path], changes: dict[str, Any], says: str | None
) -> None:
    if changes.get("potential") == "xtb":
        pytest.importorskip("tblite")
    usual = {"generator": MUTATE, "descriptors": ["morgan"]}
    _, problems = check_file(campaign(**(usual | changes)) / "campaign.yaml")
    assert any(says in problem for problem in problems) if says else problems == []
