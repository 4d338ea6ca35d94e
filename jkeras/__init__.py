"""jkeras: Keras's Sequential and Functional models, purely functional underneath, on JAX."""
from jkeras.core import Input
