"""Effect: how large the change is that a LoRA makes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.doctor.factors import factors
from lorafusion.errors import WrongBase
from lorafusion.lora import Delta, DoRA, LoRA, Spectral


@dataclass(frozen=True)
class Effect:
    """The sizes of a LoRA's changes, as Frobenius norms at weight 1.

    Attributes:
        layers: target path -> norm.
    """

    layers: Mapping[str, float]

    @property
    def norm(self) -> float:
        """Of all changes together: the root of the sum of their squares."""
        return math.hypot(*self.layers.values())

    def parts(self) -> dict[str, float]:
        """Pipeline component -> norm of all changes in it, sorted by component."""
        names = sorted({path.partition(".")[0] for path in self.layers})
        return {name: math.hypot(*self._of(name)) for name in names}

    def strongest(self, count: int = 5) -> list[tuple[str, float]]:
        """The targets that change most, largest first."""
        return sorted(self.layers.items(), key=lambda item: (-item[1], item[0]))[:count]

    def _of(self, component: str) -> list[float]:
        prefix = component + "."
        return [norm for path, norm in self.layers.items() if path.startswith(prefix)]


def effect(lora: LoRA, weights: Mapping[str, Float[Tensor, "..."]] | None = None) -> Effect:
    """The norms of a LoRA's changes, in low rank.

    Args:
        lora: to be measured.
        weights: target path -> base weight. Only DoRA needs it: without it, its change is measured
            before its lengths are set, and is only part of what it does.
    """
    known = weights or {}
    return Effect({path: _norm(delta, known.get(path)) for path, delta in lora.deltas.items()})


def _norm(delta: Delta, weight: Float[Tensor, "..."] | None) -> float:
    if weight is None or not isinstance(delta, DoRA | Spectral):
        return factors(delta).norm()
    return float(delta.fitted(tuple(weight.shape)).dense_on(weight, torch.float64).norm())


def relative(sizes: Effect, weights: Mapping[str, Float[Tensor, "..."]]) -> float:
    """The norm of all changes over the norm of the weights that they change.

    Args:
        sizes: of one LoRA.
        weights: target path -> base weight, of every target.

    Raises:
        WrongBase: a target has no weight, or all weights are zero.
    """
    missing = [path for path in sizes.layers if path not in weights]
    if missing:
        raise WrongBase(f"{missing[0]}: the base model has no such weight ({len(missing)} missing)")
    base = math.hypot(*(float(weights[path].double().norm()) for path in sizes.layers))
    if not base:
        raise WrongBase("the base model's weights are all zero; there is nothing to compare with")
    return sizes.norm / base
