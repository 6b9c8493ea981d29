"""Chance: what a step draws depends on the seed and the step alone, so that a killed run goes on alike."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor


def generator(*numbers: int) -> torch.Generator:
    """A generator on the CPU, seeded by several numbers such as (seed, purpose, step)."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1)[0])
    return torch.Generator().manual_seed(seed)


def order(seed: int, first: int, count: int, length: int) -> Int[Tensor, " c"]:
    """Positions `first` and following of an endless order: each of `length` once, anew mixed, and so on.

    Args:
        seed: of the mixing.
        first: how many were drawn before.
        count: how many to draw.
        length: of what is drawn from.
    """
    rounds = range(first // length, (first + count - 1) // length + 1)
    mixed = [torch.randperm(length, generator=generator(seed, 1, number)) for number in rounds]
    start = first - rounds[0] * length
    return torch.cat(mixed)[start : start + count]
