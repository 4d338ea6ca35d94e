"""Models copied and pickled: with their weights and their training state, without what is compiled."""

from __future__ import annotations

import weakref
from typing import Any

from jkeras.core.layer import Layer
from jkeras.core.nest import flatten
from jkeras.core.pickling import refuse_nameless
from jkeras.core.shapes import deep_copy
from jkeras.core.symbolic import is_symbolic, parents_first

_MADE_ANEW = {"_engine": None, "_predicting": None, "_jitted": (None, None)}  # compiled programs


class Copies:
    """How a model is copied and pickled; ``Model`` supplies what it holds."""

    # what Model supplies
    name: str
    seed: int
    built: Any
    history: Any
    optimizer: Any
    _layer: Layer | None
    _compiled: Any
    _flags: dict[Layer, bool]

    def _fill(self) -> None: ...

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy the model with its weights and its training state."""
        other = deep_copy(self, memo, _MADE_ANEW)
        other._settle()
        return other

    def __getstate__(self) -> dict[str, Any]:
        """Return what to pickle; weights and a seed that the model would draw when it is first used are drawn now.

        The calls behind its tensors come first, each after those that it builds on: then pickle, which calls itself for what is
        inside, never goes deep, however long a chain of layers is.
        """
        for name, given in (self._compiled or {}).items():
            if name != "optimizer":
                refuse_nameless(f"Model {self.name!r}", {name: given})
        _ = self.seed
        if self.built:
            self._fill()
        places = () if self._layer is None else self._layer.places
        held = {**vars(self), **_MADE_ANEW, "_running": 0, "_flags": {}}
        calls = parents_first(leaf.call for leaf in flatten(list(held.values())) if is_symbolic(leaf))
        return {
            "calls": calls,
            "first": [call for call in calls if call.layer.store.call is call],
            "flags": {path: self._flags[node] for path, node in places if node in self._flags},
            "held": held,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state["held"]
        for call in state["first"]:
            call.layer.store.call = call
        places = () if self._layer is None else self._layer.places
        self._flags = {node: state["flags"][path] for path, node in places if path in state["flags"]}
        self._settle()

    def _settle(self) -> None:
        """Be the model of what belongs to a model."""
        if self.optimizer is not None and self.optimizer.owner is None:
            self.optimizer.owner = weakref.ref(self)
        if self.history is not None and self.history.model is None:
            self.history.set_model(self)
