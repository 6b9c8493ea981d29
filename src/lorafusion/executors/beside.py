"""One layer with its side path: the layer's own forward stands aside for it while LoRAs are open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lorafusion.executors.forms import LAUNCH, Sizes
from lorafusion.executors.layout import Layout, Picked, with_gates
from lorafusion.executors.mixture import Mixture
from lorafusion.executors.quick import Quick, plain
from lorafusion.executors.same import Turn, recorded
from lorafusion.executors.scratch import Scratch
from lorafusion.executors.sidepath import along, between, check_samples
from lorafusion.executors.site import Site


@dataclass(eq=False)
class Mixed:
    """What the samples of the next call are to be mixed with; shared by all layers.

    Attributes:
        whole: the gates of all samples, or the one row for all alike.
        groups: (first, end, mixture) of samples with the same gates; empty for all alike.
        turn: of these gates.
    """

    whole: Mixture
    groups: Sequence[tuple[int, int, Mixture]] = ()
    turn: Turn = field(default_factory=Turn)


@dataclass(eq=False)
class Beside:
    """A layer's forward with its LoRAs: callable in place of the layer's own.

    Attributes:
        site: the layer and its stacks, in the dtype of its weight.
        mixed: which LoRAs are open, for whom.
        scratch: for weights that stand in for the layer's own.
    """

    site: Site
    mixed: Mixed
    scratch: Scratch
    _stacks: dict[Picked, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        layer = self.site.layer
        self._linear = isinstance(layer, nn.Linear)
        self._quick = Quick(layer) if plain(layer) else None
        self._forward = self._quick or layer.forward
        weight = self.site.weight
        self._sizes = Sizes(weight[0].numel(), weight.shape[0])

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """The layer's output with the open LoRAs in it."""
        x: Tensor = args[0] if args else kwargs["input"]
        mixture, layout = self.mixed.whole, self.site.layout
        if mixture.picked(layout) is None:
            return self._forward(*args, **kwargs)
        check_samples(self.site.path, mixture.rows, x)
        if not self._fast(x):
            out: Tensor = self._forward(*args, **kwargs)
            return out + self._side(x, mixture)
        if mixture.rows == 1:
            return self._alike(x, mixture)
        return self._grouped(x, layout)

    def _fast(self, x: Tensor) -> bool:
        """Whether results may be written over: nobody wants gradients, types and places agree."""
        weight = self.site.weight
        return (
            self._quick is not None
            and weight.dtype == x.dtype
            and weight.device == x.device
            and not torch.is_grad_enabled()
            and not torch.is_autocast_enabled(x.device.type)
        )

    def _alike(self, x: Tensor, mixture: Mixture) -> Tensor:
        picked = mixture.picked(self.site.layout)
        assert picked is not None, "open"
        if self._folds(x) and self._writing(x, mixture, picked.rank) < self._sizes.side(
            self._tokens(x), picked.rank
        ):
            return self._with(x, self._folded(x, mixture))
        return self._added(self._forward(x), x, mixture)

    def _grouped(self, x: Tensor, layout: Layout) -> Tensor:
        """Samples with mixtures of their own, by the cheapest of three exact ways."""
        mixed, sizes, tokens = self.mixed, self._sizes, self._tokens(x) // x.shape[0]
        costs = {"side": 0.0, "fold": 0.0}
        for start, end, mixture in mixed.groups:
            picked = mixture.picked(layout)
            rank = picked.rank if picked else 0
            costs["side"] += sizes.side((end - start) * tokens, rank) if picked else 0.0
            costs["fold"] += LAUNCH + (self._writing(x, mixture, rank) if picked else 0.0)
        whole = mixed.whole.picked(layout)
        assert whole is not None, "open"
        costs["whole"] = sizes.side(x.shape[0] * tokens, whole.rank)
        if not self._folds(x):
            del costs["fold"]
        if not mixed.groups:
            costs = {"whole": 0.0}
        best = min(costs, key=lambda form: costs[form])
        if best == "whole":
            return self._added(self._forward(x), x, mixed.whole)
        if best == "side":
            out: Tensor = self._forward(x)
            for start, end, mixture in mixed.groups:
                if mixture.picked(layout) is not None:
                    self._added(out[start:end], x[start:end], mixture)
            return out
        pieces = [
            self._with(x[start:end], self._folded(x, mixture))
            if mixture.picked(layout) is not None
            else self._forward(x[start:end])
            for start, end, mixture in mixed.groups
        ]
        return torch.cat(pieces)

    def _folds(self, x: Tensor) -> bool:
        """Whether a scratch weight is as exact as the side path: not where it rounds to eight bits."""
        return x.dtype != torch.bfloat16 and self.site.weight.is_contiguous()

    def _tokens(self, x: Tensor) -> int:
        """Vectors that the layer maps."""
        if self._linear:
            return x.numel() // x.shape[-1]
        layer = self.site.layer
        assert isinstance(layer, nn.Conv2d), "linear or a convolution"
        steps = layer.stride[0] * layer.stride[1]
        return x.shape[0] * (x.shape[2] * x.shape[3]) // steps

    def _opened(self, x: Tensor, mixture: Mixture) -> tuple[Tensor, Tensor, Tensor]:
        """[r, columns], [out, r] and the gates [M, r]."""
        layout = self.site.layout
        picked = mixture.picked(layout)
        assert picked is not None, "open"
        site = self.site.beside(x)
        known = self._stacks.get(picked)
        if known is None or known[0].dtype != x.dtype or known[0].device != x.device:
            if len(self._stacks) > 2 * max(len(self.mixed.groups), 4):
                self._stacks.clear()  # what turns no longer need
            known = (picked.of(site.down.flatten(1), 0), picked.of(site.up.flatten(1), 1))
            self._stacks[picked] = known
        return *known, mixture.gates(layout, x)

    def _writing(self, x: Tensor, mixture: Mixture, rank: int) -> float:
        """What it costs to have W0 + delta; nothing where it is still there from the last call."""
        return self._sizes.fold(rank) if self._written(x, mixture) is None else 0.0

    def _written(self, x: Tensor, mixture: Mixture) -> Tensor | None:
        if recorded(x):
            return None
        return self.scratch.found((id(self), id(mixture)), self.site.weight, self.mixed.turn.number)

    def _folded(self, x: Tensor, mixture: Mixture) -> Tensor:
        """W0 + delta, in the scratch."""
        room = self._written(x, mixture)
        if room is None:
            owner, weight = (id(self), id(mixture)), self.site.weight
            down, up, gates = self._opened(x, mixture)
            room = self.scratch.room(owner, weight, keep=not recorded(x))
            up, down = with_gates(up, down, gates[0])
            torch.addmm(weight.flatten(1), up, down, out=room.view(weight.shape[0], -1))
            if not recorded(x):
                self.scratch.written(owner, self.mixed.turn.number)
        return room

    def _with(self, x: Tensor, weight: Tensor) -> Tensor:
        """The layer's output with another weight."""
        assert self._quick is not None, "plain"
        return self._quick.through(x, weight)

    def _added(self, out: Tensor, x: Tensor, mixture: Mixture) -> Tensor:
        """`out` with the side path added to it, written over where it lies in one piece."""
        down, up, gates = self._opened(x, mixture)
        if self._linear and out.is_contiguous():
            hidden = functional.linear(x, down)
            hidden.mul_(between(gates, hidden.ndim))
            out.view(-1, out.shape[-1]).addmm_(hidden.view(-1, hidden.shape[-1]), up.T)
            return out
        if not self._linear and self._pointwise and x.is_contiguous() and out.is_contiguous():
            hidden = torch.matmul(down, x.flatten(2)).mul_(gates[:, :, None])
            out.view(*out.shape[:2], -1).baddbmm_(up.expand(len(out), -1, -1), hidden)
            return out
        return out.add_(self._side(x, mixture))

    @property
    def _pointwise(self) -> bool:
        layer = self.site.layer
        assert isinstance(layer, nn.Conv2d), "linear or a convolution"
        ones = (1, 1)
        return layer.kernel_size == ones and layer.stride == ones and layer.padding == (0, 0)

    def _side(self, x: Tensor, mixture: Mixture) -> Tensor:
        """The side path out of place: for gradients, autocast and layers of others."""
        down, up, gates = self._opened(x, mixture)
        return along(self.site.layer, x, down, up, gates)
