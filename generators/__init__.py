"""Sources of candidates."""

from generators.base import Generator, GeneratorContext, Proposal

__all__ = ["Generator", "GeneratorContext", "Proposal"]
