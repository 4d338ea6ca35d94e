"""Where Keras has helpers for data, too; ``jkeras.utils`` has them all."""

from jkeras.preprocessing import sequence

__all__ = ["sequence"]
