"""Models with a posterior, and the descriptors that feed them."""

from surrogates.base import Surrogate, TrainingData

__all__ = ["Surrogate", "TrainingData"]
