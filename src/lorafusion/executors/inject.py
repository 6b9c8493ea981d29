"""Inject: a stacked low-rank side path beside each layer; the weights stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from lorafusion.errors import BadOption, RunError
from lorafusion.executors.call import Call, prediction, stack, with_prediction
from lorafusion.executors.site import Site, sites
from lorafusion.lora import Delta


class Inject:
    """y = W x + up((down x) · gates), with the ranks of all LoRAs stacked and one gate per sample.

    Because the gates are data, every sample of a batch may have its own mixture: the branches of composite
    run as one batch, and a change of gates is one small copy.

    Args:
        module: a denoiser or a text encoder.
        parts: for each of the L LoRAs, path inside the module -> Delta.

    Raises:
        WrongBase: a delta that fits no layer.
        BadOption: a delta that is not of low rank, which has no side path.
    """

    def __init__(self, module: nn.Module, parts: Sequence[Mapping[str, Delta]]) -> None:
        self._forward = module.forward
        self._sites = sites(module, parts, dtype=None)
        _check_low_rank(self._sites)
        self._gates = torch.zeros(1, len(parts))
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> Inject:
        try:
            for site in self._sites:
                hook = self._side_path(site)
                self._handles.append(site.layer.register_forward_hook(hook, with_kwargs=True))
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def set(self, gates: Float[Tensor, " l"]) -> None:
        """Open the LoRAs this far, for every sample alike."""
        self._gates = gates.detach().unsqueeze(0)

    def predict(self, calls: Sequence[Call], gates: Float[Tensor, "b l"]) -> list[Any]:
        """Run all branches as one batch where the arguments allow it, else one after the other."""
        if len(calls) == 1 or not calls[0].stackable:
            return [self._alone(call, row) for call, row in zip(calls, gates, strict=True)]
        rows = torch.tensor([call.batch for call in calls])
        self._gates = gates.detach().repeat_interleave(rows, dim=0)
        output = self._forward(**stack(calls).arguments)
        parts = prediction(output).split(rows.tolist())
        return [with_prediction(output, part) for part in parts]

    def _alone(self, call: Call, gates: Float[Tensor, " l"]) -> Any:
        self.set(gates)
        return self._forward(**call.arguments)

    def _remove(self) -> None:
        while self._handles:
            self._handles.pop().remove()

    def _side_path(self, site: Site) -> Callable[..., Tensor]:
        def hook(
            _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor
        ) -> Tensor:
            x = args[0] if args else next(iter(kwargs.values()))
            return output + side_path(site.beside(x), x, self._gates)

        return hook


def _check_low_rank(wanted: Sequence[Site]) -> None:
    others = [(site.path, delta) for site in wanted for _, delta in site.others]
    if others:
        path, delta = others[0]
        raise BadOption(
            f"executor 'inject' takes changes of low rank only, and {len(others)} are not, first "
            f"{path}: {delta.kind}; use executor='fold'"
        )


def side_path(
    site: Site, x: Float[Tensor, "n *rest"], gates: Float[Tensor, "m l"]
) -> Float[Tensor, "n *out"]:
    """What the LoRAs add to the layer's output for input x.

    Args:
        site: the layer and its stacked deltas.
        x: [N, ..., in] for linear layers, [N, in, h, w] for convolutions.
        gates: [N, L], or [1, L] for all samples alike.

    Raises:
        RunError: the layer sees another number of samples than there are rows of gates.
    """
    if gates.shape[0] not in (1, x.shape[0]):
        raise RunError(
            f"{site.path}: it was given {x.shape[0]} samples, with gates for {gates.shape[0]}; "
            "use executor='fold'"
        )
    rank_gates = site.rank_gates(gates.to(site.scale))
    if isinstance(site.layer, nn.Linear):
        hidden = functional.linear(x, site.down)
        return functional.linear(hidden * _between(rank_gates, hidden.ndim), site.up)
    layer = site.layer
    assert isinstance(layer, nn.Conv2d), "low rank acts on linear layers and convolutions"
    hidden = functional.conv2d(
        _padded(layer, x), site.down, None, layer.stride, _padding(layer), layer.dilation
    )
    return functional.conv2d(hidden * rank_gates[:, :, None, None], site.up)


def _between(rank_gates: Float[Tensor, "m r"], ndim: int) -> Tensor:
    """[M, R] -> [M, 1, ..., 1, R]."""
    return rank_gates.reshape(len(rank_gates), *(1,) * (ndim - 2), -1)


def _padded(layer: nn.Conv2d, x: Tensor) -> Tensor:
    if layer.padding_mode == "zeros":
        return x
    return functional.pad(x, layer._reversed_padding_repeated_twice, mode=layer.padding_mode)


def _padding(layer: nn.Conv2d) -> Any:
    return layer.padding if layer.padding_mode == "zeros" else 0
