"""What ``compile`` was told, by output name: losses, their weights, metrics; and how a batch is outcome by them."""

from __future__ import annotations

import dataclasses
import functools
import numbers
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from jkeras import losses, metrics
from jkeras.core.errors import UnknownNameError, nearest, noted
from jkeras.core.masks import lengthened, restricted
from jkeras.core.nest import flatten, get_in, is_numbers, map_nest, resolve
from jkeras.core.shapes import PENALTY
from jkeras.losses.loss import widen
from jkeras.metrics.metric import add_to

_MEAN = metrics.Mean()


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """Losses, weights and metrics of a model, each by output name in the model's own order.

    Attributes:
      outputs: the output names as the model nests them.
      losses: the loss of each output, None for one that is not trained.
      weights: the factor of each loss in the total.
      metrics: (metric, whether sample weights count in it) for each output.
      penalties: the paths of layers whose penalties have names of their own in the logs, by these.
    """

    outputs: Any
    losses: Mapping[str, losses.Loss | None]
    weights: Mapping[str, float]
    metrics: Mapping[str, tuple[tuple[metrics.Metric, bool], ...]]
    penalties: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def names(self) -> list[str]:
        """The output names in the model's order."""
        return flatten(self.outputs)

    @functools.cached_property
    def wanted(self) -> list[str]:
        """The outputs that need targets."""
        return [name for name in self.names if self.losses[name] is not None or self.metrics[name]]

    @property
    def sized(self) -> bool:
        """Whether a metric's totals depend on the shape of an output."""
        return any(metric.sized for chosen in self.metrics.values() for metric, _ in chosen)

    @property
    def mixes_examples(self) -> bool:
        """Whether a loss or metric, being the user's own, may look at a batch as a whole."""
        own = [loss for loss in self.losses.values() if loss is not None and not loss.per_example]
        return bool(own) or not all(metric.per_example for chosen in self.metrics.values() for metric, _ in chosen)

    def log_names(self) -> list[str]:
        """List what a step logs, in the order of ``evaluate``: loss, output losses, then metrics."""
        named = [self._log_name(name, m) for name in self.names for m, _ in self.metrics[name]]
        return [*self._loss_names(), *(sorted(named) if len(self.names) > 1 else named)]

    def better(self, name: str) -> str | None:
        """Return whether ``"min"`` or ``"max"`` of a log is better; None where that is not known."""
        if name in self._loss_names():
            return "min"
        found = [m for output in self.names for m, _ in self.metrics[output] if self._log_name(output, m) == name]
        return metrics.better(found[0]) if found else None

    def _loss_names(self) -> list[str]:
        parts = [f"{name}_loss" for name in self.names if self.losses[name] and self._several_losses]
        return ["loss", *parts, *self.penalties]

    @property
    def _several_losses(self) -> bool:
        return sum(loss is not None for loss in self.losses.values()) > 1

    def _log_name(self, output: str, metric: metrics.Metric) -> str:
        return f"{output}_{metric.name}" if len(self.names) > 1 else metric.name

    def targets(self, y: Any) -> dict[str, Any]:
        """Resolve targets by output name, None where they may be left out; one array may stand for the one output that counts."""
        wanted = self.wanted
        alone = not isinstance(y, (Mapping, list, tuple)) or is_numbers(y)
        if len(wanted) == 1 and len(self.names) > 1 and y is not None and (alone or (len(y) == 1 and not isinstance(y, Mapping))):
            y = {wanted[0]: y if alone else y[0]}
        return resolve(y, self.outputs, "targets", partial=True)

    # -- judging a batch ----------------------------------------------------------------------------------------------

    def losses_of(self, outcome: Outcome, penalty: Any) -> tuple[Any, dict[str, Any]]:
        """Return the weighted total with the penalty, and each output's loss by itself."""
        parts = {}
        for name, loss in self.losses.items():
            if loss is not None:
                where = f" of output {name!r}" if len(self.names) > 1 else ""
                seen = (outcome.logits[name], outcome.activation[name])
                with noted(f"In loss {loss.name!r}{where}."):
                    targets, outputs = outcome.targets[name], outcome.outputs[name]
                    parts[name] = loss.reduced(targets, outputs, outcome.weights[name], outcome.mask_of(name), *seen)
        total = sum((self.weights[name] * value for name, value in parts.items()), penalty)
        return total, parts

    def empty(self, specs: Mapping[str, Any]) -> dict[str, Any]:
        """Make the totals of an epoch that has not begun, for outputs of these specs."""
        kept: dict[str, Any] = {name: _MEAN.init() for name in self._loss_names()}
        for output in self.names:
            for metric, _ in self.metrics[output]:
                kept[self._log_name(output, metric)] = metric.empty(specs.get(output))
        return kept

    def add(
        self, totals: Mapping[str, Any], outcome: Outcome, total: Any, parts: Mapping[str, Any], state: Any
    ) -> dict[str, Any]:
        """Add a batch to an epoch's totals; a loss counts as many times as the batch has examples.

        Args:
          totals: so far.
          outcome: the batch.
          total, parts: its loss, and those of the outputs.
          state: what the layers remember after it, their penalties among it.
        """
        after = dict(totals)
        count = outcome.count()
        values = {"loss": total, **({f"{name}_loss": v for name, v in parts.items()} if self._several_losses else {})}
        values |= {name: get_in(state, path)[PENALTY] for name, path in self.penalties.items()}
        for name, value in values.items():
            after[name] = add_to(totals[name], value, count)
        for output in self.names:
            for metric, weighted in self.metrics[output]:
                name = self._log_name(output, metric)
                weights = outcome.metric_weights(output, weighted)
                with noted(f"In metric {name!r}."):
                    after[name] = metric.update(totals[name], outcome.targets[output], outcome.outputs[output], weights)
        return after

    def results(self, totals: Mapping[str, Any]) -> dict[str, Any]:
        """Turn totals into numbers, by log name, in alphabetical order as Keras logs them."""
        found = {name: _MEAN.result(totals[name]) for name in self._loss_names()}
        for output in self.names:
            for metric, _ in self.metrics[output]:
                name = self._log_name(output, metric)
                found[name] = metric.result(totals[name])
        return {name: found[name] for name in sorted(found)}


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """One batch as the objective sees it, each part by output name.

    Attributes:
      targets, outputs: arrays, outputs in at least float32.
      logits: what went into an output's activation, or None where that is not known.
      activation: that activation, or None.
      masks: which entries of an output are valid, or None for all.
      weights: sample weights, or None.
      valid: ``(batch,)``, False for examples that only fill up a last, smaller batch; None where all are real.
    """

    targets: Mapping[str, Any]
    outputs: Mapping[str, Any]
    logits: Mapping[str, Any]
    activation: Mapping[str, Any]
    masks: Mapping[str, Any]
    weights: Mapping[str, Any]
    valid: Any

    def mask_of(self, name: str) -> Any:
        """Return which entries count, masks and filling taken together."""
        return restricted(self.masks[name], self.valid)

    def count(self) -> Any:
        """Return how many real examples there are, as the one weight of a one-element batch."""
        rows = next(iter(self.outputs.values())).shape[0]
        return jnp.full((1,), rows, jnp.float32) if self.valid is None else jnp.sum(self.valid, keepdims=True).astype(jnp.float32)

    def metric_weights(self, name: str, weighted: bool) -> Any:
        """Return the weight of each entry in a metric; None for 1 throughout."""
        mask = self.mask_of(name)
        given = self.weights[name] if weighted else None
        if mask is None or given is None:
            return given if mask is None else mask.astype(jnp.float32)
        given = given.reshape(given.shape[:1]) if given.ndim > mask.ndim and given.shape[-1] == 1 else given
        ndim = max(given.ndim, mask.ndim)
        return lengthened(given, ndim) * lengthened(mask.astype(jnp.float32), ndim)


def outcome_of(names: Any, y: Any, batch: Any) -> Outcome:
    """Arrange what a model returned beside what it should have returned, each part by output name.

    Args:
      names: the output names as the model nests them.
      y: its outputs in that nest, each ``Masked``.
      batch: targets, weights, and which examples are real.
    """
    parts: dict[str, tuple] = {}

    def arrange(name: str, leaf: Any) -> None:
        if leaf.activation is None:
            parts[name] = (widen(leaf.value), None, None, leaf.mask)
        else:  # half precision is widened before the activation, not after it
            logits = widen(leaf.logits)
            value = leaf.value if logits is leaf.logits else leaf.activation(logits)
            parts[name] = (value, logits, leaf.activation, leaf.mask)

    map_nest(arrange, names, y)
    outputs, logits, activation, masks = ({name: part[i] for name, part in parts.items()} for i in range(4))
    # A loss takes the last axis together, so a mask that reaches it says nothing about what is left; as in Keras it ends.
    masks = {name: None if mask is None or mask.ndim >= outputs[name].ndim else mask for name, mask in masks.items()}
    targets = {name: _filled(target, masks.get(name)) for name, target in batch.y.items()}
    return Outcome(targets, outputs, logits, activation, masks, batch.weight, batch.valid)


def _filled(target: Any, mask: Any) -> Any:
    """Put 0 where a target does not count: a NaN there would come back through the gradient."""
    if mask is None or mask.ndim > target.ndim or target.shape[: mask.ndim] != mask.shape:
        return target
    return jnp.where(lengthened(mask, target.ndim), target, 0)


# -- compile ----------------------------------------------------------------------------------------------------------


def make_objective(
    outputs: Any, loss: Any, loss_weights: Any, metric: Any, weighted_metrics: Any, penalties: Mapping[str, Any] | None = None
) -> Objective:
    """Resolve the arguments of ``compile`` to output names, and refuse what cannot be meant."""
    names = flatten(outputs)
    some = isinstance(loss, Mapping)  # a dictionary may leave out outputs, which are not trained then
    found = {name: losses.get(one) for name, one in resolve(loss, outputs, "loss", broadcast=True, partial=some).items()}
    for name, one in found.items():
        if one is not None and one.reduction == "none":
            raise ValueError(f"loss of output {name!r}: reduction='none' gives no number to train on; use 'sum_over_batch_size'.")
    given = {
        name: _metrics(metric, outputs, "metrics")[name] + _metrics(weighted_metrics, outputs, "weighted_metrics", True)[name]
        for name in names
    }
    counted = {name: _distinct(several) for name, several in given.items()}
    made = Objective(outputs, found, _weights(loss_weights, outputs, found), counted, penalties or {})
    logged = [prefix + name for prefix in ("", "val_") for name in made.log_names()]
    for name in logged:
        if logged.count(name) > 1:
            raise ValueError(f"two numbers would be called {name!r} in the logs; give the metric or the output another name.")
    return made


def _weights(loss_weights: Any, outputs: Any, found: Mapping[str, Any]) -> dict[str, float]:
    if loss_weights is None:
        return dict.fromkeys(found, 1.0)
    resolved = resolve(loss_weights, outputs, "loss_weights", partial=True)
    weights = {}
    for name, value in resolved.items():
        if value is None and found[name] is not None:
            raise ValueError(f"loss_weights: nothing was given for output {name!r}.")
        value = 1.0 if value is None else value
        is_number = isinstance(value, numbers.Real) or getattr(value, "shape", None) == ()
        if isinstance(value, bool) or not is_number:
            raise ValueError(f"loss_weights: output {name!r} needs a number, but got {value!r}.")
        weights[name] = float(value)
    return weights


def _metrics(given: Any, outputs: Any, what: str, weighted: bool = False) -> dict[str, tuple]:
    names = flatten(outputs)
    if given is None:
        return dict.fromkeys(names, ())
    if isinstance(given, str) or not isinstance(given, (list, tuple, Mapping)):
        raise ValueError(f"{what} takes a list or a dictionary by output name, as in {what}=[{given!r}], but got {given!r}.")
    if len(names) == 1 and not isinstance(given, Mapping):
        given = given[0] if len(given) == 1 and isinstance(given[0], (list, tuple)) else given
        return {names[0]: tuple((metrics.get(one), weighted) for one in given)}
    if isinstance(given, Mapping):
        for key in given:
            if key not in names:
                raise UnknownNameError(
                    f"{what}: {key!r} is not an output; they are {', '.join(map(repr, names))}.{nearest(key, names)}"
                )
    resolved = resolve(given, outputs, what, partial=True, lists_are_values=True)
    wanted = {}
    for name, one in resolved.items():
        several = one if isinstance(one, (list, tuple)) else () if one is None else (one,)
        wanted[name] = tuple((metrics.get(m), weighted) for m in several)
    return wanted


def _distinct(chosen: tuple) -> tuple:
    """Number metrics of one output that bear the same name, and set weighted ones apart."""
    used: dict[str, int] = {}
    named = []
    for metric, weighted in chosen:
        name = f"weighted_{metric.name}" if weighted and metric.name in used else metric.name
        used[name] = used.get(name, -1) + 1
        name = f"{name}_{used[name]}" if used[name] else name
        named.append((metric.renamed(name), weighted))
    return tuple(named)
