"""SevenNet: equivariant message-passing potentials of Seoul National University."""

from __future__ import annotations

from discover.potentials.environments import Environment
from discover.potentials.foreign import ForeignPotential

_OMNI = "mpa omat24 matpes_pbe matpes_r2scan mp_r2scan"
_MODALS = {
    "7net-mf-0": "PBE R2SCAN",
    "7net-mf-ompa": "mpa omat24",
    "7net-omni": _OMNI,
    "7net-omni-i8": _OMNI,
    "7net-omni-i12": _OMNI,
}
"""Models of several levels of theory, and what they call those that are for inorganic crystals."""


class SevenNetPotential(ForeignPotential):
    """SevenNet (Park et al., J. Chem. Theory Comput. 20, 4857 (2024)), in single precision.

    Models are `7net-l3i5`, `7net-0`, ...; one of several levels of theory is written with its level,
    as `7net-mf-ompa:mpa`. Their energies are the Materials Project's, PBE and PBE+U, without its
    corrections. `model` may also be a checkpoint file of one level.
    """

    environment = Environment("sevennet", "sevenn.calculator", needs_bytes=4 * 2**30)
    models = {name: name for name in ("7net-0", "7net-0_22may2024", "7net-l3i5", "7net-omat")} | {
        f"{name}:{modal.lower()}": f"{name}:{modal}"
        for name, modals in _MODALS.items()
        for modal in modals.split()
    }
    shipped = frozenset(
        {"7net-0", "7net-0_22may2024", "7net-l3i5", "7net-mf-0:pbe", "7net-mf-0:r2scan"}
    )
