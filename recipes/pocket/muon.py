"""Muon: momentum whose update of every matrix is orthogonalised; Adam for everything else.

Keller Jordan, "Muon: an optimizer for hidden layers in neural networks", 2024.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
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
        rank: int = 0,
        size: int = 1,
    ) -> None:
        """Sort the parameters.

        Args:
            named: parameters with their names; frozen ones are left out.
            rate: learning rate of the orthogonalised updates (their spectral norm).
            adam_rate: learning rate of Adam.
            all_muon: use orthogonalised updates for every matrix, whatever its name.
            rank: this process among those that divide the work.
            size: number of those processes. Each updates some matrices, the first also the rest.
        """
        live = [(name, weight) for name, weight in named if weight.requires_grad]
        chosen = [
            weight.ndim >= 2 and (all_muon or not any(part in name for part in _ADAMS))
            for name, weight in live
        ]
        self.parameters = [w for _, w in live]
        self.rate = rate
        self.adam_rate = adam_rate
        mine = set(
            shares(
                [
                    w.numel() * min(w.flatten(1).shape) if yes else 0
                    for w, yes in zip(self.parameters, chosen, strict=True)
                ],
                size,
            )[rank]
        )
        self._places = [place for place, yes in enumerate(chosen) if yes]
        others = [place for place, yes in enumerate(chosen) if not yes]
        # Momenta are of all matrices: processes share their memory, so that the first can save.
        self.momenta = [torch.zeros_like(self.parameters[place]) for place in self._places]
        self.adam: torch.optim.Adam | None = None
        self.owned = [place for place in self._places if place in mine]
        if others and rank == 0:
            weights = [self.parameters[place] for place in others]
            self.adam = torch.optim.Adam(weights, lr=adam_rate, betas=(0.9, 0.98))
            self.owned = sorted(self.owned + others)

    @torch.no_grad()
    def step(self, factor: float, norm: float | None = None) -> None:
        """Update the owned parameters from their gradients, and clear all gradients.

        Args:
            factor: multiplies both learning rates.
            norm: of the gradients of all parameters; measured here where not given.
        """
        owned = [self.parameters[place] for place in self.owned]
        found = [weight.grad for weight in owned if weight.grad is not None]
        size = nn.utils.get_total_norm(found) if norm is None else torch.tensor(norm)
        nn.utils.clip_grads_with_norm_(owned, 1.0, size)
        groups: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        mine = set(self.owned)
        for place, momentum in zip(self._places, self.momenta, strict=True):
            weight = self.parameters[place]
            if place in mine and weight.grad is not None:
                momentum.mul_(0.95).add_(weight.grad)
                ahead = weight.grad.add(momentum, alpha=0.95).flatten(1)
                groups[tuple(ahead.shape)].append((weight, ahead))
        self._turn(groups, factor)
        if self.adam is not None:
            for group in self.adam.param_groups:
                group["lr"] = self.adam_rate * factor
            self.adam.step()
        for weight in self.parameters:
            weight.grad = None

    def _turn(
        self, groups: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]], factor: float
    ) -> None:
        """Orthogonalise directions, given by shape with their weights, and follow them."""
        # Matrices of one shape are done together, which saves most of the time of small ones.
        for (rows, columns), pairs in groups.items():
            updates = orthogonal(torch.stack([ahead for _, ahead in pairs]))
            rate = self.rate * factor * max(1.0, rows / columns) ** 0.5
            for (weight, _), update in zip(pairs, updates, strict=True):
                weight.add_(update.reshape(weight.shape), alpha=-rate)

    def state(self) -> dict[str, object]:
        """Everything needed to go on later."""
        adam = self.adam.state_dict() if self.adam is not None else None
        return {"momenta": self.momenta, "adam": adam}

    def restore(self, state: dict[str, object]) -> None:
        """Go on from a saved state."""
        self.momenta = cast("list[Tensor]", state["momenta"])
        if self.adam is not None:
            self.adam.load_state_dict(cast("dict[str, Any]", state["adam"]))


def shares(costs: Sequence[int], size: int) -> list[list[int]]:
    """Divide positions among processes so that the sums of their costs are about equal.

    Args:
        costs: of each position.
        size: number of processes.
    Returns:
        For every process the positions it owns.
    """
    owned: list[list[int]] = [[] for _ in range(size)]
    sums = [0] * size
    for place in sorted(range(len(costs)), key=lambda place: -costs[place]):
        least = sums.index(min(sums))
        owned[least].append(place)
        sums[least] += costs[place]
    return owned


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
