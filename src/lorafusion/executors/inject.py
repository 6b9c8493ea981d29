"""Inject: a stacked low-rank side path beside each layer; the weights stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lorafusion.errors import BadOption
from lorafusion.executors.base import replaced
from lorafusion.executors.beside import Beside, Mixed
from lorafusion.executors.call import Call, prediction, stack, with_prediction
from lorafusion.executors.mixture import Mixture
from lorafusion.executors.quick import quickened
from lorafusion.executors.same import OF_THE_PROMPT, Remember, Same
from lorafusion.executors.scratch import Scratch
from lorafusion.executors.site import Site, sites
from lorafusion.lora import Delta


class Inject:
    """y = W x + up((down x) · gates), with the ranks of all LoRAs stacked and one gate per sample.

    Because the gates are data, every sample of a batch may have its own mixture: the branches of composite
    run as one batch, and a change of gates is one small copy. A layer that sees many tokens of one
    mixture forms W + delta in a scratch weight instead, which is the same numbers for less work.

    Args:
        module: a denoiser or a text encoder.
        parts: for each of the L LoRAs, path inside the module -> Delta.

    Raises:
        WrongBase: a delta that fits no layer.
        BadOption: a delta that is not of low rank, which has no side path.
    """

    def __init__(self, module: nn.Module, parts: Sequence[Mapping[str, Delta]]) -> None:
        self._module, self._forward = module, module.forward
        self._sites = sites(module, parts, dtype=None)
        check_low_rank(self._sites)
        self._layouts = [site.layout for site in self._sites]
        self._mixed = Mixed(Mixture(self._layouts))
        self._mixtures: list[Mixture] = []
        self._given: tuple[tuple[int, ...], Tensor] | None = None
        self._same = Same()
        self._most: int | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Inject:
        scratch = Scratch()
        with ExitStack() as stack:
            for site in self._sites:
                forward: Callable[..., Tensor] = Beside(site, self._mixed, scratch)
                if site.path.endswith(OF_THE_PROMPT):
                    forward = Remember(forward, self._mixed.turn)
                stack.enter_context(replaced(site.layer, "forward", forward))
            stack.enter_context(quickened(self._module))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        self._same = Same()

    def set(self, gates: Float[Tensor, " l"]) -> None:
        """Open the LoRAs this far, for every sample alike."""
        if self._as_before((), gates):
            return
        self._mixed.groups = ()
        self._mixed.whole.set(gates.unsqueeze(0))

    def predict(self, calls: Sequence[Call], gates: Float[Tensor, "b l"]) -> list[Any]:
        """Run all branches as one batch, or as few batches as the memory and the arguments allow."""
        outputs: list[Any] = []
        most = 1 if len(calls) > 1 and not calls[0].stackable else self._most or len(calls)
        while len(outputs) < len(calls):
            chunk = slice(len(outputs), len(outputs) + most)
            try:
                outputs += self._together(calls[chunk], gates[chunk])
            except torch.OutOfMemoryError:
                if most == 1:
                    raise
                self._most = most = (min(most, len(calls)) + 1) // 2
        return outputs

    def _together(self, calls: Sequence[Call], gates: Float[Tensor, "b l"]) -> list[Any]:
        if len(calls) == 1:
            self.set(gates[0])
            return [self._forward(**calls[0].arguments)]
        samples = [call.batch for call in calls]
        self._open_each(samples, gates)
        output = self._forward(**stack(calls, self._same).arguments)
        pieces = prediction(output).split(samples)
        return [with_prediction(output, piece) for piece in pieces]

    def _open_each(self, samples: Sequence[int], gates: Float[Tensor, "b l"]) -> None:
        """Branch b with gates[b], for its own samples."""
        if self._as_before(samples, gates):
            return
        while len(self._mixtures) < len(samples):
            self._mixtures.append(Mixture(self._layouts))
        groups, start = [], 0
        for count, row, mixture in zip(samples, gates, self._mixtures, strict=False):
            mixture.set(row.unsqueeze(0))
            groups.append((start, start + count, mixture))
            start += count
        self._mixed.whole.set(gates.repeat_interleave(torch.tensor(samples), dim=0))
        self._mixed.groups = groups

    def _as_before(self, samples: Sequence[int], gates: Tensor) -> bool:
        """Whether these gates are open for these samples already; if not, they are from now on."""
        now = gates.detach().to("cpu", torch.float64, copy=True)
        given, before = (tuple(samples), now), self._given
        if before and before[0] == given[0] and torch.equal(before[1], given[1]):
            return True
        self._given = given
        self._mixed.turn.number += 1
        return False


def check_low_rank(wanted: Sequence[Site]) -> None:
    """Side paths take changes of low rank.

    Raises:
        BadOption: another kind is among them.
    """
    others = [(site.path, delta) for site in wanted for _, delta in site.others]
    if others:
        path, delta = others[0]
        raise BadOption(
            f"executor 'inject' takes changes of low rank only, and {len(others)} are not, first "
            f"{path}: {delta.kind}; use executor='fold'"
        )
