"""Where VASP's POTCAR files lie, in the layout of pymatgen or of VASP's own archives."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PATH_VARIABLES = ("PMG_VASP_PSP_DIR", "VASP_PP_PATH")

_SUFFIXES = ("", ".gz", ".bz2", ".Z")


def potcar_root() -> Path | None:
    """The folder that the environment, or pymatgen's `~/.config/.pmgrc.yaml`, names, if any does."""
    from pymatgen.core import SETTINGS

    named = [*map(os.environ.get, PATH_VARIABLES), SETTINGS.get(PATH_VARIABLES[0])]
    return next((Path(folder).expanduser() for folder in named if folder), None)


def find_potcar(root: Path, functional: str, symbol: str) -> Path | None:
    """The POTCAR of a symbol such as `Na_pv` for a functional such as `PBE_54`, or None."""
    return next((path for path in _places(root, functional, symbol) if path.is_file()), None)


def _places(root: Path, functional: str, symbol: str) -> Iterator[Path]:
    from pymatgen.io.vasp.inputs import POTCAR_FUNCTIONAL_MAP

    for folder in (POTCAR_FUNCTIONAL_MAP[functional], _archive_folder(functional)):
        for suffix in _SUFFIXES:
            yield root / folder / f"POTCAR.{symbol}{suffix}"
            yield root / folder / symbol / f"POTCAR{suffix}"


def _archive_folder(functional: str) -> str:
    """VASP's (and ASE's) name: `potpaw_PBE.54` for `PBE_54`."""
    return f"potpaw_{functional.replace('_', '.', 1)}"
