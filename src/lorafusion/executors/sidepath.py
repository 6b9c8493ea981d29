"""The side path as a formula: what the LoRAs add to a layer's output, in any form of input."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lorafusion.errors import RunError
from lorafusion.executors.site import Site


def side_path(
    site: Site, x: Float[Tensor, "n *rest"], gates: Float[Tensor, "m l"]
) -> Float[Tensor, "n *out"]:
    """What the LoRAs add to the layer's output for input x.

    The plain form, which keeps gradients and serves every kind of layer; `beside` has the fast ones.

    Args:
        site: the layer and its stacked deltas.
        x: [N, ..., in] for linear layers, [N, in, h, w] for convolutions.
        gates: [N, L], or [1, L] for all samples alike.

    Raises:
        RunError: the layer sees another number of samples than there are rows of gates.
    """
    check_samples(site.path, gates.shape[0], x)
    rank_gates = site.rank_gates(gates).to(site.down)
    return along(site.layer, x, site.down.flatten(1), site.up.flatten(1), rank_gates)


def along(
    layer: nn.Module,
    x: Float[Tensor, "n *rest"],
    down: Float[Tensor, "r columns"],
    up: Float[Tensor, "out r"],
    rank_gates: Float[Tensor, "m r"],
) -> Float[Tensor, "n *result"]:
    """up((down x) · gates), as this layer maps: a product, or a convolution and a product."""
    if isinstance(layer, nn.Linear):
        hidden = functional.linear(x, down)
        return functional.linear(hidden * between(rank_gates, hidden.ndim), up)
    assert isinstance(layer, nn.Conv2d), "low rank acts on linear layers and convolutions"
    kernel = down.view(-1, *layer.weight.shape[1:])
    hidden = functional.conv2d(
        _padded(layer, x), kernel, None, layer.stride, _padding(layer), layer.dilation
    )
    return functional.conv2d(hidden * rank_gates[:, :, None, None], up[:, :, None, None])


def check_samples(path: str, rows: int, x: Tensor) -> None:
    """Gates go with samples one by one.

    Raises:
        RunError: the layer sees another number of samples than there are rows of gates.
    """
    if rows not in (1, x.shape[0]):
        raise RunError(
            f"{path}: it was given {x.shape[0]} samples, with gates for {rows}; use executor='fold'"
        )


def between(rank_gates: Float[Tensor, "m r"], ndim: int) -> Tensor:
    """[M, R] -> [M, 1, ..., 1, R]."""
    return rank_gates.reshape(len(rank_gates), *(1,) * (ndim - 2), -1)


def _padded(layer: nn.Conv2d, x: Tensor) -> Tensor:
    if layer.padding_mode == "zeros":
        return x
    return functional.pad(x, layer._reversed_padding_repeated_twice, mode=layer.padding_mode)


def _padding(layer: nn.Conv2d) -> Any:
    return layer.padding if layer.padding_mode == "zeros" else 0
