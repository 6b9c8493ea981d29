"""Modules of the original code of transformers, and where diffusers has them.

Where the original has one matrix for what diffusers has several for (query, key and value; or these and
the first matrix of the feed-forward), its rows are theirs, one after the other, in fixed shares.
The ``adaLN_modulation`` of last layers is left out: diffusers exchanges its halves.

Flux.1 and Flux.2 give the same names to other layers: Flux.2's feed-forward is gated and three times as wide
instead of four, and its single blocks stay one matrix in diffusers. Shapes tell which is meant (`twin`).

Sources: diffusers/loaders/single_file_utils.py (`convert_flux_transformer_checkpoint_to_diffusers`,
`convert_flux2_transformer_checkpoint_to_diffusers`, `convert_sd3_transformer_checkpoint_to_diffusers`,
`convert_z_image_transformer_checkpoint_to_diffusers`); diffusers/models/transformers/transformer_flux2.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache


@dataclass(frozen=True)
class Place:
    """One module of ours.

    Attributes:
        target: component and path.
        share: of the rows, relative to the other places of the same original module.
    """

    target: str
    share: int = 1


_QKV = "{a}.to_q {a}.to_k {a}.to_v"
_ADDED = "{a}.add_q_proj {a}.add_k_proj {a}.add_v_proj"
_FLUX, _ONE, _JOINT = "double_blocks.{n}", "single_transformer_blocks.{n}", "joint_blocks.{n}"
_TWO = "transformer_blocks.{n}"

_RULES = {
    f"{_FLUX}.img_attn.qkv": _QKV.format(a=f"{_TWO}.attn"),
    f"{_FLUX}.img_attn.proj": f"{_TWO}.attn.to_out.0",
    f"{_FLUX}.img_mlp.0": f"{_TWO}.ff.net.0.proj",
    f"{_FLUX}.img_mlp.2": f"{_TWO}.ff.net.2",
    f"{_FLUX}.img_mod.lin": f"{_TWO}.norm1.linear",
    f"{_FLUX}.txt_attn.qkv": _ADDED.format(a=f"{_TWO}.attn"),
    f"{_FLUX}.txt_attn.proj": f"{_TWO}.attn.to_add_out",
    f"{_FLUX}.txt_mlp.0": f"{_TWO}.ff_context.net.0.proj",
    f"{_FLUX}.txt_mlp.2": f"{_TWO}.ff_context.net.2",
    f"{_FLUX}.txt_mod.lin": f"{_TWO}.norm1_context.linear",
    "single_blocks.{n}.linear1": _QKV.format(a=f"{_ONE}.attn") + f" {_ONE}.proj_mlp*4",
    "single_blocks.{n}.linear2": f"{_ONE}.proj_out",
    "single_blocks.{n}.modulation.lin": f"{_ONE}.norm.linear",
    f"{_JOINT}.x_block.attn.qkv": _QKV.format(a=f"{_TWO}.attn"),
    f"{_JOINT}.x_block.attn.proj": f"{_TWO}.attn.to_out.0",
    f"{_JOINT}.x_block.attn2.qkv": _QKV.format(a=f"{_TWO}.attn2"),
    f"{_JOINT}.x_block.attn2.proj": f"{_TWO}.attn2.to_out.0",
    f"{_JOINT}.x_block.mlp.fc1": f"{_TWO}.ff.net.0.proj",
    f"{_JOINT}.x_block.mlp.fc2": f"{_TWO}.ff.net.2",
    f"{_JOINT}.context_block.attn.qkv": _ADDED.format(a=f"{_TWO}.attn"),
    f"{_JOINT}.context_block.attn.proj": f"{_TWO}.attn.to_add_out",
    f"{_JOINT}.context_block.mlp.fc1": f"{_TWO}.ff_context.net.0.proj",
    f"{_JOINT}.context_block.mlp.fc2": f"{_TWO}.ff_context.net.2",
} | {
    f"{block}.{{n}}.attention.{old}": new.format(a=f"{block}.{{n}}.attention")
    for block in ("layers", "noise_refiner", "context_refiner")
    for old, new in (("qkv", _QKV), ("out", "{a}.to_out.0"))
}  # fmt: skip

_STREAMS = {
    f"{name}.lin": f"{name}.linear"
    for name in (
        "double_stream_modulation_img",
        "double_stream_modulation_txt",
        "single_stream_modulation",
    )
}
"""What Flux.2 has in place of a modulation in each block."""

_TWINS = {
    f"{_FLUX}.img_mlp.0": f"{_TWO}.ff.linear_in",
    f"{_FLUX}.img_mlp.2": f"{_TWO}.ff.linear_out",
    f"{_FLUX}.txt_mlp.0": f"{_TWO}.ff_context.linear_in",
    f"{_FLUX}.txt_mlp.2": f"{_TWO}.ff_context.linear_out",
    "single_blocks.{n}.linear1": f"{_ONE}.attn.to_qkv_mlp_proj",
    "single_blocks.{n}.linear2": f"{_ONE}.attn.to_out",
}
"""Flux.2's layers by names that Flux.1 has for others."""

_RATIOS = {
    "linear_in": Fraction(6),
    "linear_out": Fraction(1, 3),
    "to_qkv_mlp_proj": Fraction(9),
    "to_out": Fraction(1, 4),
}
"""Rows over columns of these layers; Flux.1 has 4, 1/4, 7 and 1/5."""

STARTS = ("double_blocks.", "single_blocks.", "joint_blocks.")
"""What paths of the original code begin with that diffusers' never do."""


def places(name: str, joined: bool = False) -> tuple[Place, ...]:
    """The modules that an original module is; empty when it is none of those that are certain.

    Args:
        name: its path, ``double_blocks.0.img_attn.qkv``.
        joined: whether the path's dots are underscores.
    """
    return _looked_up(name, _compiled(joined))


def twin(name: str, joined: bool = False) -> tuple[Place, ...]:
    """The module of Flux.2 that a name of Flux.1's stands for too; empty where both mean the same.

    Args:
        name: its path, as `places` takes it.
        joined: whether the path's dots are underscores.
    """
    return _looked_up(name, _compiled(joined, second=True))


def is_twin(place: Place, shape: tuple[int, ...]) -> bool:
    """Whether a weight of this shape is the module of Flux.2 and not that of Flux.1."""
    return Fraction(shape[0], shape[1]) == _RATIOS[place.target.rpartition(".")[2]]


def _looked_up(name: str, rules: list[tuple[re.Pattern[str], list[str]]]) -> tuple[Place, ...]:
    for pattern, targets in rules:
        if found := pattern.fullmatch(name):
            number = found[1] if pattern.groups else ""
            return tuple(_place(target, number) for target in targets)
    return ()


def original(target: str, family: str) -> tuple[str, tuple[Place, ...]] | None:
    """The original module that holds a module of ours, and all the places in it.

    Args:
        target: component and path.
        family: whose original code is meant; "flux", "flux2" and "sd3" have one here.
    """
    path = target.removeprefix("transformer.")
    for pattern, old, new in _inverted(family):
        if found := pattern.fullmatch(path):
            number = found[1] if pattern.groups else ""
            places = tuple(_place(each, number) for each in new)
            return old.replace("{n}", number), places
    return None


_BLOCKS = ("double_blocks.", "single_blocks.")
_CODE: dict[str, Mapping[str, str]] = {
    "flux": {old: new for old, new in _RULES.items() if old.startswith(_BLOCKS)},
    "flux2": {
        old: _TWINS.get(old, new)
        for old, new in _RULES.items()
        if old.startswith(_BLOCKS) and not old.endswith(".lin")
    }
    | _STREAMS,
    "sd3": {old: new for old, new in _RULES.items() if old.startswith("joint_blocks.")},
}
"""Family -> the names of its original code, and what they are of ours."""


@lru_cache
def _inverted(family: str) -> list[tuple[re.Pattern[str], str, list[str]]]:
    """Pattern of a path of ours, the original's name, and its places."""
    number = re.escape("{n}")
    return [
        (re.compile(re.escape(one.partition("*")[0]).replace(number, "([0-9]{1,4})")), old, news)
        for old, new in _CODE.get(family, {}).items()
        for news in [new.split()]
        for one in news
    ]


@lru_cache
def _compiled(joined: bool, second: bool = False) -> list[tuple[re.Pattern[str], list[str]]]:
    dot = "_" if joined else "."
    rules = _TWINS if second else _RULES | _STREAMS
    number = re.escape("{n}")
    return [
        (re.compile(re.escape(old.replace(".", dot)).replace(number, "([0-9]{1,4})")), new.split())
        for old, new in rules.items()
    ]


def _place(target: str, number: str) -> Place:
    path, _, share = target.partition("*")
    return Place("transformer." + path.replace("{n}", number), int(share or 1))
