"""Sources of candidates."""

from generators.base import Generator, GeneratorContext

__all__ = ["Generator", "GeneratorContext"]
