"""Which shapes of a weight are the same matrix."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lorafusion.errors import WrongBase


def core(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without trailing kernel sizes of one."""
    return shape[:2] if all(size == 1 for size in shape[2:]) else shape


def check(seen: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Refuse a shape that differs by more than trailing kernel sizes of one.

    Raises:
        WrongBase: with both shapes.
    """
    if core(seen) != core(wanted):
        raise _misfit(seen, wanted)


def check_flat(seen: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Refuse a shape that differs as matrices [out, in · kernel], for factors that hide the kernel.

    Raises:
        WrongBase: with both shapes.
    """
    if (seen[0], math.prod(seen[1:])) != (wanted[0], math.prod(wanted[1:])):
        raise _misfit(seen, wanted)


def wide(tensor: Tensor) -> Tensor:
    """The tensor in float32, or float64 where it has that: what products of factors are formed in."""
    return tensor if tensor.dtype == torch.float64 else tensor.to(torch.float32)


def _misfit(seen: tuple[int, ...], wanted: tuple[int, ...]) -> WrongBase:
    return WrongBase(f"delta of shape {list(seen)} for a weight of shape {list(wanted)}")
