"""Rewriting: one LoRA made of several, target by target, and the plan that opens it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from lorafusion.errors import BadOption, WrongBase
from lorafusion.lora import (
    SOURCES,
    Delta,
    Dense,
    DoRA,
    Free,
    LoRA,
    LowRank,
    Spectral,
    sources_text,
    truncated,
)
from lorafusion.plan import Plan


@dataclass(frozen=True, eq=False)
class Part:
    """What one LoRA wants of one target.

    Attributes:
        index: of the LoRA.
        name: of the LoRA.
        weight: its share in the result.
        delta: of the shape of the other parts.
    """

    index: int
    name: str
    weight: float
    delta: Free

    @property
    def low(self) -> LowRank:
        """The same change in low rank, exact but for rounding."""
        return self.delta if isinstance(self.delta, LowRank) else truncated(self.delta)[0]


Change = Callable[[str, Sequence[Part]], Delta]
"""``change(target, parts)``: the one change that stands for all parts, in the order of the LoRAs."""


def rewritten(
    method: str,
    loras: Sequence[LoRA],
    weights: Sequence[float],
    steps: int,
    change: Change,
    metadata: Mapping[str, str] | None = None,
) -> Plan:
    """A plan with one LoRA, fully open in every step, that a method made of several.

    Biases and norms have no directions to tell apart; their changes are added.

    Args:
        method: its name, for the LoRA's own.
        loras: what it is made of.
        weights: the share of each.
        steps: denoising steps S.
        change: makes one delta of those of a weight.
        metadata: what else the result should say of itself.

    Raises:
        BadOption: a DoRA, which is another change on every weight.
        WrongBase: LoRAs that want weights of different shapes at one target.
    """
    if not loras:
        return Plan.of((), torch.zeros(steps, 1, 0))
    deltas: dict[str, Delta] = {}
    for target in dict.fromkeys(target for lora in loras for target in lora.deltas):
        parts = _parts(target, loras, weights)
        deltas[target] = change(target, parts) if len(parts[0].delta.shape) > 1 else _sum(parts)
    families = {lora.family for lora in loras}
    made = LoRA(
        f"{method} of {', '.join(lora.name for lora in loras)}",
        deltas,
        family=families.pop() if len(families) == 1 else "unknown",
        triggers=tuple(dict.fromkeys(word for lora in loras for word in lora.triggers)),
        metadata={SOURCES: sources_text(loras, weights), **(metadata or {})},
    )
    return Plan.of((made,), torch.ones(steps, 1, 1))


def free(lora: LoRA, target: str) -> Free:
    """What the LoRA does at this target, whatever the base's weight there.

    Raises:
        BadOption: it is a DoRA or a spectral shift.
    """
    delta = lora.deltas[target]
    if isinstance(delta, DoRA | Spectral):
        raise BadOption(
            f"LoRA {lora.name!r} has a {delta.kind} at {target}, which is another change on every weight "
            "and cannot be rewritten; leave it out, or use merge, switch or composite"
        )
    return delta


def _parts(target: str, loras: Sequence[LoRA], weights: Sequence[float]) -> list[Part]:
    parts: list[Part] = []
    for index, (lora, weight) in enumerate(zip(loras, weights, strict=True)):
        delta = lora.deltas.get(target)
        if delta is not None:
            shape = parts[0].delta.shape if parts else delta.shape
            try:
                fitted = free(lora, target).fitted(shape)
                parts.append(Part(index, lora.name, weight, fitted))
            except WrongBase as error:
                raise WrongBase(f"LoRA {lora.name!r} at {target}: {error}") from None
    return parts


def _sum(parts: Sequence[Part]) -> Dense:
    return Dense(torch.stack([part.weight * part.delta.dense() for part in parts]).sum(0))
