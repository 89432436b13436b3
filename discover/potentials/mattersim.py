"""MatterSim: a potential over a wide range of temperatures and pressures, by Microsoft."""

from __future__ import annotations

from discover.potentials.environments import Environment
from discover.potentials.foreign import ForeignPotential


class MatterSimPotential(ForeignPotential):
    """MatterSim (Yang et al., arXiv:2405.04967), an M3GNet in single precision, on PBE and PBE+U.

    Models are `1m` and `5m`, by their number of parameters: version 1.0.0 of the weights, downloaded
    from GitHub to `~/.local/mattersim` on first use. `model` may also be a checkpoint file.
    """

    environment = Environment("mattersim", "mattersim.forcefield", needs_bytes=6 * 2**30)
    models = {"1m": "mattersim-v1.0.0-1m", "5m": "mattersim-v1.0.0-5m"}
