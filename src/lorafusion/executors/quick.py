"""Quick: a large layer's own mapping on a processor, by the quickest of the exact ways that torch has for it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeGuard

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lorafusion.executors.base import replaced
from lorafusion.executors.filtered import filtered, filters
from lorafusion.executors.same import Same, recorded

LARGE = 320
"""Inputs and outputs of a layer, at least: below, calling costs more than is won."""
FEW = 64
"""Places of all images together up to which a 3x3 convolution is quickest as one product."""
SMALL = 16
"""Places of one image up to which a 1x1 convolution is quickest as one product."""
LEAST = 3 * 10**8
"""Multiply-adds from which filtering pays."""
KEPT = 1 << 26
"""Bytes that filtering may keep for a layer: reading more than that takes what was won."""


def plain(layer: nn.Module) -> TypeGuard[nn.Linear | nn.Conv2d]:
    """Whether the layer is what its type says: subclasses and what others have wrapped know more of their forward."""
    return (
        type(layer) in (nn.Linear, nn.Conv2d)
        and "forward" not in vars(layer)
        and getattr(layer, "padding_mode", "zeros") == "zeros"
    )


def large(weight: Tensor) -> bool:
    """Whether this weight is one that `Quick` knows more than torch about."""
    return (
        weight.dtype == torch.float32
        and weight.device.type == "cpu"
        and min(weight.shape[:2]) >= LARGE
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


class Quick:
    """A plain layer's forward, callable in its place.

    Torch's own choice is slow for some sizes: its BLAS where oneDNN is there too, convolutions of images of a few
    places, and three multiplications where a 3x3 convolution needs two (`filtered`).

    Args:
        layer: a `plain` one.
        lasting: whether its weight stays what it is, so that something may be made of it once and kept.
    """

    def __init__(self, layer: nn.Linear | nn.Conv2d, *, lasting: bool = True) -> None:
        self._layer = layer
        self._lasting = lasting
        self._own = layer.forward
        self._same = Same()

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """The layer's output."""
        if len(args) != 1 or kwargs:
            return self._own(*args, **kwargs)
        return self.through(args[0], self._layer.weight)

    def through(self, x: Tensor, weight: Tensor) -> Tensor:
        """The layer's output with this weight in place of its own."""
        layer = self._layer
        if isinstance(layer, nn.Linear):
            mapped = _product if _served(x, weight) else functional.linear
            return mapped(x, weight, layer.bias)
        if _served(x, weight):
            quickly = self._convolved(layer, x, weight)
            if quickly is not None:
                return quickly
        return functional.conv2d(
            x, weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups
        )

    def _convolved(self, layer: nn.Conv2d, x: Tensor, weight: Tensor) -> Tensor | None:
        """The convolution where there is a quicker way than torch's."""
        if x.ndim != 4 or not x.numel() or not x.is_contiguous():
            return None  # one image alone, none, or one in another order, which is kept
        if (layer.stride, layer.dilation, layer.groups) != ((1, 1), (1, 1), 1):
            return None
        places = x.shape[2] * x.shape[3]
        if (layer.kernel_size, layer.padding) == ((1, 1), (0, 0)) and places <= SMALL:
            return _at_once(x, x.flatten(2).transpose(1, 2), weight, layer.bias)
        if (layer.kernel_size, layer.padding) != ((3, 3), (1, 1)):
            return None
        if len(x) * places <= FEW:
            return _at_once(x, functional.unfold(x, 3, padding=1).mT, weight, layer.bias)
        if self._lasting and weight is layer.weight and _filtering_pays(x, weight):
            made = self._same.of("filters", (weight,), lambda: filters(weight))
            return filtered(x, made, layer.bias)
        return None


@contextmanager
def quickened(module: nn.Module, written: Collection[nn.Module] = ()) -> Iterator[None]:
    """Let every plain and large layer of the module go the quickest way for a while.

    Args:
        module: a denoiser or a text encoder.
        written: layers whose weights may be written meanwhile.
    """
    with ExitStack() as stack:
        for layer in module.modules():
            if plain(layer) and large(layer.weight):
                forward = Quick(layer, lasting=layer not in written)
                stack.enter_context(replaced(layer, "forward", forward))
        yield


def _filtering_pays(x: Tensor, weight: Tensor) -> bool:
    work = x.numel() // x.shape[1] * weight.numel()
    return x.shape[2] % 2 == 0 and work >= LEAST and weight.nbytes * 4 // 3 <= KEPT


def _served(x: Tensor, weight: Tensor) -> bool:
    """Whether nothing is asked for but numbers: no gradients, no other type, no compiled code."""
    return (
        large(weight)
        and x.dtype == weight.dtype
        and x.device == weight.device
        and not torch.is_grad_enabled()
        and not torch.is_inference_mode_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not recorded(x)
    )


def _product(
    x: Float[Tensor, "*n i"], weight: Float[Tensor, "o i"], bias: Float[Tensor, " o"] | None
) -> Float[Tensor, "*n o"]:
    """A linear layer by oneDNN: the operator that torch's own compiler calls."""
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


def _at_once(
    x: Float[Tensor, "n i h w"],
    seen: Float[Tensor, "n p c"],
    weight: Float[Tensor, "o i kh kw"],
    bias: Float[Tensor, " o"] | None,
) -> Float[Tensor, "n o h w"]:
    """A convolution as one product of what each place sees."""
    out = _product(seen.flatten(0, 1), weight.flatten(1), bias)
    return out.view(len(x), -1, len(weight)).mT.contiguous().unflatten(2, x.shape[2:])
