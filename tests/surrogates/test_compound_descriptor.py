"""The compound descriptor: moments of what is known of the atoms."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from discover.records import Candidate, Provenance
from discover.structures.crystal import Crystal
from surrogates.compound_descriptor import CompoundDescriptor
from surrogates.conformance import example_candidates


def test_means_spreads_and_covariances_of_rock_salt() -> None:
    """Na: 22.99 u, 0.93 on Pauling's scale; Cl: 35.45 u, 3.16 (CRC Handbook)."""
    descriptor = CompoundDescriptor()
    rows = descriptor.describe(example_candidates())
    assert rows.shape == (3, 252)
    row = dict(zip(descriptor.names, rows[0].tolist(), strict=True))
    assert row["mean_mass"] == pytest.approx((22.990 + 35.453) / 2, abs=1e-3)
    assert row["std_mass"] == pytest.approx((35.453 - 22.990) / 2, abs=1e-3)
    assert row["covariance_mass_electronegativity"] == pytest.approx(6.2316 * 1.115, rel=1e-3)
    assert row["mean_nearest_angstrom"] == pytest.approx(2.82)
    assert row["mean_electronegativity_contrast"] == pytest.approx(2.23, rel=0.05)
    assert row["std_bonds"] == pytest.approx(0.0, abs=1e-9)


def test_polymorphs_differ_in_what_surrounds_the_atoms() -> None:
    descriptor = CompoundDescriptor()
    one, other = (
        Candidate(
            id=prototype,
            formula="ZnS",
            spacegroup=225,
            prototype=prototype,
            structure=Crystal.from_atoms(bulk("ZnS", prototype, a=a)),
            provenance=Provenance(generator="test", operation="test"),
        )
        for prototype, a in (("rocksalt", 5.06), ("zincblende", 5.41))
    )
    rows = descriptor.describe([one, other])
    differing = {n for n, d in zip(descriptor.names, np.ptp(rows, axis=0), strict=True) if d > 1e-9}
    assert "mean_bond_order_3" in differing
    assert "mean_mass" not in differing
