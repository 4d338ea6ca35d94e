"""jkeras: Keras's Sequential and Functional models, purely functional underneath, on JAX.

Change ``keras`` to ``jkeras`` in a script for Sequential and Functional models, and it runs. Underneath, a layer is a pure pair
``init``/``apply``, a model is a layer, and training is a pure function over one pytree.
"""

from importlib.metadata import version as _version

from jkeras import (
    activations,
    backend,
    callbacks,
    config,
    constraints,
    dtype_policies,
    initializers,
    layers,
    losses,
    metrics,
    mixed_precision,
    models,
    ops,
    optimizers,
    preprocessing,
    random,
    regularizers,
    saving,
    tree,
    utils,
)
from jkeras.core import Context, Definition, Input, Layer, Masked, clone, composite, functional, layer, sequential, weight
from jkeras.core import SymbolicTensor as KerasTensor
from jkeras.core.imports import answer_unknown_names as _answer_unknown_names
from jkeras.models import Model, Sequential

__version__ = _version("jkeras")

__all__ = [
    "Context",
    "Definition",
    "Input",
    "KerasTensor",
    "Layer",
    "Masked",
    "Model",
    "Sequential",
    "activations",
    "backend",
    "callbacks",
    "clone",
    "composite",
    "config",
    "constraints",
    "dtype_policies",
    "functional",
    "initializers",
    "layer",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "ops",
    "optimizers",
    "preprocessing",
    "random",
    "regularizers",
    "saving",
    "sequential",
    "tree",
    "utils",
    "weight",
]

_answer_unknown_names()
