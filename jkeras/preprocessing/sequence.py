"""``pad_sequences`` where old scripts look for it."""

from jkeras.utils.data import pad_sequences

__all__ = ["pad_sequences"]
