"""The shell around a pure layer: what it holds, what it is made of, and how it is called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jkeras.core import Context, Input, Layer, functional, store, unmask
from jkeras.core.arguments import checked_arguments, checked_bool
from jkeras.core.context import is_traced
from jkeras.core.definition import Params, State
from jkeras.core.errors import UnknownNameError, nearest
from jkeras.core.layer import context_of
from jkeras.core.nest import flatten, map_nest, path_of
from jkeras.core.operation import Operation
from jkeras.core.plain import MODELS
from jkeras.core.shapes import shape_of, spec_of
from jkeras.core.symbolic import has_symbolic
from jkeras.models.config import Configs, functional_of
from jkeras.models.copies import Copies
from jkeras.models.face import ModelFace
from jkeras.models.training import TrainingMethods
from jkeras.training.data import check_inputs, count


class Model(Copies, Configs, ModelFace, TrainingMethods):
    """A model of everything between some inputs and some outputs, with Keras's ways of training it.

    It is called like a layer; its layers' weights are shared with every other model that contains them. Underneath,
    ``init, apply = model`` are two pure functions, and ``model.trainer`` trains purely.

    Args:
      inputs: a tensor made by ``Input``, or a list, dict or nest of them.
      outputs: a tensor made from them by calling layers, or a list, dict or nest.
      name: what it is called inside other models and in ``summary``.
      trainable: False freezes all its layers.

    Raises:
      GraphError: when the outputs need another input, something is not a tensor, or two layers bear the same name.

    Example:
      >>> x = Input((64,))
      >>> model = Model(x, Dense(10, activation="softmax")(Dense(32, activation="relu")(x)))
      >>> model.count_params()
      2410
    """

    @checked_arguments
    def __init__(self, inputs: Any = None, outputs: Any = None, name: str | None = None, trainable: bool = True):
        if inputs is None or outputs is None:
            raise TypeError("A Model takes inputs and outputs: Model(inputs, outputs). A chain of layers is a Sequential([...]).")
        self._setup(name)
        self._inputs, self._outputs = inputs, outputs
        self._layer = functional(inputs, outputs, name)
        self._layer.store.shell = self
        if not checked_bool("trainable", trainable):
            self.trainable = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "call" in cls.__dict__ or "train_step" in cls.__dict__:
            raise TypeError(
                f"{cls.__name__} cannot be a subclass of {cls.__mro__[1].__name__} with a call or a train_step of its own yet. A "
                "model with several inputs, outputs or branches is Model(inputs, outputs), with x = Input(...) and layers called "
                "on x; what a layer computes is a function under @jkeras.layer or jkeras.composite; a training loop of your own "
                "is written on model.trainer: state, logs = model.trainer.step(state, (x, y))."
            )

    def _setup(self, name: str | None) -> None:
        self._given_name = name
        self._layer: Layer | None = None
        self._inputs: Any = None
        self._outputs: Any = None
        self._added: list[Any] = []  # what add_loss was given, behind its layers
        self._seed: int | None = None
        self._trainable = True
        self._calls = 0
        self._jitted: tuple[Any, Any] = (None, None)
        self._setup_training()

    # -- the pure layer -----------------------------------------------------------------------------------------------

    @property
    def layer(self) -> Layer:
        """The pure layer that this model is: an ``init``/``apply`` pair with its program."""
        assert self._layer is not None
        return self._layer

    def init(self, key: jax.Array, x_spec: Any = None) -> tuple[Params, State]:
        """Make new parameters and state; what the model holds is not touched.

        Args:
          key: ``jax.random.key(seed)``.
          x_spec: what inputs look like; needed only for a Sequential whose input shape is not known.
        """
        described = self.input_spec if x_spec is None else map_nest(spec_of, x_spec)
        if described is None:
            raise ValueError(
                f"Model {self.name!r} does not know its input shape yet: write init(key, x_spec), or start it with Input."
            )
        return self.layer.init(key, described)

    def apply(
        self,
        params: Params,
        state: State,
        x: Any,
        ctx: Context | None = None,
        *,
        training: bool = False,
        key: jax.Array | None = None,
    ) -> tuple[Any, State]:
        """Compute ``(outputs, state)`` from the arguments alone; compiled, and usable inside other JAX transformations.

        Args:
          params, state: trees such as :meth:`init` returns, or ``model.params`` and ``model.state``.
          x: inputs as a single array, list or dict.
          ctx: what an enclosing layer passes, or ``Context(frozen=model.frozen, ...)`` for a model with frozen layers; then
            nothing is compiled here, and a result that has a mask comes as ``Masked``.
          training: without ``ctx``, whether Dropout drops and BatchNormalization uses the batch's statistics.
          key: without ``ctx``, the key for layers that draw random numbers in training.
        """
        if ctx is not None:
            return self.layer.apply(params, state, x, context_of(ctx, training, key))
        return self._apply(params, state, x, key, bool(training), frozenset())

    def _apply(self, params: Params, state: State, x: Any, key: Any, training: bool, frozen: frozenset) -> tuple[Any, State]:
        layer, function = self._jitted
        if layer is not self.layer:
            layer = self.layer

            def pure(params: Any, state: Any, x: Any, key: Any, training: bool, frozen: frozenset) -> Any:
                y, state = layer.apply(params, state, x, Context(training, key, frozen=frozen))
                return unmask(y), state

            function = jax.jit(pure, static_argnums=(4, 5))
            self._jitted = (layer, function)
        y, state = function(params, state, x, key, training, frozen)
        return map_nest(lambda _, leaf: leaf, self.program.outputs, y), state  # jit sorts dictionaries

    def __iter__(self) -> Iterator[Any]:
        """Unpack into the pure functions: ``init, apply = model``."""
        return iter((self.init, self.apply))

    def __call__(self, inputs: Any, *more: Any, training: bool | None = None, **arguments: Any) -> Any:
        """Call the model like a layer: on symbolic tensors, or on arrays with the weights that it holds."""
        given = (inputs, *more)
        if has_symbolic((given, arguments)):
            return self.layer(*given, training=training, **arguments)
        if more or arguments:
            raise TypeError(f"Model {self.name!r} takes one input (an array, list or dictionary) and training=.")
        traced = is_traced(inputs)
        program = self._program_for(inputs)
        x = inputs if traced else check_inputs(program, inputs)
        if not traced:
            count(x)  # as many examples in each
        self._calls += 1
        key = jax.random.fold_in(jax.random.key(self.seed), self._calls) if training else None
        params, before = self.params, self.state
        y, state = self._apply(params, before, x, key, bool(training), self.frozen)
        if not is_traced((y, state)):
            store.write(self.layer, params, state)  # a pass may leave statistics, or what a stateful layer carries on
        return y

    # -- what it holds ------------------------------------------------------------------------------------------------

    @property
    def seed(self) -> int:
        """The seed of its weights, shuffling and dropout; drawn on first need unless ``compile(seed=...)`` gave one."""
        if self._seed is None:
            self._seed = store.next_seed()
        return self._seed

    def _fill(self) -> None:
        if not store.is_filled(self.layer):
            described = self.input_spec
            if described is None:
                raise ValueError(f"Model {self.name!r} has no weights yet: call build(input_shape), or fit it on data.")
            store.fill(self.layer, self.seed, described)

    @property
    def params(self) -> Params:
        """The trained arrays it holds, by layer name. Assign a tree of the same shapes to replace them."""
        self._fill()
        return store.read(self.layer)[0]

    @params.setter
    def params(self, tree: Params) -> None:
        self._replace(tree, 0)

    @property
    def state(self) -> State:
        """The arrays it remembers but does not train, by layer name; assignable like ``params``."""
        self._fill()
        return store.read(self.layer)[1]

    @state.setter
    def state(self, tree: State) -> None:
        self._replace(tree, 1)

    def _replace(self, tree: Any, part: int) -> None:
        self._fill()
        pair = list(store.read(self.layer))
        old, new = (dict(jax.tree_util.tree_flatten_with_path(t)[0]) for t in (pair[part], tree))
        for path in [*old, *new]:
            name = path_of(path)
            if path not in new or path not in old:
                wrong = "missing" if path in old else "not an array of this model"
                raise ValueError(f"{'params' if part == 0 else 'state'}: {name!r} is {wrong}.")
            if jnp.shape(old[path]) != jnp.shape(new[path]):
                raise ValueError(f"{name!r} has shape {jnp.shape(old[path])}, but got an array of shape {jnp.shape(new[path])}.")
        pair[part] = jax.tree.map(lambda a, b: store.owned(b, a.dtype), pair[part], tree)
        store.write(self.layer, *pair)

    def set_weights(self, weights: Any) -> None:
        """Replace all arrays, in Keras's order; shapes are checked before anything changes."""
        self._fill()
        store.set_weights(self.layer, weights)

    def reset_state(self) -> None:
        """Forget what stateful layers carry from batch to batch."""
        store.reset(self.layer)

    def count_params(self) -> int:
        """Count the numbers in all arrays, trained or not."""
        return store.count(self.layer)

    # -- layers and shapes --------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The name it was given, or what kind of model it is."""
        return self._given_name or (self._layer.name if self._layer is not None else type(self).__name__.lower())

    @property
    def program(self) -> Any:
        """Its steps, in the order in which they run."""
        return self.layer.definition.program

    @property
    def layers(self) -> list[Any]:
        """Its layers in Keras's order, inputs included, operations left out; models inside appear as models."""
        return [outward(layer) for layer in self.program.layers.values() if not isinstance(layer, Operation)]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """Return a layer by name or by its place in :attr:`layers`.

        Raises:
          ValueError: when there is none of that name or at that place.
        """
        if (name is None) == (index is None):
            raise ValueError("get_layer takes either a name or an index.")
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"There is no layer {index}: model {self.name!r} has {len(self.layers)} layers.")
            return self.layers[index]
        shown = {id(layer) for layer in self.layers}
        known = {n: layer for n, layer in self.program.layers.items() if id(outward(layer)) in shown}
        if name not in known:
            raise UnknownNameError(
                f"There is no layer {name!r} in model {self.name!r}.{nearest(name, known)} It has {', '.join(known)}."
            )
        return outward(known[name])

    @property
    def inputs(self) -> list[Any]:
        """The symbolic tensors it starts from, as a list."""
        return flatten(self.input)

    @property
    def outputs(self) -> list[Any]:
        """The symbolic tensors it ends in, as a list."""
        return flatten(self.output)

    @property
    def input(self) -> Any:
        """The symbolic tensors it starts from."""
        if self._inputs is None:
            self._rewire()
        return self._inputs

    @property
    def output(self) -> Any:
        """The symbolic tensors it ends in, from which other models can be built."""
        if self._outputs is None:
            self._rewire()
        return self._outputs

    def _rewire(self) -> None:
        if self._layer is None or self.input_spec is None:
            raise AttributeError(f"Model {self.name!r} does not know its input shape yet, so it has no inputs and outputs.")
        self._inputs = map_nest(lambda s: Input(batch_shape=shape_of(s), dtype=s.dtype), self.input_spec)
        self._outputs = self.layer(self._inputs)

    @property
    def input_spec(self) -> Any:
        """Shapes and dtypes of the inputs as ``jax.ShapeDtypeStruct``, or None where they are not known."""
        return self.program.input_spec

    @property
    def input_shape(self) -> Any:
        """Shapes of the inputs, batch axis first."""
        return map_nest(lambda tensor: tensor.shape, self.input)

    @property
    def output_shape(self) -> Any:
        """Shapes of the outputs, batch axis first."""
        return map_nest(lambda tensor: tensor.shape, self.output)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, in the model's order."""
        return flatten(self.program.input_names)

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs, in the model's order; logs, losses and targets use them."""
        return flatten(self.program.output_names)

    @property
    def trainable(self) -> bool:
        """Whether it learns; setting it sets every layer inside. Nothing inside a model that does not learn does."""
        return self._trainable if self._layer is None else self.layer.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = checked_bool("trainable", value)
        if self._layer is not None:
            self.layer.trainable = self._trainable

    @property
    def built(self) -> bool:
        """Whether its input shape is known."""
        return self._layer is not None and self.input_spec is not None

    def build(self, input_shape: Any = None) -> None:
        """Make the weights; a Sequential that does not know its input shape takes it here, batch axis included."""
        self._fill()

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print a table of the layers, their output shapes and numbers of parameters; nothing is computed.

        Args:
          line_length: width of the table.
          positions: where its columns end, as fractions of the width or in signs; by default they are as wide as what they hold.
          print_fn: called once with the whole text instead of ``print``.
          expand_nested: whether layers of models inside are listed.
          show_trainable: whether there is a column that says which layers learn.
          layer_range: two names of layers, or regular expressions for their beginnings; what lies between is listed.
        """
        from jkeras.utils.summary import render  # with rich, which is imported when first used

        (print_fn or print)(render(self, line_length, positions, expand_nested, show_trainable, layer_range))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name!r}, layers={len(self.program.layers) if self._layer is not None else 0}>"

    @property
    def frozen(self) -> frozenset[tuple[str, ...]]:
        """The paths of the layers that do not learn at present, for ``Context(frozen=...)``."""
        return store.frozen_paths(self.layer)

    def _program_for(self, x: Any) -> Any:
        """Return the program that takes inputs like x; a Sequential may have to learn its input shape from them."""
        return self.program


MODELS["Functional"] = lambda reader, config: functional_of(reader, config, Model)


def outward(layer: Layer) -> Any:
    """Show a model inside another as a model, and a layer as itself."""
    if layer.definition.program is None:
        return layer
    if layer.store.shell is None:
        model = Model.__new__(Model)
        model._setup(layer.given_name)
        model._layer, layer.store.shell = layer, model
    return layer.store.shell
