"""Lattice dynamics with three-phonon scattering: from displaced supercells to thermal conductivity."""
