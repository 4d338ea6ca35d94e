"""The contract and the graph: pure functions over pytrees, importing JAX only.

How the pieces fit, for whoever writes layers, wraps layers or trains by hand:

- A **layer** is a pair ``init(key, x_spec) -> (params, state)``, ``apply(params, state, x, ctx) -> (y, state)``. The decorator
  :func:`layer` makes a constructor of a function that returns such a pair; ``init, apply = some_layer`` takes it apart again.
  :func:`weight` draws an array by name inside ``init``.
- :class:`Context` is all that a call may know besides: ``training``, ``key``, ``masks``, ``arguments``, ``path``, precision, what
  is frozen. :class:`Masked` is a value with a mask on its way between layers; a layer returns one to make or to end a mask.
- A **composite** is a layer made of layers: :func:`composite` takes a body ``(call, x) -> y`` that calls them by name, and
  threads keys, shapes, state, masks, precision, freezing and the rest. Models are composites too, whose body runs the steps of a
  graph: :func:`functional`, :func:`sequential`.
- A number that a layer leaves in its state under ``penalty`` is added to the loss, once per call; :func:`penalties_in` adds up
  those of a pass for a loop of your own.
- :class:`Definition` is what a constructor returns when a pair does not say everything; ``composite`` returns one.
- :func:`clone` makes a layer like another; ``jkeras.saving.to_json`` and ``from_json`` write one down and make it again.
- **Adapters** make layers of what was written elsewhere: :func:`Pair` (stax), :func:`Linen`, :func:`NNX`, :func:`Equinox`,
  :func:`Haiku`.
- Training is pure too: ``jkeras.training.Trainer`` has ``loss``, ``grads``, ``update``, ``step``, ``epoch``, ``evaluate``, each
  made of the one before, over one pytree, ``jkeras.training.TrainState``; ``model.trainer`` is one.

Example:
  >>> init, apply = Dense(2)
  >>> params, state = init(jax.random.key(0), jax.ShapeDtypeStruct((1, 3), "float32"))
  >>> apply(params, state, jnp.ones((5, 3)))[0].shape
  (5, 2)
"""

from jkeras.core.adapters import NNX, Equinox, Haiku, Linen, Pair
from jkeras.core.composite import Calls, clone, composite
from jkeras.core.constructors import Input, InputLayer, as_layer, layer
from jkeras.core.context import Context, fold_in_name
from jkeras.core.definition import Definition
from jkeras.core.errors import DataError, GraphError, ShapeError, UnknownNameError
from jkeras.core.graph import functional, sequential
from jkeras.core.layer import Layer, penalties_in
from jkeras.core.masks import Masked, unmask
from jkeras.core.operation import operate
from jkeras.core.symbolic import SymbolicTensor
from jkeras.core.weights import weight

__all__ = [
    "NNX",
    "Calls",
    "Context",
    "DataError",
    "Definition",
    "Equinox",
    "GraphError",
    "Haiku",
    "Input",
    "InputLayer",
    "Layer",
    "Linen",
    "Masked",
    "Pair",
    "ShapeError",
    "SymbolicTensor",
    "UnknownNameError",
    "as_layer",
    "clone",
    "composite",
    "fold_in_name",
    "functional",
    "layer",
    "operate",
    "penalties_in",
    "sequential",
    "unmask",
    "weight",
]
