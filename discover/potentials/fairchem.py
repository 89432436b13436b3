"""FAIR Chemistry's potentials UMA and eSEN, by Meta."""

from __future__ import annotations

from discover.potentials.environments import Environment
from discover.potentials.foreign import ForeignPotential

_UMA = (
    "uma-s-1p1",
    "uma-s-1p2",
    "uma-s-1p2p1",
    "uma-s-1p2p1-ft-d4rev",
    "uma-s-1p2p1-ft-r2scan",
    "uma-m-1p1",
)


class FAIRChemPotential(ForeignPotential):
    """UMA (Wood et al., arXiv:2506.23971) and eSEN (Fu et al., arXiv:2502.12147), on their task `omat`.

    UMA models are downloaded from Hugging Face on first use, which needs an account that accepted
    their licence (`huggingface-cli login`). An eSEN for crystals, such as eSEN-30M-OAM, is given as a
    checkpoint file; such a file names no elements, and is taken to know those of OMat24 (Barroso-Luque
    et al., arXiv:2410.12771), all up to Pu but Po, At, Rn, Fr and Ra.
    """

    environment = Environment("fairchem", "fairchem.core", needs_bytes=8 * 2**30)
    models = {name: name for name in _UMA}
