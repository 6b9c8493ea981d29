"""Mixture: which LoRAs are open how far, for a whole model in one buffer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lorafusion.executors.layout import Layout, Picked


@dataclass(frozen=True, eq=False)
class _Opening:
    """One set of open LoRAs: where the gates of each layout stand in the buffer."""

    owner: Int[Tensor, " c"]
    scale: Float[Tensor, " c"]
    spans: dict[Layout, tuple[Picked, int, int]]


class Mixture:
    """The gates of all layers, alpha / r included, side by side: new weights are one copy.

    Where the same LoRAs stay open, the buffer on a device keeps its address, so that captured graphs
    see the new weights.

    Args:
        layouts: those of the model's layers.
    """

    def __init__(self, layouts: Sequence[Layout]) -> None:
        self._layouts = tuple(dict.fromkeys(layouts))
        self._openings: dict[tuple[int, ...], _Opening] = {}
        self._copies: dict[tuple[torch.device, torch.dtype], Tensor] = {}
        self.open_loras: tuple[int, ...] = ()
        self._opening = self._opened(())
        self._gates = torch.zeros(1, 0, dtype=torch.float64)

    def set(self, gates: Float[Tensor, "m l"]) -> None:
        """Open the LoRAs this far.

        Args:
            gates: one row for each sample, or a single one for all alike.
        """
        gates = gates.detach().to("cpu", torch.float64)
        columns = zip(*gates.tolist(), strict=True)
        self.open_loras = tuple(index for index, column in enumerate(columns) if any(column))
        self._opening = self._opened(self.open_loras)
        self._gates = gates.index_select(1, self._opening.owner) * self._opening.scale
        kept = {key: t for key, t in self._copies.items() if t.shape == self._gates.shape}
        for buffer in kept.values():
            buffer.copy_(self._gates)
        self._copies = kept

    @property
    def rows(self) -> int:
        """The number M of samples that have gates of their own; 1 for all alike."""
        return self._gates.shape[0]

    def picked(self, layout: Layout) -> Picked | None:
        """The open directions of a stack; None when all are closed."""
        span = self._opening.spans.get(layout)
        return span[0] if span else None

    def gates(self, layout: Layout, like: Tensor) -> Float[Tensor, "m r"]:
        """The gates of these directions, where `like` is and in its dtype."""
        key = (like.device, like.dtype)
        if key not in self._copies:
            self._copies[key] = self._gates.to(*key)
        _, start, stop = self._opening.spans[layout]
        return self._copies[key][:, start:stop]

    def _opened(self, open_loras: tuple[int, ...]) -> _Opening:
        if open_loras not in self._openings:
            self._openings[open_loras] = _opening(self._layouts, open_loras)
        return self._openings[open_loras]


def _opening(layouts: Sequence[Layout], open_loras: tuple[int, ...]) -> _Opening:
    spans: dict[Layout, tuple[Picked, int, int]] = {}
    owners = [torch.empty(0, dtype=torch.long)]
    scales = [torch.empty(0, dtype=torch.float64)]
    place = 0
    for layout in layouts:
        picked = layout.picked(open_loras)
        if picked is not None:
            spans[layout] = (picked, place, place + picked.rank)
            owners.append(picked.owner)
            scales.append(picked.scale)
            place += picked.rank
    return _Opening(torch.cat(owners), torch.cat(scales), spans)
