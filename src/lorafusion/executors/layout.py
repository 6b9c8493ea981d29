"""Whose directions stand side by side in a layer's stack, and which of them belong to open LoRAs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

Piece = tuple[int, int, float]
"""(index of the LoRA, its rank in this layer, alpha / r)."""


@dataclass(frozen=True, eq=False)
class Picked:
    """The directions of a stack that belong to the open LoRAs.

    Attributes:
        where: their places, a slice when they lie together, so that picking them copies nothing.
        owner: [r], whose each one is.
        scale: [r], alpha / r of that LoRA, float64.
    """

    where: slice | Int[Tensor, " r"]
    owner: Int[Tensor, " r"]
    scale: Float[Tensor, " r"]

    @property
    def rank(self) -> int:
        """Their number r."""
        return self.owner.shape[0]

    def of(self, stack: Tensor, dimension: int) -> Tensor:
        """These directions of a stack that has all of them along `dimension`."""
        if isinstance(self.where, slice):
            start, stop = self.where.start, self.where.stop
            return stack.narrow(dimension, start, stop - start)
        return stack.index_select(dimension, self.where.to(stack.device))


class Layout:
    """The pieces of a stack, in order; one object for all layers that have the same.

    Args:
        pieces: one for each LoRA that changes the layer.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = tuple(pieces)
        self._picked: dict[tuple[int, ...], Picked | None] = {}

    @cached_property
    def owner(self) -> Int[Tensor, " r"]:
        """[R], the index of the LoRA that each direction belongs to."""
        ranks = torch.tensor([rank for _, rank, _ in self.pieces], dtype=torch.long)
        owners = torch.tensor([lora for lora, _, _ in self.pieces], dtype=torch.long)
        return owners.repeat_interleave(ranks)

    @cached_property
    def scale(self) -> Float[Tensor, " r"]:
        """[R], alpha / r of that LoRA, float64."""
        ranks = torch.tensor([rank for _, rank, _ in self.pieces], dtype=torch.long)
        scales = torch.tensor([scale for _, _, scale in self.pieces], dtype=torch.float64)
        return scales.repeat_interleave(ranks)

    @property
    def rank(self) -> int:
        """The number R of all directions."""
        return sum(rank for _, rank, _ in self.pieces)

    def picked(self, open_loras: tuple[int, ...]) -> Picked | None:
        """The directions of these LoRAs; None when none of them changes the layer."""
        mine = tuple(lora for lora, rank, _ in self.pieces if rank and lora in open_loras)
        if mine not in self._picked:
            self._picked[mine] = self._pick(mine) if mine else None
        return self._picked[mine]

    def _pick(self, mine: tuple[int, ...]) -> Picked:
        places = torch.isin(self.owner, torch.tensor(mine)).nonzero()[:, 0]
        first, last = int(places[0]), int(places[-1])
        together = last - first + 1 == len(places)
        where = slice(first, last + 1) if together else places
        return Picked(where, self.owner[places], self.scale[places])


def with_gates(
    up: Float[Tensor, "*n o r"], down: Float[Tensor, "*n r c"], rank_gates: Float[Tensor, " r"]
) -> tuple[Tensor, Tensor]:
    """Both factors of a change with its directions open this far, by way of the smaller: that is less work.

    Returns:
        [*n, o, r] and [*n, r, c], whose product is up @ diag(rank_gates) @ down.
    """
    if up.numel() <= down.numel():
        return up * rank_gates, down
    return up, down * rank_gates.unsqueeze(-1)
