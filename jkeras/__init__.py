"""jkeras: Keras's Sequential and Functional models, purely functional underneath, on JAX.

Change ``keras`` to ``jkeras`` in a script for Sequential and Functional models, and it runs. Underneath, a layer is a pure pair
``init``/``apply``, a model is a layer, and training is a pure function over one pytree.
"""

from importlib.metadata import version as _version

from jkeras import (
    activations,
    callbacks,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    regularizers,
    saving,
    utils,
)
from jkeras.core import Context, Definition, Input, Layer, Masked, clone, composite, functional, layer, sequential, weight
from jkeras.models import Model, Sequential

__version__ = _version("jkeras")

__all__ = [
    "Context",
    "Definition",
    "Input",
    "Layer",
    "Masked",
    "Model",
    "Sequential",
    "activations",
    "callbacks",
    "clone",
    "composite",
    "constraints",
    "functional",
    "initializers",
    "layer",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "regularizers",
    "saving",
    "sequential",
    "utils",
    "weight",
]
