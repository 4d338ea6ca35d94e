"""What ``compile`` was told, by output name: losses, their weights, metrics; and how a batch is judged by them."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jkeras import losses, metrics
from jkeras.core.context import is_masked
from jkeras.core.errors import UnknownNameError, nearest
from jkeras.core.graph import closings
from jkeras.core.layer import Layer
from jkeras.core.resolve import flatten, resolve


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """Losses, weights and metrics of a model, each by output name in the model's own order.

    Attributes:
      outputs: the output names as the model nests them.
      losses: the loss of each output, None for one that is not trained.
      weights: the factor of each loss in the total.
      metrics: (metric, whether sample weights count in it) for each output.
    """

    outputs: Any
    losses: Mapping[str, losses.Loss | None]
    weights: Mapping[str, float]
    metrics: Mapping[str, tuple[tuple[metrics.Metric, bool], ...]]

    @property
    def names(self) -> list[str]:
        """The output names in the model's order."""
        return flatten(self.outputs)

    @property
    def wanted(self) -> list[str]:
        """The outputs that need targets."""
        return [name for name in self.names if self.losses[name] is not None or self.metrics[name]]

    @property
    def couples(self) -> bool:
        """Whether a loss or metric, being the user's own, may look at a batch as a whole."""
        own = [loss for loss in self.losses.values() if loss is not None and not loss.checked]
        return bool(own) or not all(metric.per_example for chosen in self.metrics.values() for metric, _ in chosen)

    def log_names(self) -> list[str]:
        """List what a step logs, in the order of ``evaluate``: loss, output losses, then metrics."""
        parts = [f"{name}_loss" for name in self.names if self.losses[name]] if self._several_losses else []
        named = [self._log_name(name, m) for name in self.names for m, _ in self.metrics[name]]
        return ["loss", *parts, *(sorted(named) if len(self.names) > 1 else named)]

    @property
    def _several_losses(self) -> bool:
        return sum(loss is not None for loss in self.losses.values()) > 1

    def _log_name(self, output: str, metric: metrics.Metric) -> str:
        return f"{output}_{metric.name}" if len(self.names) > 1 else metric.name

    # -- judging a batch ----------------------------------------------------------------------------------------------

    def losses_of(self, judged: Judged, penalty: Any) -> tuple[Any, dict[str, Any]]:
        """Return the weighted total with the penalty, and each output's loss by itself."""
        parts = {}
        for name, loss in self.losses.items():
            if loss is not None:
                where = f" of output {name!r}" if len(self.names) > 1 else ""
                logits = judged.logits[name] if loss.closing is not None and judged.closing[name] is loss.closing else None
                values = loss.values(judged.targets[name], judged.outputs[name], logits, where)
                parts[name] = losses.reduce(values, judged.weights[name], judged.mask_of(name), loss.reduction)
        total = sum((self.weights[name] * value for name, value in parts.items()), penalty)
        return total, parts

    def empty(self) -> dict[str, Any]:
        """Make the totals of an epoch that has not begun."""
        kept = {name: metrics.Mean().init() for name in self.log_names()}
        for output in self.names:
            for metric, _ in self.metrics[output]:
                kept[self._log_name(output, metric)] = metric.init()
        return kept

    def add(self, totals: Mapping[str, Any], judged: Judged, total: Any, parts: Mapping[str, Any]) -> dict[str, Any]:
        """Add a batch to an epoch's totals; a loss counts as many times as the batch has examples."""
        after = dict(totals)
        count = judged.count()
        values = {"loss": total, **({f"{name}_loss": v for name, v in parts.items()} if self._several_losses else {})}
        for name, value in values.items():
            after[name] = metrics.add_to(totals[name], value, count)
        for output in self.names:
            for metric, weighted in self.metrics[output]:
                name = self._log_name(output, metric)
                weights = judged.metric_weights(output, weighted)
                after[name] = metric.update(totals[name], judged.targets[output], judged.outputs[output], weights)
        return after

    def results(self, totals: Mapping[str, Any]) -> dict[str, Any]:
        """Turn totals into numbers, by log name, in alphabetical order as Keras logs them."""
        found = {
            name: metrics.Mean().result(totals[name]) for name in self.log_names() if isinstance(totals[name], metrics.Total)
        }
        for output in self.names:
            for metric, _ in self.metrics[output]:
                name = self._log_name(output, metric)
                found[name] = metric.result(totals[name])
        return {name: found[name] for name in sorted(found)}


@dataclasses.dataclass(frozen=True, eq=False)
class Judged:
    """One batch as the objective sees it, each part by output name.

    Attributes:
      targets, outputs: arrays, outputs in at least float32.
      logits: outputs before their closing activation.
      closing: that activation, or None.
      masks: which entries of an output are valid, or None for all.
      weights: sample weights, or None.
      valid: ``(batch,)``, False for examples that only fill up a last, smaller batch; None where all are real.
    """

    targets: Mapping[str, Any]
    outputs: Mapping[str, Any]
    logits: Mapping[str, Any]
    closing: Mapping[str, Any]
    masks: Mapping[str, Any]
    weights: Mapping[str, Any]
    valid: Any

    def mask_of(self, name: str) -> Any:
        """Return which entries count, masks and filling taken together."""
        mask = self.masks[name]
        if mask is None or self.valid is None:
            return self.valid if mask is None else mask
        return mask & self.valid.reshape(-1, *(1,) * (mask.ndim - 1))

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
        spread = [a.reshape(*a.shape, *(1,) * (ndim - a.ndim)) for a in (given, mask.astype(jnp.float32))]
        return spread[0] * spread[1]


def judge(layer: Layer, y: Any, targets: Mapping, weights: Mapping, valid: Any) -> Judged:
    """Arrange what a model's ``linear`` returned, by name, closing each output."""
    names = jax.tree.leaves(layer.definition.program.output_names)  # as JAX flattens the outputs
    outputs, logits, closing, masks = {}, {}, {}, {}
    for name, leaf, close in zip(names, jax.tree.leaves(y, is_leaf=is_masked), closings(layer), strict=True):
        value, masks[name] = leaf if is_masked(leaf) else (leaf, None)
        logits[name], closing[name] = losses.widen(value), close
        outputs[name] = close(logits[name]) if close else logits[name]
    return Judged(targets, outputs, logits, closing, masks, weights, valid)


# -- compile ----------------------------------------------------------------------------------------------------------


def make_objective(outputs: Any, loss: Any, loss_weights: Any, metric: Any, weighted_metrics: Any) -> Objective:
    """Resolve the arguments of ``compile`` to output names, and refuse what cannot be meant."""
    names = flatten(outputs)
    found = {name: losses.get(one) for name, one in resolve(loss, outputs, "loss", broadcast=True).items()}
    for name, one in found.items():
        if one is not None and one.reduction == "none":
            raise ValueError(f"loss of output {name!r}: reduction='none' gives no number to train on; use 'sum_over_batch_size'.")
    given = {
        name: _metrics(metric, outputs, "metrics")[name] + _metrics(weighted_metrics, outputs, "weighted_metrics", True)[name]
        for name in names
    }
    return Objective(outputs, found, _weights(loss_weights, outputs, found), {n: _distinct(m) for n, m in given.items()})


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
        named.append((dataclasses.replace(metric, name=name), weighted))
    return tuple(named)
