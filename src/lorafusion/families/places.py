"""Modules of the original code of transformers, and where diffusers has them.

Where the original has one matrix for what diffusers has several for (query, key and value; or these and
the first matrix of the feed-forward), its rows are theirs, one after the other, in fixed shares.
The ``adaLN_modulation`` of last layers is left out: diffusers exchanges its halves.

Sources: diffusers/loaders/single_file_utils.py (`convert_flux_transformer_checkpoint_to_diffusers`,
`convert_sd3_transformer_checkpoint_to_diffusers`, `convert_z_image_transformer_checkpoint_to_diffusers`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
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

STARTS = ("double_blocks.", "single_blocks.", "joint_blocks.")
"""What paths of the original code begin with that diffusers' never do."""


def places(name: str, joined: bool = False) -> tuple[Place, ...]:
    """The modules that an original module is; empty when it is none of those that are certain.

    Args:
        name: its path, ``double_blocks.0.img_attn.qkv``.
        joined: whether the path's dots are underscores.
    """
    for pattern, targets in _compiled(joined):
        if found := pattern.fullmatch(name):
            return tuple(_place(target, found[1]) for target in targets)
    return ()


def original(target: str, family: str) -> tuple[str, tuple[Place, ...]] | None:
    """The original module that holds a module of ours, and all the places in it.

    Args:
        target: component and path.
        family: whose original code is meant; "flux" and "sd3" have one here.
    """
    path = target.removeprefix("transformer.")
    for pattern, old, new in _inverted(family):
        if found := pattern.fullmatch(path):
            places = tuple(_place(each, found[1]) for each in new)
            return old.replace("{n}", found[1]), places
    return None


_CODE = {"flux": ("double_blocks.", "single_blocks."), "sd3": ("joint_blocks.",)}


@lru_cache
def _inverted(family: str) -> list[tuple[re.Pattern[str], str, list[str]]]:
    """Pattern of a path of ours, the original's name, and its places."""
    number = re.escape("{n}")
    return [
        (re.compile(re.escape(one.partition("*")[0]).replace(number, "([0-9]{1,4})")), old, news)
        for old, new in _RULES.items()
        if old.startswith(_CODE.get(family, "\0"))
        for news in [new.split()]
        for one in news
    ]


@lru_cache
def _compiled(joined: bool) -> list[tuple[re.Pattern[str], list[str]]]:
    dot = "_" if joined else "."
    number = re.escape("{n}")
    return [
        (re.compile(re.escape(old.replace(".", dot)).replace(number, "([0-9]{1,4})")), new.split())
        for old, new in _RULES.items()
    ]


def _place(target: str, number: str) -> Place:
    path, _, share = target.partition("*")
    return Place("transformer." + path.replace("{n}", number), int(share or 1))
