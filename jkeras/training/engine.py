"""Compiled programs of one trainer, and the pace at which they are dispatched.

A program runs any number of steps of an epoch: how many is an argument, not part of the program, so one compilation serves
every stretch of every epoch, and how the steps are divided into dispatches changes no bit of the result.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jkeras.core.compilation import jit_quickly
from jkeras.core.context import Context
from jkeras.core.describe import variables
from jkeras.core.masks import unmask
from jkeras.training.step import Batch, Trainer, TrainState, pick


class Segment(NamedTuple):
    """A stretch of steps that one program can run.

    Attributes:
      data: arrays on the device.
      order: int32, the examples in the order of use, as many as ``steps * batch_size``.
      n: how many of these are real; the others fill up the last batch.
      steps, batch_size: how many steps, of how many examples.
      padded: whether there may be filling.
    """

    data: Batch
    order: jax.Array
    n: Any
    steps: int
    batch_size: int
    padded: bool


class Engine:
    """The compiled programs of a trainer.

    Attributes:
      trainer: the pure functions.
      compilations: how many programs were compiled so far.
      compile_seconds: how long that took.
    """

    def __init__(self, trainer: Trainer):
        self.trainer = trainer
        self.compilations = 0
        self.compile_seconds = 0.0
        self._programs: dict[Any, Callable[..., Any]] = {}
        self._checked: set[Any] = set()
        self.results = self._timed(jit_quickly(trainer.objective.results))
        self.copy = self._timed(jit_quickly(lambda tree: jax.tree.map(jnp.copy, tree)))
        self._bits = self._timed(jit_quickly(trainer.shuffle_bits, static_argnums=(1,)))
        self._empty: Any = None
        self.predict = jax.jit(self._predict)

    def train(self, segment: Segment, like: Any) -> Callable[[Any, int, int], Any]:
        """Return a function ``(carry, start, stop) -> carry`` that trains; carry is (TrainState, totals), and is consumed."""
        return self._stretch("train", self.trainer.train_step, segment, like, donate=True)

    def test(self, segment: Segment, like: Any) -> Callable[[Any, int, int], Any]:
        """Return a function ``(carry, start, stop) -> carry`` that evaluates; carry is (params, state, totals)."""

        def test(params: Any, state: Any, totals: Any, batch: Batch) -> Any:
            totals, state = self.trainer.test_step(params, state, totals, batch)
            return params, state, totals

        return self._stretch("test", test, segment, like, donate=False)

    def check_batch(self, batch: Batch) -> None:
        """Trace the objective on specs of a batch, so that a wrong shape is refused before anything runs."""
        known = _signature(batch)
        if known in self._checked:
            return
        rows = self.trainer.fixed_batch
        specs = jax.tree.map(lambda a: jax.ShapeDtypeStruct((rows or a.shape[0], *a.shape[1:]), a.dtype), batch)
        params, state = variables(self.trainer.layer, self.trainer.input_spec)
        jax.eval_shape(lambda p, s, b: self.trainer.test_step(p, s, self.trainer.objective.empty(), b), params, state, specs)
        self._checked.add(known)

    def order(self, state: TrainState, n: int, total: int) -> jax.Array:
        """Return the order of an epoch, filled up with 0 to ``total``; the same numbers as ``trainer.order``.

        The shuffle bits are sorted on the host, several times as fast as XLA sorts on a CPU: they and the example's number make
        one number of 64 bits, so that equal ones stay in order.
        """
        numbered = np.asarray(self._bits(state, n)).astype(np.uint64) << np.uint64(32) | np.arange(n, dtype=np.uint64)
        order = (np.sort(numbered) & np.uint64(0xFFFFFFFF)).astype(np.int32)
        return jax.device_put(np.pad(order, (0, total - n)))

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Count a function's first call, nearly all of it compilation, as such."""
        called: list[bool] = []

        def call(*args: Any) -> Any:
            if called:
                return function(*args)
            started = time.perf_counter()
            result = jax.block_until_ready(function(*args))
            self.compile_seconds += time.perf_counter() - started
            called.append(True)
            return result

        return call

    def empty(self) -> Any:
        """Return the totals of an epoch that has not begun."""
        if self._empty is None:
            self._empty = jax.device_get(self.trainer.objective.empty())
        return self._empty

    def _predict(self, params: Any, state: Any, x: Any, key: Any, i: Any) -> Any:
        ctx = Context(key=jax.random.fold_in(key, i), frozen=self.trainer.frozen)
        y, state = self.trainer.layer.apply(params, state, x, ctx)
        return unmask(y), state

    def _stretch(self, kind: str, step: Callable[..., Any], segment: Segment, like: Any, donate: bool) -> Callable[..., Any]:
        size, padded = segment.batch_size, segment.padded

        def one(carry: Any, data: Any, order: Any, n: Any, i: Any) -> Any:
            return step(*carry, pick(data, order, n, i, size, padded))

        def many(carry: Any, data: Any, order: Any, n: Any, start: Any, stop: Any) -> Any:
            return jax.lax.fori_loop(start, stop, lambda i, c: one(c, data, order, n, i), carry)

        fixed = (segment.data, segment.order, np.int32(segment.n))
        key = (kind, size, padded, _signature((like, fixed)))
        if key not in self._programs:
            self._programs[key] = self._compile(one, many, (like, *fixed), (0,) if donate else ())
        program = self._programs[key]
        return lambda carry, start, stop: program(carry, *fixed, start, stop)

    def _compile(self, one: Any, many: Any, args: Any, donated: tuple[int, ...]) -> Callable[..., Any]:
        started = time.perf_counter()
        zero = np.int32(0)
        options: Any = {"donate_argnums": donated, "out_shardings": _kept(args[0])}
        traced = jax.jit(many, **options).trace(*args, zero, zero)
        singly = not loops_well(traced.jaxpr.jaxpr)
        if singly:
            traced = jax.jit(one, **options).trace(*args, zero)
        compiled = traced.lower().compile()
        self.compilations += 1
        self.compile_seconds += time.perf_counter() - started

        def run_many(carry: Any, data: Any, order: Any, n: Any, start: int, stop: int) -> Any:
            return compiled(carry, data, order, n, np.int32(start), np.int32(stop))

        def run_singly(carry: Any, data: Any, order: Any, n: Any, start: int, stop: int) -> Any:
            for i in range(start, stop):
                carry = compiled(carry, data, order, n, np.int32(i))
            return carry

        return run_singly if singly else run_many


def _signature(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple((leaf.shape, leaf.dtype, getattr(leaf, "weak_type", False), _laid(leaf)) for leaf in leaves)


def _laid(leaf: Any) -> Any:
    """Return the sharding of an array that is bound to it; others go where the program wants them."""
    return leaf.sharding if getattr(leaf, "committed", False) else None


def _kept(carry: Any) -> Any:
    """Return the shardings that a carry must come back with: its own, where it lies on a mesh; None leaves them to XLA."""
    mesh = next((laid.mesh for laid in map(_laid, jax.tree.leaves(carry)) if isinstance(laid, NamedSharding)), None)
    return None if mesh is None else jax.tree.map(lambda leaf: _laid(leaf) or NamedSharding(mesh, PartitionSpec()), carry)


def loops_well(jaxpr: Any) -> bool:
    """Whether a program may run inside a loop: on a CPU, XLA's convolution is some twenty times slower there."""
    return jax.default_backend() != "cpu" or not _contains(jaxpr, "conv_general_dilated")


def _contains(jaxpr: Any, primitive: str) -> bool:
    return any(
        equation.primitive.name == primitive or any(_contains(inner, primitive) for inner in _inner_jaxprs(equation.params))
        for equation in jaxpr.eqns
    )


def _inner_jaxprs(params: Any) -> Iterator[Any]:
    for value in jax.tree.leaves(list(params.values()), is_leaf=lambda v: hasattr(v, "jaxpr") or hasattr(v, "eqns")):
        inner = getattr(value, "jaxpr", value)
        if hasattr(inner, "eqns"):
            yield inner


class Pace:
    """How many steps go into one dispatch: about a tenth of a second's worth, so that a user can look on and interrupt."""

    SECONDS = 0.1

    def __init__(self, by_batch: bool):
        self._by_batch = by_batch
        self._per_step: float | None = None

    def size(self) -> int:
        """Return how many steps to dispatch next."""
        if self._by_batch or self._per_step is None:
            return 1
        return max(1, min(int(self.SECONDS / max(self._per_step, 1e-7)), 1_000_000))

    def note(self, steps: int, seconds: float) -> None:
        """Learn from how long a dispatch took; the first one of a program says little, the next ones correct it."""
        self._per_step = seconds / steps


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Hold back Ctrl-C until the block is done, so that a step and the taking of its result are never torn apart.

    A second Ctrl-C is not held back.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    pending: list[int] = []

    def hold(number: int, frame: Any) -> None:
        if pending:
            raise KeyboardInterrupt
        pending.append(number)

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if pending:
        raise KeyboardInterrupt


class Live:
    """The state under way. Its arrays are consumed by every dispatch; those that the model holds are not.

    Attributes:
      state: the state after the last finished step.
    """

    def __init__(self, state: TrainState, engine: Engine):
        self._engine = engine
        self._kept = state
        self.state: TrainState = engine.copy(state)

    def keep(self) -> None:
        """Copy the present state, in case a later dispatch dies and takes its arrays along."""
        self._kept = self._engine.copy(self.state)

    def show(self, model: Any) -> None:
        """Let the model hold a copy of the present state."""
        self.keep()
        with shielded():  # the model is never left with some layers of one step and some of another
            model.hold(self._kept)

    def adopt(self, model: Any) -> None:
        """Take over what callbacks have changed in the model."""
        current = model.train_state()
        same = (a is b for a, b in zip(jax.tree.leaves(current), jax.tree.leaves(self._kept), strict=True))
        if not all(same):
            self._kept = current
            self.state = self._engine.copy(current)

    def settle(self, model: Any) -> None:
        """Leave the model with the last whole state, whatever happened."""
        dead = any(leaf.is_deleted() for leaf in jax.tree.leaves(self.state))
        with shielded():
            model.hold(self._kept if dead else self.state)


def bucket(n: int, batch_size: int) -> int:
    """Return the size to which n examples are filled up: a power of two, at most a full batch."""
    return min(batch_size, 1 << (n - 1).bit_length())


def fill_up(tree: Any, size: int) -> Any:
    """Repeat the first example at the end of every array until there are ``size``; a real example keeps numbers finite."""
    return jax.tree.map(lambda a: np.concatenate([a, np.repeat(np.asarray(a[:1]), size - a.shape[0], 0)]), tree)
