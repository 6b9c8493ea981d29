"""Reference: float64, dense, one branch and one sample after the other. Slow; the judge of the others."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lorafusion.executors.base import replaced
from lorafusion.executors.call import SAMPLES, Call, prediction, with_prediction
from lorafusion.executors.site import sites
from lorafusion.lora import Delta


class Reference:
    """A float64 copy of the module, with W0 + sum_l gate_l · delta_l formed in full.

    Args:
        module: a denoiser or a text encoder; it is never changed, its copy is.
        parts: for each of the L LoRAs, path inside the module -> Delta.

    Raises:
        WrongBase: a delta that fits no layer.
    """

    def __init__(self, module: nn.Module, parts: Sequence[Mapping[str, Delta]]) -> None:
        self._module = module
        self._forward = module.forward
        self._copy = copy.deepcopy(module).double()
        self._sites = sites(self._copy, parts, torch.float64)
        self._pristine = [site.weight.detach().clone() for site in self._sites]
        self._stack = ExitStack()

    def __enter__(self) -> Reference:
        @functools.wraps(self._forward)
        def forward(*args: Any, **kwargs: Any) -> Any:
            return self._run(args, kwargs)

        self._stack.enter_context(replaced(self._module, "forward", forward))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def set(self, gates: Float[Tensor, " l"]) -> None:
        """Form the weights of this mixture, in float64."""
        with torch.no_grad():
            for site, pristine in zip(self._sites, self._pristine, strict=True):
                site.weight.copy_(pristine + site.delta(gates, pristine))

    def predict(self, calls: Sequence[Call], gates: Float[Tensor, "b l"]) -> list[Any]:
        """One branch after the other, each sample alone."""
        outputs = []
        for call, row in zip(calls, gates, strict=True):
            self.set(row)
            outputs.append(self._sample_by_sample(call))
        return outputs

    def _sample_by_sample(self, call: Call) -> Any:
        dtype = next(self._module.parameters()).dtype
        wide = call.to(torch.float64)
        outputs = [
            self._copy.forward(**wide.rows(index, index + 1).arguments)
            for index in range(call.batch)
        ]
        together = torch.cat([prediction(output) for output in outputs])
        return with_prediction(outputs[0], together.to(dtype))

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A plain call of the module: a denoiser sample by sample, a text encoder as it comes."""
        if set(SAMPLES) & inspect.signature(self._forward).parameters.keys():
            return self._sample_by_sample(Call.of(self._forward, args, kwargs))
        output = self._copy.forward(*args, **kwargs)
        dtype = next(self._module.parameters()).dtype
        for key, value in output.items():
            output[key] = _narrow(value, dtype)
        return output


def _narrow(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, tuple):
        return tuple(_narrow(item, dtype) for item in value)
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.to(dtype)
    return value
