"""The shell: ``Model`` and ``Sequential`` with Keras's methods over pure functions.

A model owns a pure layer and reads and writes the arrays that its layers hold. Nothing else in jkeras changes anything, and a
model changes only by being handed a whole new state.
"""

from jkeras.models.model import Model
from jkeras.models.sequential import Sequential

__all__ = ["Model", "Sequential"]
