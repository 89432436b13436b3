"""What holds for every built-in engine."""

import subprocess
import sys

import pytest

from discover import plugins


@pytest.mark.parametrize("name", ["gpaw", "espresso", "vasp", "emt", "potential"])
def test_engines_do_not_need_settings(name):
    assert plugins.create("engines", name).name == name


def test_importing_the_engines_is_cheap():
    probe = (
        "import sys, discover.calculations.engines, discover.calculations.agl; "
        "print({'ase', 'gpaw', 'torch', 'pymatgen', 'spglib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
