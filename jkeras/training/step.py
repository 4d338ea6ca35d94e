"""Pure training: a state that is one pytree, a step, an epoch. ``fit`` is a loop around these.

    trainer.init(key)               -> TrainState
    trainer.step(state, batch)      -> (TrainState, logs)
    trainer.epoch(state, data)      -> (TrainState, logs)
    trainer.evaluate(state, data)   -> logs

``batch`` and ``data`` are ``(x, y)`` or ``(x, y, sample_weight)`` in any form that ``fit`` takes. All are plain functions of
pytrees: ``jax.vmap`` over ``init`` and ``epoch`` trains an ensemble in one program.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from jkeras import constraints, regularizers
from jkeras.core import variables
from jkeras.core.context import Context
from jkeras.core.layer import PENALTY, Layer
from jkeras.core.resolve import resolve
from jkeras.training.objective import Objective, judge

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
    """Arrays by name: inputs, targets, sample weights (None for none)."""

    x: Mapping[str, Any]
    y: Mapping[str, Any]
    weight: Mapping[str, Any]


def take(data: Any, index: jax.Array) -> Any:
    """Pick examples; every index is in range."""
    return jax.tree.map(lambda a: a.at[index].get(mode="promise_in_bounds"), data)


@dataclasses.dataclass(frozen=True, eq=False)
class Trainer:
    """A model's pure training functions.

    Attributes:
      layer: the model.
      objective: losses and metrics.
      optimizer: an Optax transformation.
      input_spec: what the model's inputs look like.
      frozen: paths of the layers that do not learn.
    """

    layer: Layer
    objective: Objective
    optimizer: Any
    input_spec: Any
    frozen: frozenset[tuple[str, ...]] = frozenset()

    @property
    def program(self) -> Any:
        """The model's steps."""
        return self.layer.definition.program

    @property
    def output_specs(self) -> dict[str, Any]:
        """The spec of each output by name."""
        return resolve(self.layer.definition.infer(self.input_spec), self.program.output_names, "outputs")  # type: ignore[misc]

    @property
    def fixed_batch(self) -> int | None:
        """The batch size that the model's inputs fix, or None."""
        sizes = {leaf.shape[0] for leaf in jax.tree.leaves(self.input_spec) if isinstance(leaf.shape[0], int)}
        return min(sizes, default=None)

    def couples(self, training: bool) -> bool:
        """Whether an example's part may depend on the rest of its batch, so that batches must not be filled up."""
        return self.objective.couples or self.layer.definition.couples in (("training", "always") if training else ("always",))

    # -- public, pure -------------------------------------------------------------------------------------------------

    def init(self, key: jax.Array) -> TrainState:
        """Make new parameters from a key, and the state in which training starts from them."""
        params, state = self.layer.init(key, self.input_spec)
        return self.start(params, state, key)

    def start(self, params: Any, state: Any, key: jax.Array) -> TrainState:
        """Make the state in which training starts from given parameters."""
        return TrainState(params, state, self.optimizer.init(self._split(params)[0]), key, jnp.zeros((), jnp.int32))

    def step(self, state: TrainState, batch: Any) -> tuple[TrainState, dict[str, Any]]:
        """Take one optimizer step; the logs are those of this batch."""
        state, totals = self.advance(state, self.objective.empty(), self.named(batch), None)
        return state, self.objective.results(totals)

    def epoch(
        self, state: TrainState, data: Any, batch_size: int = 32, shuffle: bool = True
    ) -> tuple[TrainState, dict[str, Any]]:
        """Take one step per batch over all data; the logs are means over the epoch.

        Args:
          state: where to start.
          data: all examples; they are shuffled by ``state``'s key and step.
          batch_size: examples per step. A last, smaller batch is filled up where that changes nothing, and its own step else.
          shuffle: whether the order is drawn anew, or stays as it is.
        """
        data = self.named(data)
        n = jax.tree.leaves(data)[0].shape[0]
        order = self.order(state, n) if shuffle else jnp.arange(n)
        full, rest = divmod(n, batch_size)
        totals = self.objective.empty()
        if rest and not self.couples(training=True):
            order = jnp.pad(order, (0, batch_size - rest))
            return self._finish(self.loop(state, totals, data, order, jnp.int32(n), 0, full + 1, batch_size, True))
        state, totals = self.loop(state, totals, data, order, jnp.int32(n), 0, full, batch_size, False)
        if rest:
            state, totals = self.advance(state, totals, take(data, order[full * batch_size :]), None)
        return self._finish((state, totals))

    def evaluate(self, state: TrainState, data: Any) -> dict[str, Any]:
        """Judge the model on all data at once, without training it."""
        data = self.named(data)
        totals, _ = self.judge_batch(state.params, state.state, self.objective.empty(), data, None)
        return self.objective.results(totals)

    def _finish(self, pair: tuple[TrainState, Any]) -> tuple[TrainState, dict[str, Any]]:
        return pair[0], self.objective.results(pair[1])

    # -- what fit compiles --------------------------------------------------------------------------------------------

    def named(self, batch: Any) -> Batch:
        """Resolve ``(x, y)`` or ``(x, y, sample_weight)`` to names."""
        if isinstance(batch, Batch):
            return batch
        x, y, weight = (*batch, None)[:3] if isinstance(batch, (tuple, list)) else (batch, None, None)
        inputs = resolve(x, self.layer.definition.program.input_names, "inputs")
        outputs, wanted = self.objective.outputs, self.objective.wanted
        targets = resolve(y, outputs, "targets", partial=True)
        weights = resolve(weight, outputs, "sample_weight", partial=True, broadcast=True)
        for name in wanted:
            if targets[name] is None:
                raise ValueError(f"targets: nothing was given for output {name!r}, which has a loss or a metric.")
        return jax.tree.map(jnp.asarray, Batch(inputs, {n: targets[n] for n in wanted}, weights))

    def lots(self, state: TrainState, n: int) -> jax.Array:
        """Draw a lot ``(n,)`` uint32 for each example, for an epoch that begins at this state."""
        return jax.random.bits(jax.random.fold_in(jax.random.fold_in(state.key, _SHUFFLE), state.step), (n,))

    def order(self, state: TrainState, n: int) -> jax.Array:
        """Return the examples ``(n,)`` in the order of their lots.

        One sort; ``jax.random.permutation`` takes several in case two lots are equal. Here such a pair, rare below a hundred
        thousand examples, keeps its order.
        """
        return jnp.argsort(self.lots(state, n), stable=True).astype(jnp.int32)

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
            batch, valid = pick(data, order, n, i, batch_size, padded)
            state, totals = carry
            return self.advance(state, totals, batch, valid)

        return lax.fori_loop(start, stop, body, (state, totals))

    def advance(self, state: TrainState, totals: Any, batch: Batch, valid: Any) -> tuple[TrainState, Any]:
        """Take one step and add the batch to the totals."""
        learned, fixed = self._split(state.params)
        key = jax.random.fold_in(state.key, state.step)

        def objective(learned: Any) -> Any:
            params = _join(learned, fixed)
            return self._judge(params, state.state, totals, batch, valid, Context(True, key, frozen=self.frozen))

        (_, (totals, inner)), grads = jax.value_and_grad(objective, has_aux=True)(learned)
        updates, opt_state = self.optimizer.update(grads, state.opt_state, learned)
        learned = self._constrain(optax.apply_updates(learned, updates))
        after = TrainState(_join(learned, fixed), inner, opt_state, state.key, state.step + 1)
        return after, totals

    def judge_batch(self, params: Any, state: Any, totals: Any, batch: Batch, valid: Any) -> tuple[Any, Any]:
        """Add a batch to the totals without training."""
        # The key is for layers that were called with training=True; it is the same in every batch of every evaluation.
        return self._judge(params, state, totals, batch, valid, Context(key=jax.random.key(0), frozen=self.frozen))[1]

    def _judge(self, params: Any, state: Any, totals: Any, batch: Batch, valid: Any, ctx: Context) -> Any:
        """Return the loss that is minimised, and beside it the new totals and the layers' new state."""
        linear: Any = self.layer.definition.linear  # models have one
        y, state = self.layer.run(linear, params, state, batch.x, ctx)
        judged = judge(self.layer, y, batch.y, batch.weight, valid)
        total, parts = self.objective.losses_of(judged, self._penalty(params) + _left_in(state))
        return total, (self.objective.add(totals, judged, total, parts), state)

    # -- weights that learn, penalties, constraints -------------------------------------------------------------------

    def _split(self, params: Any) -> tuple[Any, Any]:
        """Divide parameters into those that learn and those that do not."""
        fixed = variables.nest((path, variables.get_in(params, path)) for path in self.frozen)
        for path in self.frozen:
            params = variables.set_in(params, path, {})
        return params, fixed

    def _penalty(self, params: Any) -> Any:
        total = jnp.zeros((), jnp.float32)
        for path, penalty in self._rules("_regularizer", regularizers.get):
            total = total + penalty(variables.get_in(params, path))
        return total

    def _constrain(self, learned: Any) -> Any:
        for path, project in self._rules("_constraint", constraints.get):
            learned = variables.set_in(learned, path, project(variables.get_in(learned, path)))
        return learned

    def _rules(self, suffix: str, get: Callable[[Any], Any]) -> list[tuple[tuple[str, ...], Any]]:
        """List (path of a weight, function) for every layer argument such as ``kernel_regularizer``."""
        rules = []
        for path, leaf in self.layer.owned:
            for argument, value in leaf.config.items():
                if (
                    argument.endswith(suffix)
                    and value is not None
                    and path not in self.frozen
                    and argument != "activity" + suffix
                ):
                    for weight in _weights_called(leaf, argument.removesuffix(suffix)):
                        rules.append(((*path, *weight), get(value)))
        return rules


def _weights_called(leaf: Layer, word: str) -> list[tuple[str, ...]]:
    """List a layer's weights that an argument names: ``recurrent`` means ``recurrent_kernel``."""
    return [path for path in leaf.held.order[0] if path[-1] in (word, f"{word}_kernel")]


def pick(data: Batch, order: Any, n: Any, i: Any, batch_size: int, padded: bool) -> tuple[Batch, Any]:
    """Gather batch number ``i``, and say which of its examples are real."""
    index = lax.dynamic_slice(order, (i * batch_size,), (batch_size,))
    valid = i * batch_size + jnp.arange(batch_size) < n if padded else None
    return take(data, index), valid


def _join(learned: Any, fixed: Any) -> Any:
    """Put divided parameters together again."""
    if not isinstance(learned, dict) or not isinstance(fixed, dict):
        return learned
    both = {**fixed, **learned}
    return {name: _join(learned[name], fixed[name]) if name in learned and name in fixed else both[name] for name in both}


def _left_in(state: Any) -> Any:
    """Add up the penalties that layers left in their state."""
    total = jnp.zeros((), jnp.float32)
    for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]:
        if getattr(path[-1], "key", None) == PENALTY:
            total = total + leaf
    return total
