"""Whether a crystal is dynamically stable: its harmonic phonons, and the lowest of their frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from phono3py import Phono3py
    from phonopy import Phonopy


def harmonic(ph3: Phono3py) -> Phonopy:
    """The harmonic phonons of a Phono3py that has second-order force constants."""
    from phonopy import Phonopy

    matrix = ph3.phonon_supercell_matrix
    phonons = Phonopy(
        ph3.unitcell,
        supercell_matrix=ph3.supercell_matrix if matrix is None else matrix,
        primitive_matrix=ph3.primitive_matrix,
        log_level=0,
    )
    phonons.nac_params = ph3.nac_params
    phonons.force_constants = ph3.fc2
    return phonons


def minimum_frequency(ph3: Phono3py, mesh: Sequence[int]) -> float:
    """Lowest frequency in THz over a Γ-centred mesh; a negative one stands for an imaginary one.

    The q-points that are exact in the supercell are added to the mesh, and the three acoustic modes
    at Γ, the ones closest to zero there, are left out. In a stable crystal this is the softest
    acoustic mode at the mesh's smallest q, or a softer one elsewhere.
    """
    from phonopy.harmonic.dynmat_to_fc import get_commensurate_points

    phonons = harmonic(ph3)
    phonons.run_mesh(list(mesh), is_gamma_center=True)
    exact = get_commensurate_points(phonons.supercell_matrix)
    phonons.run_qpoints(exact)
    qpoints = np.concatenate([phonons.mesh.qpoints, exact])
    frequencies = np.concatenate([phonons.mesh.frequencies, phonons.qpoints.frequencies])
    at_gamma = np.all(np.abs(qpoints - np.rint(qpoints)) < 1e-8, axis=1)
    ordered = np.take_along_axis(frequencies, np.argsort(np.abs(frequencies), axis=1), axis=1)
    optical = ordered[at_gamma][:, 3:]
    return float(min(frequencies[~at_gamma].min(initial=np.inf), optical.min(initial=np.inf)))
