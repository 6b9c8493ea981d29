"""Scratch: room for weights that stand in for a layer's own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

KEPT = 1 << 28
"""Bytes of weights that a module keeps from one call to the next."""
Owner = tuple[int, int]


@dataclass
class _Own:
    """The room of one owner, and the turn of the gates that its weight is for."""

    room: Tensor
    turn: int | None = None


class Scratch:
    """Weights that stand in for layers' own: kept while the gates stay, as far as the budget goes.

    What goes beyond it shares one room, the largest that was asked for, and lasts for one call.

    Args:
        budget: bytes that are kept.
    """

    def __init__(self, budget: int = KEPT) -> None:
        self._left = budget
        self._own: dict[Owner, _Own] = {}
        self._shared: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def found(self, owner: Owner, weight: Tensor, turn: int) -> Tensor | None:
        """What the owner has written for this turn, if it is there still.

        Args:
            owner: a layer, with one of its mixtures.
            weight: the layer's own.
            turn: of the gates.
        """
        own = self._own.get(owner)
        return own.room if own and own.turn == turn and _alike(own.room, weight) else None

    def room(self, owner: Owner, weight: Tensor, *, keep: bool = True) -> Tensor:
        """Room of this weight's shape, with whatever is in it.

        Args:
            owner: who asks.
            weight: the layer's own.
            keep: whether it may be a room of its own.
        """
        own = self._own.get(owner)
        if keep and own is None and weight.nbytes <= self._left:
            self._left -= weight.nbytes
            own = self._own[owner] = _Own(torch.empty_like(weight))
        if keep and own is not None:
            own.turn = None
            if not _alike(own.room, weight):  # the model was moved
                own.room = torch.empty_like(weight)
            return own.room
        key = (weight.device, weight.dtype)
        if key not in self._shared or self._shared[key].numel() < weight.numel():
            self._shared[key] = weight.new_empty(weight.numel())
        return self._shared[key][: weight.numel()].view(weight.shape)

    def written(self, owner: Owner, turn: int) -> None:
        """The room of this owner, where it has one, holds its weight for this turn."""
        if own := self._own.get(owner):
            own.turn = turn


def _alike(room: Tensor, weight: Tensor) -> bool:
    return room.device == weight.device and room.dtype == weight.dtype
