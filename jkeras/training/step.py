"""Pure training: a state that is one pytree, and functions of it, each made of the one before. ``fit`` is a loop around these.

    trainer.init(key)                          -> TrainState
    trainer.loss(params, state, batch, key)    -> (loss, (logs, state))
    trainer.grads(params, state, batch, key)   -> (grads, (logs, state))
    trainer.update(train_state, grads)         -> TrainState
    trainer.step(train_state, batch)           -> (TrainState, logs)
    trainer.epoch(train_state, data)           -> (TrainState, logs)
    trainer.evaluate(train_state, data)        -> logs

``batch`` and ``data`` are ``(x, y)`` or ``(x, y, sample_weight)`` in any form that ``fit`` takes. All are plain functions of
pytrees: ``jax.vmap`` over ``init`` and ``epoch`` trains an ensemble in one program; gradients are accumulated, clipped, taken per
example or averaged over devices between ``grads`` and ``update``.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import AxisType, PartitionSpec

from jkeras import constraints, regularizers
from jkeras.core import describe
from jkeras.core.arguments import whole_number
from jkeras.core.context import Context
from jkeras.core.errors import DataError
from jkeras.core.face import argument_about
from jkeras.core.layer import Layer, penalties_in, run
from jkeras.core.nest import get_in, is_numbers, resolve, set_in
from jkeras.core.shapes import as_column
from jkeras.optimizers.common import average_in
from jkeras.optimizers.face import unscaled
from jkeras.training.objective import Objective, outcome_of

_SHUFFLE = 0x5F  # folded into the key together with the step, so that shuffling and dropout draw from different streams


class TrainState(NamedTuple):
    """Everything that training changes.

    Attributes:
      params: the model's parameters, frozen ones included.
      state: what its layers remember.
      opt_state: the optimizer's state, for the parameters that learn.
      key: the key from which each step's and each epoch's is folded.
      step: int32, how many steps were taken; with ``key`` it determines all randomness to come.
    """

    params: Any
    state: Any
    opt_state: Any
    key: jax.Array
    step: jax.Array


class Batch(NamedTuple):
    """Arrays by name: inputs, targets, sample weights (None for none).

    Attributes:
      x, y, weight: arrays by name, examples along the first axis.
      valid: ``(batch,)``, False for examples that only fill up a last, smaller batch; None where all are real.
    """

    x: Mapping[str, Any]
    y: Mapping[str, Any]
    weight: Mapping[str, Any]
    valid: Any = None


def take(data: Any, index: jax.Array) -> Any:
    """Pick examples; every index is in range. On an explicit mesh a batch is sharded as the data are, if it can be divided so."""

    def pick_from(a: Any) -> Any:
        laid: Any = jax.typeof(a).sharding
        if AxisType.Explicit not in laid.mesh.axis_types:
            return a.at[index].get(mode="promise_in_bounds")
        first, *rest = (*laid.spec, *(None,) * (a.ndim - len(laid.spec)))
        names = first if isinstance(first, tuple) else () if first is None else (first,)
        divides = index.shape[0] % math.prod(laid.mesh.shape[name] for name in names) == 0
        return a.at[index].get(mode="promise_in_bounds", out_sharding=PartitionSpec(first if divides else None, *rest))

    return jax.tree.map(pick_from, data)


@dataclasses.dataclass(frozen=True, eq=False)
class Trainer:
    """A model's pure training functions.

    Attributes:
      layer: the model.
      objective: losses and metrics.
      optimizer: an Optax transformation; one that asks for ``value``, ``grad`` or ``value_fn`` is given them.
      input_spec: what the model's inputs look like.
      frozen: the paths of layers that do not learn, every path of each.
      compute_dtype: the dtype in which layers compute; None (default) leaves arrays as they are.
      loss_scale: of the optimizer's state, by what the loss is multiplied before gradients are taken, which are divided by it, so
        that small ones are not lost in half precision; a number, or None (default) for nothing.
    """

    layer: Layer
    objective: Objective
    optimizer: Any
    input_spec: Any
    frozen: frozenset[tuple[str, ...]] = frozenset()
    compute_dtype: Any = None
    loss_scale: Callable[[Any], Any] = unscaled

    # -- what is known before anything runs ---------------------------------------------------------------------------

    @functools.cached_property
    def output_specs(self) -> dict[str, Any]:
        """The spec of each output by name."""
        found = describe.outputs(self.layer, self.input_spec)
        return resolve(found, self.layer.definition.program.output_names, "outputs")

    @functools.cached_property
    def fixed_batch(self) -> int | None:
        """The batch size that the model's inputs fix, or None."""
        sizes = {leaf.shape[0] for leaf in jax.tree.leaves(self.input_spec) if isinstance(leaf.shape[0], int)}
        return min(sizes, default=None)

    def mixes_examples(self, training: bool) -> bool:
        """Whether an example's part may depend on the rest of its batch, so that batches must not be filled up."""
        mixing = "always" if self.input_spec is None else describe.mixing(self.layer, self.input_spec)
        return self.objective.mixes_examples or mixing in (("training", "always") if training else ("always",))

    def rules(self, params: Any, what: str, get: Callable[[Any], Any]) -> list[tuple[tuple[str, ...], Any]]:
        """List (path of a weight that learns, function) for every layer argument such as ``kernel_regularizer``.

        A layer that is reached by several paths counts once, at the path that holds its arrays.
        """
        found = []
        for path, node in self.layer.nodes:
            if path in self.frozen:
                continue
            for name in node.own(get_in(params, path)):
                value = argument_about(node.config, name, what)
                found += [] if value is None else [((*path, name), get(value))]
        return found

    # -- the functions, each made of the one before -------------------------------------------------------------------

    def init(self, key: jax.Array) -> TrainState:
        """Make new parameters from a key, and the state in which training starts from them."""
        params, state = self.layer.init(key, self.input_spec)
        return self.start(params, state, key)

    def start(self, params: Any, state: Any, key: jax.Array) -> TrainState:
        """Make the state in which training starts from given parameters."""
        learned, _ = divided(params, self.frozen)
        return TrainState(params, state, self.optimizer.init(learned), key, jnp.zeros((), jnp.int32))

    def loss(self, params: Any, state: Any, batch: Any, key: jax.Array | None = None) -> tuple[Any, tuple[dict[str, Any], Any]]:
        """Compute the loss that a training step minimises, penalties included.

        Args:
          params, state: trees such as ``TrainState`` holds.
          batch: the examples.
          key: for layers that draw random numbers; ``step`` uses ``fold_in(train_state.key, train_state.step)``.

        Returns:
          ``(loss, (logs, state))``: the logs of this batch by name, and what the layers remember afterwards; in the form that
          ``jax.value_and_grad(..., has_aux=True)`` takes.
        """
        ctx = self._context(True, key)
        total, (totals, state) = self._loss(params, state, self.empty(), self.named(batch), ctx)
        return total, (self.objective.results(totals), state)

    def grads(self, params: Any, state: Any, batch: Any, key: jax.Array | None = None) -> tuple[Any, tuple[dict[str, Any], Any]]:
        """Compute the gradients of :meth:`loss` with respect to the parameters that learn: ``(grads, (logs, state))``."""
        grads, (_, totals, state) = self._grads(params, state, self.empty(), self.named(batch), self._context(True, key))
        return grads, (self.objective.results(totals), state)

    def update(self, state: TrainState, grads: Any, **extra: Any) -> TrainState:
        """Take one optimizer step along given gradients, and project weights that have constraints.

        Args:
          state: where to start.
          grads: gradients of the parameters that learn; those of frozen ones are left aside.
          extra: what the optimizer asks for besides, such as ``value=``.
        """
        learned, fixed = divided(state.params, self.frozen)
        optimizer = optax.with_extra_args_support(self.optimizer)
        updates, opt_state = optimizer.update(divided(grads, self.frozen)[0], state.opt_state, learned, **extra)
        learned: Any = optax.apply_updates(learned, updates)
        for path, project in self.rules(learned, "constraint", constraints.get):
            learned = set_in(learned, path, project(get_in(learned, path)))
        return state._replace(params=joined(learned, fixed), opt_state=opt_state, step=state.step + 1)

    def finished(self, state: TrainState) -> TrainState:
        """Put the running mean of the weights in their place, where the optimizer keeps one, as ``fit`` does at last."""
        average = average_in(state.opt_state)
        return state if average is None else state._replace(params=joined(average, divided(state.params, self.frozen)[1]))

    def step(self, state: TrainState, batch: Any) -> tuple[TrainState, dict[str, Any]]:
        """Take one optimizer step; the logs are those of this batch."""
        state, totals = self.train_step(state, self.empty(), self.named(batch))
        return state, self.objective.results(totals)

    def epoch(
        self, state: TrainState, data: Any, batch_size: int = 32, shuffle: bool = True
    ) -> tuple[TrainState, dict[str, Any]]:
        """Take one step per batch over all data; the logs are means over the epoch.

        Args:
          state: where to start.
          data: all examples, any number; they are shuffled by ``state``'s key and step.
          batch_size: examples per step. A last, smaller batch is filled up where that changes nothing, and its own step else.
          shuffle: whether the order is drawn anew, or stays as it is.
        """
        data, batch_size = self.named(data), whole_number("batch_size", batch_size)
        n = jax.tree.leaves(data)[0].shape[0]
        order = self.order(state, n) if shuffle else jnp.arange(n)
        full, rest = divmod(n, batch_size)
        totals = self.empty()
        if rest and not self.mixes_examples(training=True):
            order = jnp.pad(order, (0, batch_size - rest))
            state, totals = self.loop(state, totals, data, order, jnp.int32(n), 0, full + 1, batch_size, True)
            return state, self.objective.results(totals)
        if full:
            state, totals = self.loop(state, totals, data, order, jnp.int32(n), 0, full, batch_size, False)
        if rest:
            state, totals = self.train_step(state, totals, take(data, order[full * batch_size :]))
        return state, self.objective.results(totals)

    def evaluate(self, state: TrainState, data: Any) -> dict[str, Any]:
        """Judge the model on all data at once, without training it."""
        totals, _ = self.test_step(state.params, state.state, self.empty(), self.named(data))
        return self.objective.results(totals)

    # -- what they are made of, and fit compiles: steps that add to an epoch's totals -------------------------------

    def empty(self) -> dict[str, Any]:
        """Make the totals of an epoch that has not begun."""
        return self.objective.empty(self.output_specs if self.objective.sized else {})

    def _context(self, training: bool, key: Any) -> Context:
        return Context(training, key, compute_dtype=self.compute_dtype, frozen=self.frozen)

    def _loss(self, params: Any, state: Any, totals: Any, batch: Batch, ctx: Context) -> tuple[Any, tuple[Any, Any]]:
        y, state = run(self.layer, params, state, batch.x, ctx)
        outcome = outcome_of(self.layer.definition.program.output_names, y, batch)
        rules = self.rules(params, "regularizer", regularizers.get)
        penalty = sum((penalty(get_in(params, path)) for path, penalty in rules), penalties_in(state))
        total, parts = self.objective.losses_of(outcome, penalty)
        return total, (self.objective.add(totals, outcome, total, parts, state), state)

    def _grads(
        self, params: Any, state: Any, totals: Any, batch: Batch, ctx: Context, scale: Any = None
    ) -> tuple[Any, tuple[Any, Any, Any]]:
        learned, fixed = divided(params, self.frozen)

        def objective(learned: Any) -> tuple[Any, Any]:
            total, aux = self._loss(joined(learned, fixed), state, totals, batch, ctx)
            return total if scale is None else total * scale, (total, *aux)

        grads, found = jax.grad(objective, has_aux=True)(learned)
        return grads if scale is None else jax.tree.map(lambda g: g / jnp.asarray(scale, g.dtype), grads), found

    def train_step(self, state: TrainState, totals: Any, batch: Batch) -> tuple[TrainState, Any]:
        """Take one step and add the batch to the totals."""
        ctx = self._context(True, jax.random.fold_in(state.key, state.step))
        scale = self.loss_scale(state.opt_state)
        grads, (total, after, inner) = self._grads(state.params, state.state, totals, batch, ctx, scale)
        _, fixed = divided(state.params, self.frozen)

        def value_fn(learned: Any) -> Any:
            return self._loss(joined(learned, fixed), state.state, totals, batch, ctx)[0]

        return self.update(state._replace(state=inner), grads, value=total, grad=grads, value_fn=value_fn), after

    def test_step(self, params: Any, state: Any, totals: Any, batch: Batch) -> tuple[Any, Any]:
        """Add a batch to the totals without training; return them and what the layers remember."""
        # The key is for layers that were called with training=True; it is the same in every batch of every evaluation.
        return self._loss(params, state, totals, batch, self._context(False, jax.random.key(0)))[1]

    def named(self, batch: Any) -> Batch:
        """Resolve ``(x, y)`` or ``(x, y, sample_weight)`` to names."""
        if isinstance(batch, Batch):
            return batch
        given = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
        if not 1 <= len(given) <= 3:
            raise DataError(f"a batch is (x, y) or (x, y, sample_weight), but got {len(given)} parts.")
        x, y, weight = (np.asarray(part) if is_numbers(part) else part for part in (*given, None, None)[:3])
        names, outputs, wanted = self.layer.definition.program.input_names, self.objective.outputs, self.objective.wanted
        inputs = resolve(x, names, "inputs")
        targets = self.objective.targets(y)
        weights = resolve(weight, outputs, "sample_weight", partial=True, broadcast=True)
        for name in wanted:
            if targets[name] is None:
                raise DataError(f"targets: nothing was given for output {name!r}, which has a loss or a metric.")
        return self._checked(Batch(*({n: _array(a) for n, a in part.items()} for part in (inputs, targets, weights))))

    def _checked(self, batch: Batch) -> Batch:
        """Return a batch with as many examples in each array, ``(n,)`` as ``(n, 1)`` where an input is of that shape."""
        specs = {} if self.input_spec is None else resolve(self.input_spec, self.layer.definition.program.input_names, "inputs")
        x = {name: as_column(a, specs[name]) if name in specs else a for name, a in batch.x.items()}
        sizes = {leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(batch)}
        if sizes == {0} or len(sizes) > 1:
            raise DataError(f"all arrays must have as many examples, at least one, but got {sorted(sizes)}.")
        return batch._replace(x=x, y={name: a for name, a in batch.y.items() if name in self.objective.wanted})

    def shuffle_bits(self, state: TrainState, n: int) -> jax.Array:
        """Draw a number ``(n,)`` uint32 for each example, by which an epoch that begins at this state is sorted."""
        return jax.random.bits(jax.random.fold_in(jax.random.fold_in(state.key, _SHUFFLE), state.step), (n,))

    def order(self, state: TrainState, n: int) -> jax.Array:
        """Return the examples ``(n,)`` in the order of their shuffle bits.

        One sort; ``jax.random.permutation`` takes several in case two numbers are equal. Here such a pair, rare below a hundred
        thousand examples, keeps its order.
        """
        return jnp.argsort(self.shuffle_bits(state, n), stable=True).astype(jnp.int32)

    def loop(
        self,
        state: TrainState,
        totals: Any,
        data: Batch,
        order: Any,
        n: Any,
        start: Any,
        stop: Any,
        batch_size: int,
        padded: bool,
    ) -> tuple[TrainState, Any]:
        """Take steps ``start`` to ``stop`` of an epoch in one program, gathering each batch on the device."""

        def body(i: Any, carry: Any) -> Any:
            return self.train_step(carry[0], carry[1], pick(data, order, n, i, batch_size, padded))

        return lax.fori_loop(start, stop, body, (state, totals))


def _array(value: Any) -> Any:
    return None if value is None else jnp.asarray(np.asarray(value) if is_numbers(value) else value)


def pick(data: Batch, order: Any, n: Any, i: Any, batch_size: int, padded: bool) -> Batch:
    """Gather batch number ``i``, and note which of its examples are real."""
    index = lax.dynamic_slice(order, (i * batch_size,), (batch_size,))
    valid = i * batch_size + jnp.arange(batch_size) < n if padded else None
    return take(data, index)._replace(valid=valid)


def divided(tree: Any, frozen: frozenset[tuple[str, ...]], path: tuple[str, ...] = ()) -> tuple[Any, Any]:
    """Divide parameters into those that learn and those below a frozen path."""
    if not frozen or not isinstance(tree, dict):
        return tree, {}
    if path in frozen:
        return {}, tree
    learned, fixed = {}, {}
    for name, branch in tree.items():
        moving, still = divided(branch, frozen, (*path, name))
        if not isinstance(moving, dict) or moving:
            learned[name] = moving
        if still:
            fixed[name] = still
    return learned, fixed


def joined(learned: Any, fixed: Any) -> Any:
    """Put divided parameters together again."""
    if not isinstance(learned, dict) or not isinstance(fixed, dict) or not fixed:
        return learned
    both = {**fixed, **learned}
    return {name: joined(learned[name], fixed[name]) if name in learned and name in fixed else both[name] for name in both}
