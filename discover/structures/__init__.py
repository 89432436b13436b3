"""Crystals: plain data, fingerprints, duplicates and validity."""
