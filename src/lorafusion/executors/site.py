"""Where deltas act: a weight or bias of the module, and what all LoRAs want of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lorafusion.errors import WrongBase
from lorafusion.lora import Delta, Dense, LowRank, dense_on

Layer = nn.Linear | nn.Conv2d


@dataclass(eq=False)
class Site:
    """One weight or bias, and the changes that LoRAs want of it.

    The ranks of all LoRAs stand side by side, R in all, so that a mixture costs one product however
    many LoRAs are in it: delta = up @ diag(scale · gate[owner]) @ down. What is not of low rank is kept
    as it is in `others` and added to that.

    Attributes:
        path: of the layer inside the module, or that and ``.bias``.
        layer: linear, or a convolution; for full differences also a norm.
        down: [R, in, *k], float32 on the layer's device.
        up: [out, R, *1].
        scale: [R], alpha / r of the LoRA that each direction belongs to.
        owner: [R], the index of that LoRA.
        others: (index of the LoRA, change) of those that are not of low rank.
        name: which parameter of the layer, "weight" or "bias".
    """

    path: str
    layer: nn.Module
    down: Float[Tensor, "r i *k"]
    up: Float[Tensor, "o r *one"]
    scale: Float[Tensor, " r"]
    owner: Int[Tensor, " r"]
    others: Sequence[tuple[int, Delta]] = ()
    name: str = "weight"

    @property
    def weight(self) -> Tensor:
        """The parameter itself."""
        weight = getattr(self.layer, self.name)
        assert isinstance(weight, Tensor), "misfit() has said so"
        return weight

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

    def delta(
        self, gates: Float[Tensor, " l"], pristine: Float[Tensor, "*shape"] | None = None
    ) -> Float[Tensor, "*shape"]:
        """The change of the weight for one mixture, in the dtype of `down`.

        Args:
            gates: one for each LoRA.
            pristine: W0, where it is not what the layer holds now; DoRA's change depends on it.
        """
        weight = self.weight
        gates = gates.to(self.up)
        up = self.up.flatten(1) * self.rank_gates(gates)
        change = (up @ self.down.flatten(1)).reshape(weight.shape)
        base = weight.detach() if pristine is None else pristine
        for index, other in self.others:
            if gates[index] != 0:
                change = change + gates[index] * dense_on(other, base, change.dtype)
        return change


def sites(
    module: nn.Module,
    parts: Sequence[Mapping[str, Delta]],
    dtype: torch.dtype | None = torch.float32,
) -> list[Site]:
    """Find the weights and biases of `module` that any LoRA changes.

    Args:
        module: a denoiser or a text encoder.
        parts: for each of the L LoRAs, path inside the module -> Delta.
        dtype: of the stacked matrices; None for that of each layer's weight.

    Returns:
        One Site per weight or bias, in the order in which the paths first appear.

    Raises:
        WrongBase: a path that the module does not have, a layer that is neither linear nor an ordinary
            convolution (nor a norm, for a full difference), or a shape that differs.
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


def find_parameter(module: nn.Module, path: str) -> tuple[nn.Module | None, str]:
    """The layer at `path` and which parameter of it is meant: "bias" where the path ends in it."""
    parent, _, last = path.rpartition(".")
    return (
        (find_layer(module, parent), "bias")
        if last == "bias"
        else (find_layer(module, path), "weight")
    )


def misfit(module: nn.Module, path: str, delta: Delta) -> str:
    """Why `delta` cannot act at `path`, in words; empty when it can."""
    layer, name = find_parameter(module, path)
    if layer is None:
        return "no such module"
    weight = getattr(layer, name, None)
    if not isinstance(weight, nn.Parameter):
        return f"is a {type(layer).__name__} without {name}"
    # A full difference of one dimension is of a norm or a bias; all else is of a matrix.
    if not (isinstance(delta, Dense) and weight.ndim == 1) and not isinstance(layer, Layer):
        return f"is a {type(layer).__name__}, not a linear layer or a convolution"
    if isinstance(layer, nn.Conv2d) and layer.groups != 1:
        return f"is a convolution in {layer.groups} groups"
    try:
        delta.fitted(tuple(weight.shape))
    except WrongBase:
        return f"{name} is {list(weight.shape)}, the LoRA's change is {list(delta.shape)}"
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
    layer, name = find_parameter(module, path)
    assert layer is not None, "misfit() has just said so"
    weight = getattr(layer, name)
    fitted = [(index, delta.fitted(tuple(weight.shape))) for index, delta in wanted]
    low = [(index, delta) for index, delta in fitted if isinstance(delta, LowRank)]
    others = [(index, delta) for index, delta in fitted if not isinstance(delta, LowRank)]
    device, kind = weight.device, weight.dtype if dtype is None else dtype
    out, *rest = weight.shape if weight.ndim > 1 else (*weight.shape, 1)
    # An empty piece gives the stack its shape where nothing is of low rank.
    downs = [torch.empty(0, *rest, device=device, dtype=kind)]
    ups = [torch.empty(out, 0, *(1,) * (len(rest) - 1), device=device, dtype=kind)]
    scales = [torch.full((d.rank,), d.scale, device=device, dtype=kind) for _, d in low]
    owners = [torch.full((d.rank,), i, device=device) for i, d in low]
    return Site(
        path,
        layer,
        down=torch.cat(downs + [delta.down.to(device, kind) for _, delta in low]),
        up=torch.cat(ups + [delta.up.to(device, kind) for _, delta in low], dim=1),
        scale=torch.cat([torch.empty(0, device=device, dtype=kind), *scales]),
        owner=torch.cat([torch.empty(0, device=device, dtype=torch.long), *owners]),
        others=others,
        name=name,
    )
