"""Discovery of extreme materials by active learning."""

__version__ = "0.1.0"
