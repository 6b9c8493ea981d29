"""Spectral shifts: the singular values of the base's weights moved, and nothing else.

Han et al., "SVDiff: Compact Parameter Space for Diffusion Fine-Tuning", ICCV 2023, arXiv:2303.11305, section 3.1:
W0 = U diag(s) V^T becomes U diag(relu(s + d)) V^T, and d is trained. A convolution's kernel
is flattened to [out, in * k].
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lorafusion.lora import LowRank
from lorafusion.training.layers import canonical, frozen, learning
from lorafusion.training.recipe import Recipe


class Shift(nn.Module):
    """One weight's shifts d, as a parametrization of it: with d = 0 the weight is what it was, bit for bit."""

    def __init__(self, weight: Float[Tensor, "o i *k"]) -> None:
        super().__init__()
        left, sizes, right = torch.linalg.svd(
            weight.detach().float().flatten(1), full_matrices=False
        )
        self.left, self.sizes, self.right = left, sizes, right
        self.shift = nn.Parameter(torch.zeros_like(sizes))

    def moved(self) -> Float[Tensor, " n"]:
        """relu(s + d) - s."""
        return (self.sizes + self.shift).clamp(min=0) - self.sizes

    def forward(self, weight: Float[Tensor, "o i *k"]) -> Float[Tensor, "o i *k"]:
        """The shifted weight."""
        change = (self.left * self.moved()) @ self.right
        return weight + change.reshape(weight.shape).to(weight.dtype)

    @torch.no_grad()
    def low(self, shape: torch.Size, most: int, dtype: torch.dtype) -> LowRank | None:
        """The change as a LoRA of the `most` largest shifts, nearest of that rank; None if all are zero."""
        moved = self.moved()
        rows = moved.abs().topk(min(most, int((moved != 0).sum()))).indices.sort().values
        tail = (1,) * (len(shape) - 2)
        up = (self.left * moved)[:, rows].reshape(shape[0], len(rows), *tail).to("cpu", dtype)
        down = self.right[rows].reshape(len(rows), *shape[1:]).to("cpu", dtype)
        return LowRank(down, up, 1.0) if up.any() else None


class Shifts:
    """The shifts of a pipeline's parts.

    Attributes:
        parts: component -> path of a layer -> its shifts, float32, to be trained.
    """

    def __init__(self, pipe: Any, parts: dict[str, dict[str, Shift]], most: int) -> None:
        self._pipe = pipe
        self.parts = parts
        self._most = most

    @property
    def components(self) -> tuple[str, ...]:
        """The components that learn."""
        return tuple(self.parts)

    def parameters(self, component: str) -> dict[str, nn.Parameter]:
        """Name -> what is trained of one component, in an order that does not change."""
        return {path: one.shift for path, one in sorted(self.parts[component].items())}

    def deltas(self, dtype: torch.dtype = torch.float16) -> dict[str, LowRank]:
        """Target path -> what has been learned so far, stored in `dtype`; layers without a shift are left out."""
        found = {
            canonical(component, path): one.low(
                getattr(self._pipe, component).get_submodule(path).weight.shape, self._most, dtype
            )
            for component, layers in self.parts.items()
            for path, one in layers.items()
        }
        return {path: delta for path, delta in found.items() if delta is not None}


@contextmanager
def shifted(pipe: Any, recipe: Recipe) -> Iterator[Shifts]:
    """Put shifts on the spectra of the layers that the recipe names; on exit they are gone.

    Raises:
        WrongBase: a component has none of the layers.
    """
    layers = learning(pipe, recipe)
    with frozen(pipe):
        try:
            parts = {
                name: {path: _put(layer) for path, layer in found.items()}
                for name, found in layers.items()
            }
            yield Shifts(pipe, parts, recipe.rank)
        finally:
            for layer in (layer for found in layers.values() for layer in found.values()):
                if parametrize.is_parametrized(layer, "weight"):
                    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)


def _put(layer: nn.Linear | nn.Conv2d) -> Shift:
    shift = Shift(layer.weight)
    # Without the check: it would compare with a right inverse, which shifts do not have.
    parametrize.register_parametrization(layer, "weight", shift, unsafe=True)
    return shift
