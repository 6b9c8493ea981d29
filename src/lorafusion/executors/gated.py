"""Gates per block, found while the block runs: MoLE's forward, beside whichever executor is open."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lorafusion.errors import WrongBase
from lorafusion.executors.base import Executor, replaced
from lorafusion.gating import LearnedGates

Watch = Callable[[str, Tensor], None]
"""``watch(path, weights)``: is told the weights [B, N] of a block each time they are found."""


@contextmanager
def gated(
    module: nn.Module,
    executor: Executor,
    learned: LearnedGates,
    names: Sequence[str],
    gates: Float[Tensor, " l"],
    watch: Watch | None = None,
) -> Iterator[None]:
    """Let each gated block return F(x) + sum_l G_l E_l(x) for as long as the `with` block lasts.

    F is the block without LoRAs and E_l what LoRA l alone, open at its gate, changes of F: where the paper
    writes E for the block made of the LoRA's weights only, which for a difference of weights is this.
    So a block runs L + 1 times. Layers outside of gated blocks have the gates' mean share, gate / L.

    Args:
        module: the denoiser.
        executor: of it, already entered; its gates are moved while a block runs.
        learned: the gates; LoRAs that it knows and that are not there, or closed, are masked.
        names: of the L LoRAs that the executor holds.
        gates: [L], how far each is open at most.
        watch: is told every block's weights, for training and for charts.

    Raises:
        WrongBase: the module has no such block.
    """
    count = max(int((gates != 0).sum()), 1)
    outside = gates / count
    executor.set(outside)
    with ExitStack() as stack:
        for path in learned.blocks:
            try:
                block = module.get_submodule(path)
            except AttributeError:
                raise WrongBase(
                    f"the gates are for a block {path!r}, which this {type(module).__name__} has not; use the "
                    "base model that they were trained on"
                ) from None
            run = _Block(block.forward, executor, learned, path, tuple(names), gates, watch)
            stack.enter_context(replaced(block, "forward", run.forward(outside)))
        yield


class _Block:
    """One gated block."""

    def __init__(
        self,
        original: Callable[..., Any],
        executor: Executor,
        learned: LearnedGates,
        path: str,
        names: tuple[str, ...],
        gates: Tensor,
        watch: Watch | None,
    ) -> None:
        self._original = original
        self._executor = executor
        self._learned = learned
        self._path = path
        self._places = [names.index(n) if n in names else None for n in learned.names]
        self._gates = gates
        self._watch = watch

    def forward(self, outside: Tensor) -> Callable[..., Any]:
        """What stands in for the block's own forward."""

        @functools.wraps(self._original)
        def forward(*args: Any, **kwargs: Any) -> Any:
            try:
                return self._mixed(args, kwargs)
            finally:
                self._executor.set(outside)

        return forward

    def _mixed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        plain = self._run(torch.zeros_like(self._gates), args, kwargs)
        whole = plain if isinstance(plain, tuple) else (plain,)
        effects = [self._effect(place, whole, args, kwargs) for place in self._places]
        allowed = torch.tensor([p is not None and bool(self._gates[p] != 0) for p in self._places])
        first = torch.stack([effect[0] for effect in effects])
        weights = self._learned.weights(self._path, first, allowed)
        if self._watch is not None:
            self._watch(self._path, weights)
        mixed = tuple(
            part + sum(_beside(weights[:, i], part) * effects[i][k] for i in range(len(effects)))
            for k, part in enumerate(whole)
        )
        return mixed if isinstance(plain, tuple) else mixed[0]

    def _effect(
        self, place: int | None, plain: tuple[Tensor, ...], args: Any, kwargs: Any
    ) -> tuple[Tensor, ...]:
        if place is None or self._gates[place] == 0:
            return tuple(torch.zeros_like(part) for part in plain)
        alone = torch.zeros_like(self._gates)
        alone[place] = self._gates[place]
        found = self._run(alone, args, kwargs)
        parts = found if isinstance(found, tuple) else (found,)
        return tuple(part - base for part, base in zip(parts, plain, strict=True))

    def _run(self, gates: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._executor.set(gates)
        return self._original(*args, **kwargs)


def _beside(weight: Float[Tensor, " b"], part: Tensor) -> Tensor:
    return weight.reshape(-1, *(1,) * (part.ndim - 1)).to(part)
