"""Fold: the mixture is written into the weights, and the weights are written back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lorafusion.errors import WrongBase
from lorafusion.executors.call import Call
from lorafusion.executors.site import Site, sites
from lorafusion.lora import Delta


class Fold:
    """W = W0 + sum_l gate_l · delta_l, accumulated in float32 from a pristine copy of W0.

    Costs nothing per step, and one copy of the changed weights. Subtracting what was added would not give
    W0 again in any floating type, so the copy is what goes back.

    Args:
        module: a denoiser or a text encoder.
        parts: for each of the L LoRAs, path inside the module -> Delta.

    Raises:
        WrongBase: a delta that fits no layer, or a weight that is not stored as floating point.
    """

    def __init__(self, module: nn.Module, parts: Sequence[Mapping[str, Delta]]) -> None:
        self._forward = module.forward
        self._sites = sites(module, parts)
        self._gates = torch.zeros(len(parts))
        self._pristine: list[Tensor] = []
        for site in self._sites:
            weight = site.weight
            if not weight.is_floating_point() or weight.is_meta:
                raise WrongBase(
                    f"{site.path}: its weight is {weight.dtype} on {weight.device}, which cannot be "
                    "folded into; use executor='inject'"
                )

    def __enter__(self) -> Fold:
        self._pristine = [site.weight.detach().clone() for site in self._sites]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._restore()
        except KeyboardInterrupt:
            self._restore()  # a second Ctrl-C must not leave half of the weights changed
            raise
        self._pristine = []

    def set(self, gates: Float[Tensor, " l"]) -> None:
        """Fold this mixture; nothing is done when it is folded already."""
        gates = gates.detach().to("cpu", torch.float32)
        if torch.equal(gates, self._gates):
            return
        for site, pristine in zip(self._sites, self._pristine, strict=True):
            _write(site, pristine, gates)
        self._gates = gates

    def predict(self, calls: Sequence[Call], gates: Float[Tensor, "b l"]) -> list[Any]:
        """Fold and run one branch after the other."""
        outputs = []
        for call, row in zip(calls, gates, strict=True):
            self.set(row)
            outputs.append(self._forward(**call.arguments))
        return outputs

    def _restore(self) -> None:
        with torch.no_grad():
            for site, pristine in zip(self._sites, self._pristine, strict=True):
                site.weight.copy_(pristine)


@torch.no_grad()
def _write(site: Site, pristine: Tensor, gates: Float[Tensor, " l"]) -> None:
    weight = site.weight
    weight.copy_(pristine.to(torch.float32) + site.delta(gates, pristine))
