"""Interatomic potentials: which there are, and relaxation with them."""
