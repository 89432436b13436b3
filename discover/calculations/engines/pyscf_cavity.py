"""Cavities of PySCF's implicit solvents that compute the integrals on their surface once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CACHED_BYTES = 2**30
"""Integrals that take more are computed anew in each cycle, as PySCF does."""


class KeepsIntegrals:
    """Mixed into `pyscf.solvent.pcm.PCM` or a child of it.

    PySCF computes the potential of each pair of basis functions at each point of the cavity, (pairs,
    points), twice a cycle, which took ten times as long as all else in a field of ten atoms.
    """

    def build(self, ng: int | None = None) -> Any:
        """Lay the surface out anew and forget its integrals."""
        self.__dict__["_kept"] = None
        return super().build(ng)  # type: ignore[misc]

    def _get_v(self, dms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Potential (sets, points) of densities (sets, basis, basis)."""
        kept = self._integrals()
        if kept is None:
            potential: NDArray[np.float64] = super()._get_v(dms)  # type: ignore[misc]
            return potential
        from pyscf.lib import pack_tril

        folded = dms + dms.transpose(0, 2, 1)
        diagonal = np.arange(dms.shape[-1])
        folded[:, diagonal, diagonal] /= 2
        return np.asarray(pack_tril(folded) @ kept)

    def _get_vmat(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        """What charges (sets, points) on the surface do to basis functions: (sets, basis, basis)."""
        kept = self._integrals()
        if kept is None:
            matrix: NDArray[np.float64] = super()._get_vmat(q)  # type: ignore[misc]
            return matrix
        from pyscf.lib import unpack_tril

        return np.asarray(unpack_tril(-(q.reshape(-1, kept.shape[1]) @ kept.T)))

    def _integrals(self) -> NDArray[np.float64] | None:
        """(pairs, points), or None where that is too large."""
        cavity: Any = self
        points, basis = len(cavity.surface["grid_coords"]), cavity.mol.nao
        if 8 * points * basis * (basis + 1) // 2 > CACHED_BYTES:
            return None
        if cavity.__dict__.get("_kept") is None:
            from pyscf import df, gto

            charges = gto.fakemol_for_charges(
                cavity.surface["grid_coords"], expnt=cavity.surface["charge_exp"] ** 2
            )
            charges.cart = cavity.mol.cart
            cavity.__dict__["_kept"] = df.incore.aux_e2(
                cavity.mol,
                charges,
                intor="int3c2e_cart" if cavity.mol.cart else "int3c2e_sph",
                aosym="s2ij",
            )
        kept: NDArray[np.float64] = cavity.__dict__["_kept"]
        return kept
