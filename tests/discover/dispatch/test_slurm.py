"""Jobs on a real Slurm of one node, whose daemons are killed in between."""

import pytest

from discover.dispatch.conformance import DispatcherConformance
from discover.dispatch.machines import MachineProfile
from discover.dispatch.slurm import SlurmDispatcher

QUICK = MachineProfile(scheduler="slurm", poll_seconds=0.3, answer_seconds=20, settle_seconds=2)


class TestConformance(DispatcherConformance):
    @pytest.fixture
    def make_dispatcher(self, slurm, tmp_path):
        return lambda: SlurmDispatcher(tmp_path, machine=QUICK)
