"""Figures and the campaign page."""
