"""Drawings of structures of any sort, as SVG that stands in a page."""

from __future__ import annotations

import re

from discover.report import structures
from discover.report.structures import ElementColour, crystal_svg
from discover.structures.composition import Composition
from discover.structures.crystal import Crystal
from discover.structures.molecule import Molecule
from discover.structures.structure import Structure, atomic_numbers

_WIDTH, _HEIGHT = 220, 170
"""Of a molecule's drawing, in its own units."""
_MOST_DRAWN = 3
"""Components of a formulation that are drawn, those with the largest fractions."""


def structure_svg(structure: Structure) -> str:
    """A cell, a skeletal formula, those of a mixture's main components; nothing of a composition."""
    if isinstance(structure, Crystal):
        return crystal_svg(structure)
    if isinstance(structure, Molecule):
        return molecule_svg(structure)
    if isinstance(structure, Composition):
        return ""
    main = sorted(structure.components, key=lambda c: -c.mole_fraction)[:_MOST_DRAWN]
    return "".join(molecule_svg(c.molecule, f"{100 * c.mole_fraction:.3g} %") for c in main)


def molecule_svg(molecule: Molecule, caption: str = "") -> str:
    """The skeletal formula by RDKit; carbon and bonds take the page's text colour."""
    from rdkit import Chem
    from rdkit.Chem.Draw import rdMolDraw2D

    drawer = rdMolDraw2D.MolDraw2DSVG(_WIDTH, _HEIGHT)
    options = drawer.drawOptions()
    options.clearBackground = False
    options.fixedBondLength = 34
    options.legendFraction = 0.16
    options.setLegendColour((0, 0, 0))
    drawn = rdMolDraw2D.PrepareMolForDrawing(Chem.MolFromSmiles(molecule.smiles))
    drawer.DrawMolecule(drawn, legend=caption)
    drawer.FinishDrawing()
    svg = str(drawer.GetDrawingText())
    svg = re.sub(r"<\?xml[^>]*\?>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = svg.replace("#000000", "currentColor").replace("#0000FF", "#4A6CF7")  # to be seen on dark
    return svg.replace("<svg ", '<svg class="molecule" role="img" ', 1).strip()


def element_colours(structure: Structure) -> list[ElementColour]:
    """Each element once with its colour, in the order of its first atom."""
    return structures.element_colours(atomic_numbers(structure))
