"""Memory that a calculation will need, and memory at hand, so that too large a one is refused early.

Estimates are upper bounds measured with symfc 1.7 and phono3py 4.8 on supercells of 54 to 128 atoms;
the true peak was 50 to 100 % of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from discover.errors import CalculationError

_BASE_BYTES = 300e6
"""Python with phono3py, symfc and ASE loaded."""


def fit_bytes(supercell_atoms: int, basis_size: int = 0) -> float:
    """Peak memory of a symfc fit of third-order force constants.

    Sparse projectors over all 27 N³ elements, and the normal matrix of the basis with its copies.
    """
    return _BASE_BYTES + 20 * 27 * supercell_atoms**3 + 40 * basis_size**2


def finite_difference_bytes(supercell_atoms: int) -> float:
    """Peak memory of third-order force constants by finite differences, full ones for γ included."""
    return _BASE_BYTES + 2 * 8 * 27 * supercell_atoms**3


def conductivity_bytes(bands: int, mesh: Sequence[int], solved_together: int = 0) -> float:
    """Peak memory of phonon-phonon scattering on a mesh.

    Eigenvectors, one q-point's triplets with their interaction strengths and, for the direct solution
    of so many irreducible q-points, the collision matrix with the copy its diagonalization makes.
    """
    points = float(np.prod(mesh, dtype=float))
    waves = 16 * points * bands**2
    triplets = 8 * 0.5 * points * bands**3
    collisions = 2 * 8 * (3.0 * solved_together * bands) ** 2
    return _BASE_BYTES + waves + triplets + collisions


def available_bytes() -> float:
    """Memory this process may still take: what the machine has free, or its control group allows."""
    free = _meminfo("MemAvailable")
    group = Path("/sys/fs/cgroup")
    try:
        limit = float((group / "memory.max").read_text())  # "max" where there is none
        return min(free, limit - float((group / "memory.current").read_text()))
    except (OSError, ValueError):
        return free


def require(needed: float, what: str, remedy: str) -> None:
    """CalculationError where `needed` bytes are more than there are; `remedy` says what to change."""
    available = available_bytes()
    if needed > available:
        raise CalculationError(
            f"{what} needs about {needed / 2**30:.1f} GiB of memory, and {available / 2**30:.1f} GiB "
            f"are free: {remedy}, or use a machine with more"
        )


def _meminfo(key: str) -> float:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return 1024 * float(value.split()[0])
    return float("inf")
