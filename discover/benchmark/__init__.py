"""Measured speed, memory and quality."""
