"""A material of which no more than the composition is known, with its space group where that is."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from discover.errors import StructureError


class Composition(BaseModel):
    """Amounts of the elements, which need not be whole numbers, and perhaps the space group.

    What is known of such materials can be learned from; they cannot be computed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    amounts: dict[str, Annotated[FiniteFloat, Field(gt=0)]] = Field(min_length=1)
    spacegroup: int | None = Field(None, ge=1, le=230)

    @classmethod
    def from_formula(cls, formula: str, spacegroup: int | None = None) -> Composition:
        """From a formula such as `Li6.4La3Zr1.4Ta0.6O12`; StructureError where it cannot be read."""
        from pymatgen.core import Composition as Parsed

        try:
            parsed = Parsed(formula)
        except ValueError as error:
            raise StructureError(
                f"{formula!r} is not a formula that can be read: {error}"
            ) from None
        strange = sorted(str(s) for s in parsed if not getattr(s, "Z", 0))
        if strange or not parsed:
            raise StructureError(
                f"{formula!r} is not a formula that can be read"
                + (f": no elements: {', '.join(strange)}" if strange else "")
            )
        amounts = {e.symbol: round(float(n), 6) for e, n in sorted(parsed.items())}
        return cls(amounts=amounts, spacegroup=spacegroup)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic number of each element, once."""
        from ase.data import atomic_numbers

        return tuple(int(atomic_numbers[symbol]) for symbol in self.amounts)

    @property
    def formula(self) -> str:
        """Reduced formula, elements by rising electronegativity, as in `Li6.4La3Zr1.4Ta0.6O12`."""
        from pymatgen.core import Composition as Parsed

        return str(Parsed(self.amounts).reduced_formula)

    @property
    def fingerprint(self) -> str:
        """Formula and space group: equal for duplicates, as far as anybody can tell."""
        return f"composition {self.formula}-{self.spacegroup}"

    @property
    def title(self) -> str:
        """That nothing else is known of it."""
        return "composition only"

    def content(self) -> dict[str, Any]:
        """What makes it the material it is, for hashes."""
        return {"composition": self.formula, "spacegroup": self.spacegroup}
