"""Where deltas act: a layer of the module, and the deltas of all LoRAs for it, stacked by rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lorafusion.errors import WrongBase
from lorafusion.lora import Delta

Layer = nn.Linear | nn.Conv2d


@dataclass(eq=False)
class Site:
    """One layer and the low-rank changes that LoRAs want of it.

    The ranks of all LoRAs stand side by side, R in all, so that a mixture costs one product however
    many LoRAs are in it: delta = up @ diag(scale · gate[owner]) @ down.

    Attributes:
        path: of the layer inside the module.
        layer: linear, or a convolution.
        down: [R, in, *k], float32 on the layer's device.
        up: [out, R, *1].
        scale: [R], alpha / r of the LoRA that each direction belongs to.
        owner: [R], the index of that LoRA.
    """

    path: str
    layer: Layer
    down: Float[Tensor, "r i *k"]
    up: Float[Tensor, "o r *one"]
    scale: Float[Tensor, " r"]
    owner: Int[Tensor, " r"]

    def rank_gates(self, gates: Float[Tensor, "*n l"]) -> Float[Tensor, "*n r"]:
        """Gates per LoRA -> gates per direction, alpha / r included."""
        return gates[..., self.owner] * self.scale

    def beside(self, x: Tensor) -> Site:
        """This site with its matrices where x is and in its dtype; they are moved once and stay.

        Offloaded models move to the accelerator when they are called, after the sites were made.
        """
        if self.down.device != x.device or self.down.dtype != x.dtype:
            self.down, self.up, self.scale = self.down.to(x), self.up.to(x), self.scale.to(x)
            self.owner = self.owner.to(x.device)
        return self

    def delta(self, gates: Float[Tensor, " l"]) -> Float[Tensor, "o i *k"]:
        """The change of the layer's weight for one mixture, in the dtype of `down`."""
        up = self.up.flatten(1) * self.rank_gates(gates.to(self.up))
        return (up @ self.down.flatten(1)).reshape(self.layer.weight.shape)


def sites(
    module: nn.Module,
    parts: Sequence[Mapping[str, Delta]],
    dtype: torch.dtype | None = torch.float32,
) -> list[Site]:
    """Find the layers of `module` that any LoRA changes.

    Args:
        module: a denoiser or a text encoder.
        parts: for each of the L LoRAs, path inside the module -> Delta.
        dtype: of the stacked matrices; None for that of each layer's weight.

    Returns:
        One Site per layer, in the order in which the paths first appear.

    Raises:
        WrongBase: a path that the module does not have, a layer that is neither linear nor an ordinary
            convolution, or a shape that differs.
    """
    paths = dict.fromkeys(path for part in parts for path in part)
    return [_site(module, path, parts, dtype) for path in paths]


def find_layer(module: nn.Module, path: str) -> nn.Module | None:
    """The layer at `path`, or None.

    transformers dropped the level ``text_model`` from CLIPTextModel while files and
    CLIPTextModelWithProjection keep it, so both spellings are tried. A layer that peft has wrapped is
    looked up inside its wrapper.
    """
    for spelling in (path, path.removeprefix("text_model.")):
        try:
            layer = module.get_submodule(spelling)
        except AttributeError:
            continue
        inner = getattr(layer, "base_layer", layer)
        return inner if isinstance(inner, nn.Module) else layer
    return None


def misfit(module: nn.Module, path: str, delta: Delta) -> str:
    """Why `delta` cannot act at `path`, in words; empty when it can."""
    layer = find_layer(module, path)
    if layer is None:
        return "no such module"
    if not isinstance(layer, Layer):
        return f"is a {type(layer).__name__}, not a linear layer or a convolution"
    if isinstance(layer, nn.Conv2d) and layer.groups != 1:
        return f"is a convolution in {layer.groups} groups"
    try:
        delta.fitted(tuple(layer.weight.shape))
    except WrongBase:
        return f"weight is {list(layer.weight.shape)}, the LoRA's change is {list(delta.shape)}"
    return ""


def _site(
    module: nn.Module,
    path: str,
    parts: Sequence[Mapping[str, Delta]],
    dtype: torch.dtype | None,
) -> Site:
    wanted = [(index, part[path]) for index, part in enumerate(parts) if path in part]
    for _, delta in wanted:
        if problem := misfit(module, path, delta):
            raise WrongBase(f"{path}: {problem}")
    layer = find_layer(module, path)
    assert isinstance(layer, Layer), "misfit() has just said so"
    weight = layer.weight
    fitted = [(index, delta.fitted(tuple(weight.shape))) for index, delta in wanted]
    device, kind = weight.device, weight.dtype if dtype is None else dtype
    return Site(
        path,
        layer,
        down=torch.cat([delta.down.to(device, kind) for _, delta in fitted]),
        up=torch.cat([delta.up.to(device, kind) for _, delta in fitted], dim=1),
        scale=torch.cat(
            [torch.full((d.rank,), d.scale, device=device, dtype=kind) for _, d in fitted]
        ),
        owner=torch.cat([torch.full((d.rank,), i, device=device) for i, d in fitted]),
    )
