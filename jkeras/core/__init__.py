"""The contract and the graph: pure functions over pytrees, importing JAX only."""

from jkeras.core.constructors import Input, as_layer, layer
from jkeras.core.context import Context, Masked, fold_in_name, unmask
from jkeras.core.errors import DataError, GraphError, ShapeError, UnknownNameError
from jkeras.core.graph import functional, sequential
from jkeras.core.layer import Definition, Layer
from jkeras.core.symbolic import SymbolicTensor

__all__ = [
    "Context",
    "DataError",
    "Definition",
    "GraphError",
    "Input",
    "Layer",
    "Masked",
    "ShapeError",
    "SymbolicTensor",
    "UnknownNameError",
    "as_layer",
    "fold_in_name",
    "functional",
    "layer",
    "sequential",
    "unmask",
]
