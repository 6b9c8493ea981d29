"""Fold: the mixture is written into weights of its own, which stand in for the model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lorafusion.errors import WrongBase
from lorafusion.executors.base import replaced
from lorafusion.executors.beside import Beside, Mixed
from lorafusion.executors.block import Block, blocks
from lorafusion.executors.call import Call
from lorafusion.executors.mixture import Mixture
from lorafusion.executors.quick import large, quickened
from lorafusion.executors.same import OF_THE_PROMPT, Remember
from lorafusion.executors.scratch import Scratch
from lorafusion.executors.site import Site, sites
from lorafusion.lora import Delta


class Fold:
    """W = W0 + sum_l gate_l · delta_l, accumulated in float32 from the pristine W0.

    Costs nothing per step. W is written beside W0 and the layer is pointed at it, so that W0 itself is
    never written: it goes back bit for bit by pointing at it again, and models that share their
    weights share it. Only layers that an open LoRA changes get a W, and a change of gates writes only
    those that it concerns. Adding the change onto W instead would make pixels depend on what was
    folded before. Large layers that map the prompt do so once for these gates, for which a side path is
    less work than a W, on a processor (decision 19).

    Args:
        module: a denoiser or a text encoder.
        parts: for each of the L LoRAs, path inside the module -> Delta.

    Raises:
        WrongBase: a delta that fits no layer, or a weight that is not stored as floating point.
    """

    def __init__(self, module: nn.Module, parts: Sequence[Mapping[str, Delta]]) -> None:
        self._module, self._forward = module, module.forward
        found = sites(module, parts)
        for site in found:
            weight = site.weight
            if not weight.is_floating_point() or weight.is_meta:
                raise WrongBase(
                    f"{site.path}: its weight is {weight.dtype} on {weight.device}, which cannot be "
                    "folded into; use executor='inject'"
                )
        self._gates = torch.zeros(len(parts))
        self._once = [site for site in found if _maps_once(site)]
        self._sites = [site for site in found if not _maps_once(site)]
        self._blocks: list[Block] = []
        self._mixed = Mixed(Mixture([site.layout for site in self._once]))
        self._stack = ExitStack()

    def __enter__(self) -> Fold:
        self._blocks = blocks(self._sites)
        scratch = Scratch()
        with ExitStack() as stack:
            for site in self._once:
                forward = Remember(Beside(site, self._mixed, scratch), self._mixed.turn)
                stack.enter_context(replaced(site.layer, "forward", forward))
            stack.enter_context(quickened(self._module, {site.layer for site in self._sites}))
            for site in self._sites:
                if site.path.endswith(OF_THE_PROMPT):
                    forward = Remember(site.layer.forward, self._mixed.turn)
                    stack.enter_context(replaced(site.layer, "forward", forward))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        try:
            self._restore()
        except KeyboardInterrupt:
            self._restore()  # a second Ctrl-C must not leave half of the weights changed
            raise
        self._blocks = []

    def set(self, gates: Float[Tensor, " l"]) -> None:
        """Fold this mixture; layers whose LoRAs keep their gates are left as they are."""
        gates = gates.detach().to("cpu", torch.float32)
        changed = set((gates != self._gates).nonzero()[:, 0].tolist())
        if not changed:
            return
        self._mixed.turn.number += 1
        self._mixed.whole.set(gates.unsqueeze(0))
        open_loras = tuple(gates.nonzero()[:, 0].tolist())
        for block in self._blocks:
            if changed & block.loras:
                block.write(gates, open_loras)
        self._gates = gates

    def predict(self, calls: Sequence[Call], gates: Float[Tensor, "b l"]) -> list[Any]:
        """Fold and run one branch after the other."""
        outputs = []
        for call, row in zip(calls, gates, strict=True):
            self.set(row)
            outputs.append(self._forward(**call.arguments))
        return outputs

    def _restore(self) -> None:
        for block in self._blocks:
            block.restore()
        self._gates = torch.zeros_like(self._gates)
        self._mixed.whole.set(self._gates.unsqueeze(0))


def _maps_once(site: Site) -> bool:
    """Whether a side path, once for each prompt, does as well as W and is less work."""
    own = site.name == "weight" and site.path.endswith(OF_THE_PROMPT)
    return own and not site.others and large(site.weight)
