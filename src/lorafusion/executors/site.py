"""Where deltas act: a weight or bias of the module, and what all LoRAs want of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lorafusion.errors import WrongBase
from lorafusion.executors.layout import Layout, Piece
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
        down: [R, in, *k], on the layer's device.
        up: [out, R, *1].
        layout: whose each of the R directions is.
        others: (index of the LoRA, change) of those that are not of low rank.
        name: which parameter of the layer, "weight" or "bias".
    """

    path: str
    layer: nn.Module
    down: Float[Tensor, "r i *k"]
    up: Float[Tensor, "o r *one"]
    layout: Layout
    others: Sequence[tuple[int, Delta]] = ()
    name: str = "weight"

    @property
    def weight(self) -> Tensor:
        """The parameter itself."""
        weight = getattr(self.layer, self.name)
        assert isinstance(weight, Tensor), "misfit() has said so"
        return weight

    def rank_gates(self, gates: Float[Tensor, "*n l"]) -> Float[Tensor, "*n r"]:
        """Gates per LoRA -> gates per direction, alpha / r included, where `gates` are."""
        layout = self.layout
        return gates[..., layout.owner.to(gates.device)] * layout.scale.to(gates)

    def beside(self, x: Tensor) -> Site:
        """This site with its matrices where x is and in its dtype; they are moved once and stay.

        Offloaded models move to the accelerator when they are called, after the sites were made.
        """
        if self.down.device != x.device or self.down.dtype != x.dtype:
            self.down, self.up = self.down.to(x), self.up.to(x)
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
    layouts: dict[tuple[Piece, ...], Layout] = {}
    return [_site(module, path, parts, dtype, layouts) for path in paths]


def find_layer(module: nn.Module, path: str) -> nn.Module | None:
    """The layer at `path`, or None.

    transformers dropped the level ``text_model`` from CLIPTextModel while files and
    CLIPTextModelWithProjection keep it, so both spellings are tried. A layer that peft has wrapped is
    looked up inside its wrapper.
    """
    for spelling in (path, path.removeprefix("text_model.")):
        layer = _descended(module, spelling)
        if layer is None:
            continue
        inner = getattr(layer, "base_layer", layer)
        return inner if isinstance(inner, nn.Module) else layer
    return None


def _descended(module: nn.Module, path: str) -> nn.Module | None:
    """`get_submodule`, without the price of its messages."""
    at: nn.Module | None = module
    for name in path.split("."):
        if at is None:
            return None
        at = at._modules.get(name)
    return at


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
    return _misfit(*find_parameter(module, path), delta)


def _misfit(layer: nn.Module | None, name: str, delta: Delta) -> str:
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
    layouts: dict[tuple[Piece, ...], Layout],
) -> Site:
    wanted = [(index, part[path]) for index, part in enumerate(parts) if path in part]
    layer, name = find_parameter(module, path)
    for _, delta in wanted:
        if problem := _misfit(layer, name, delta):
            raise WrongBase(f"{path}: {problem}")
    assert layer is not None, "_misfit() has just said so"
    weight = getattr(layer, name)
    fitted = [(index, delta.fitted(tuple(weight.shape))) for index, delta in wanted]
    low = [(index, delta) for index, delta in fitted if isinstance(delta, LowRank)]
    others = [(index, delta) for index, delta in fitted if not isinstance(delta, LowRank)]
    pieces = tuple((index, delta.rank, float(delta.scale)) for index, delta in low)
    layout = layouts.setdefault(pieces, Layout(pieces))
    down, up = _stacked([delta for _, delta in low], weight, layout.rank, dtype)
    return Site(path, layer, down, up, layout, others, name)


def _stacked(
    deltas: Sequence[LowRank], weight: Tensor, rank: int, dtype: torch.dtype | None
) -> tuple[Tensor, Tensor]:
    """[R, in, *k] and [out, R, *1], each number converted and put in its place in one pass."""
    kind = weight.dtype if dtype is None else dtype
    # Sequentially offloaded weights have no device yet; the stacks follow them when they are called.
    device = torch.device("cpu") if weight.is_meta else weight.device
    out, *rest = weight.shape if weight.ndim > 1 else (*weight.shape, 1)
    down = torch.empty(rank, *rest, device=device, dtype=kind)
    up = torch.empty(out, rank, *(1,) * (len(rest) - 1), device=device, dtype=kind)
    place = 0
    for delta in deltas:
        down.narrow(0, place, delta.rank).copy_(delta.down)
        up.narrow(1, place, delta.rank).copy_(delta.up)
        place += delta.rank
    return down, up
