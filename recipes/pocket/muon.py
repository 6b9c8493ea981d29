"""Muon: momentum whose update of every matrix is orthogonalised; Adam for everything else.

Keller Jordan, "Muon: an optimizer for hidden layers in neural networks", 2024.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

_ADAMS = ("embed", "conv_in", "conv_out", "time_")


class Muon:
    """One optimiser over the named parameters of several modules.

    Matrices and convolutions get orthogonalised momentum, except those whose name says that they
    are embeddings or the first or last convolution; those and all vectors get Adam.
    """

    def __init__(
        self,
        named: Iterable[tuple[str, Tensor]],
        rate: float,
        adam_rate: float,
        all_muon: bool = False,
    ) -> None:
        """Sort the parameters.

        Args:
            named: parameters with their names; frozen ones are left out.
            rate: learning rate of the orthogonalised updates (their spectral norm).
            adam_rate: learning rate of Adam.
            all_muon: use orthogonalised updates for every matrix, whatever its name.
        """
        live = [(name, weight) for name, weight in named if weight.requires_grad]
        chosen = [
            weight.ndim >= 2 and (all_muon or not any(part in name for part in _ADAMS))
            for name, weight in live
        ]
        self.matrices = [w for (_, w), yes in zip(live, chosen, strict=True) if yes]
        others = [w for (_, w), yes in zip(live, chosen, strict=True) if not yes]
        self.rate = rate
        self.adam_rate = adam_rate
        self.momenta = [torch.zeros_like(w) for w in self.matrices]
        self.adam = torch.optim.Adam(others, lr=adam_rate, betas=(0.9, 0.98)) if others else None
        self.parameters = [w for _, w in live]

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """Update all parameters from their gradients and clear those.

        Args:
            factor: multiplies both learning rates.
        """
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        groups: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for weight, momentum in zip(self.matrices, self.momenta, strict=True):
            if weight.grad is not None:
                momentum.mul_(0.95).add_(weight.grad)
                ahead = weight.grad.add(momentum, alpha=0.95).flatten(1)
                groups[tuple(ahead.shape)].append((weight, ahead))
        # Matrices of one shape are done together, which saves most of the time of small ones.
        for (rows, columns), pairs in groups.items():
            updates = orthogonal(torch.stack([ahead for _, ahead in pairs]))
            rate = self.rate * factor * max(1.0, rows / columns) ** 0.5
            for (weight, _), update in zip(pairs, updates, strict=True):
                weight.add_(update.reshape(weight.shape), alpha=-rate)
        if self.adam is not None:
            for group in self.adam.param_groups:
                group["lr"] = self.adam_rate * factor
            self.adam.step()
        for weight in self.parameters:
            weight.grad = None

    def state(self) -> dict[str, object]:
        """Everything needed to go on later."""
        adam = self.adam.state_dict() if self.adam is not None else None
        return {"momenta": self.momenta, "adam": adam}

    def restore(self, state: dict[str, object]) -> None:
        """Go on from a saved state."""
        self.momenta = cast("list[Tensor]", state["momenta"])
        if self.adam is not None:
            self.adam.load_state_dict(cast("dict[str, Any]", state["adam"]))


def orthogonal(matrices: Tensor, steps: int = 4) -> Tensor:
    """Move all singular values of matrices towards one, by a quintic Newton-Schulz iteration.

    Args:
        matrices: [..., rows, columns].
        steps: iterations.
    Returns:
        [..., rows, columns].
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    wide = matrices.shape[-2] <= matrices.shape[-1]
    # Half precision is enough: the iteration corrects its own rounding.
    x = (matrices if wide else matrices.mT).bfloat16()
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x if wide else x.mT).to(matrices.dtype)
