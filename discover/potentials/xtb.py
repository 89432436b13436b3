"""Potential `xtb`: the semi-empirical GFN2-xTB by tblite, for molecules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from discover.errors import MissingDependencyError
from discover.structures.molecule import Molecule

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

_HEAVIEST = 86


class XTBPotential:
    """GFN2-xTB (C. Bannwarth et al., J. Chem. Theory Comput. 15, 1652 (2019)), or GFN1, up to radon.

    Charge and multiplicity are those in the `info` of the atoms, as `Molecule.to_atoms` gives them.
    """

    takes = Molecule

    def __init__(self, model: Literal["GFN2-xTB", "GFN1-xTB"] = "GFN2-xTB") -> None:
        self._method = model

    @property
    def name(self) -> str:
        """The method's name."""
        return f"xtb:{self._method}"

    def elements(self) -> frozenset[str]:
        """Hydrogen to radon; MissingDependencyError where tblite is not installed."""
        _tblite()
        from ase.data import chemical_symbols

        return frozenset(chemical_symbols[1 : _HEAVIEST + 1])

    def calculator(self) -> Calculator:
        """The one of tblite, silent; MissingDependencyError where that is not installed."""

        class ChargedTBLite(_tblite()):  # type: ignore[misc]
            """Takes charge and multiplicity from where `Molecule.to_atoms` writes them."""

            def calculate(self, atoms: Atoms | None = None, *args: Any, **keywords: Any) -> None:
                info = {} if atoms is None else atoms.info
                self.set(charge=info.get("charge", 0), multiplicity=info.get("spin", 1))
                super().calculate(atoms, *args, **keywords)

        calculator: Calculator = ChargedTBLite(method=self._method, verbosity=0)
        return calculator


def _tblite() -> Any:
    try:
        from tblite.ase import TBLite
    except ImportError as error:
        raise MissingDependencyError(
            "the potential 'xtb' needs tblite: pip install 'discover-materials[molecules]'"
        ) from error
    return TBLite
