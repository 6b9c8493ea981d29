"""Where deltas act: a weight or bias of the module, and what all LoRAs want of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lorafusion.errors import WrongBase
from lorafusion.executors.layout import Layout, Piece
from lorafusion.executors.room import Kind, Room
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
    wanted = [_wanted(module, path, parts, layouts) for path in paths]
    kinds = [_kind(each.weight, dtype) for each in wanted]
    room = Room(
        (kind, shape) for each, kind in zip(wanted, kinds, strict=True) for shape in each.shapes
    )
    return [each.site(room, kind) for each, kind in zip(wanted, kinds, strict=True)]


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
    found = _fitted(*find_parameter(module, path), delta)
    return found if isinstance(found, str) else ""


def _fitted(layer: nn.Module | None, name: str, delta: Delta) -> Delta | str:
    """The change in the form of the layer's parameter, or why it has none, in words."""
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
        return delta.fitted(tuple(weight.shape))
    except WrongBase:
        return f"{name} is {list(weight.shape)}, the LoRA's change is {list(delta.shape)}"


@dataclass(frozen=True)
class _Wanted:
    """A site before its stacks are made."""

    path: str
    layer: nn.Module
    name: str
    weight: Tensor
    layout: Layout
    low: Sequence[LowRank]
    others: Sequence[tuple[int, Delta]]

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """[R, in, *k] and [out, R, *1]."""
        out, *rest = self.weight.shape if self.weight.ndim > 1 else (*self.weight.shape, 1)
        rank = self.layout.rank
        return (rank, *rest), (out, rank, *(1,) * (len(rest) - 1))

    def site(self, room: Room, kind: Kind) -> Site:
        """With its stacks, each number converted and put in its place in one pass."""
        down, up = (room.take(kind, shape) for shape in self.shapes)
        place = 0
        for delta in self.low:
            down.narrow(0, place, delta.rank).copy_(delta.down)
            up.narrow(1, place, delta.rank).copy_(delta.up)
            place += delta.rank
        return Site(self.path, self.layer, down, up, self.layout, self.others, self.name)


def _kind(weight: Tensor, dtype: torch.dtype | None) -> Kind:
    """Where stacks lie and in what dtype."""
    # Sequentially offloaded weights have no device yet; the stacks follow them when they are called.
    device = torch.device("cpu") if weight.is_meta else weight.device
    return device, weight.dtype if dtype is None else dtype


def _wanted(
    module: nn.Module,
    path: str,
    parts: Sequence[Mapping[str, Delta]],
    layouts: dict[tuple[Piece, ...], Layout],
) -> _Wanted:
    layer, name = find_parameter(module, path)
    low: list[tuple[int, LowRank]] = []
    others: list[tuple[int, Delta]] = []
    for index, part in enumerate(parts):
        if path not in part:
            continue
        delta = _fitted(layer, name, part[path])
        if isinstance(delta, str):
            raise WrongBase(f"{path}: {delta}")
        if isinstance(delta, LowRank):
            low.append((index, delta))
        else:
            others.append((index, delta))
    assert layer is not None, "_fitted() has just said so"
    pieces = tuple((index, delta.rank, float(delta.scale)) for index, delta in low)
    layout = layouts.setdefault(pieces, Layout(pieces))
    weight = getattr(layer, name)
    return _Wanted(path, layer, name, weight, layout, [delta for _, delta in low], others)
