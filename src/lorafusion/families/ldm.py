"""The unet's modules as the original code numbers them, and as diffusers names them.

``input_blocks_4_1_proj_in`` is ``down_blocks.1.attentions.0.proj_in``. Blocks are numbered through,
three to a level: two of layers and one that changes the size. That holds for every published Stable
Diffusion of this layout, so that the number alone tells the level; which of a block's children is
meant tells the rest.

Source: Stability-AI/generative-models, sgm/modules/diffusionmodules/openaimodel.py,
`UNetModel.__init__`.
"""

from __future__ import annotations

import re

from lorafusion.families import words
from lorafusion.families.family import Family

_PER_LEVEL = 3

_ALONE = {
    "input_blocks_0_0": "conv_in",
    "time_embed_0": "time_embedding.linear_1",
    "time_embed_2": "time_embedding.linear_2",
    "label_emb_0_0": "add_embedding.linear_1",
    "label_emb_0_2": "add_embedding.linear_2",
    "out_0": "conv_norm_out",
    "out_2": "conv_out",
}
_RESNET = {
    "in_layers_0": "norm1",
    "in_layers_2": "conv1",
    "emb_layers_1": "time_emb_proj",
    "out_layers_0": "norm2",
    "out_layers_3": "conv2",
    "skip_connection": "conv_shortcut",
}
_ATTENTION = ("norm", "proj_in", "proj_out", "transformer_blocks_")
_MIDDLE = {"0": "resnets.0", "1": "attentions.0", "2": "resnets.1"}
_CHILD = {"0": "resnets", "1": "attentions"}

_ALONE_BACK = {path: name for name, path in _ALONE.items()}
_RESNET_BACK = {path: name for name, path in _RESNET.items()}
_MIDDLE_BACK = {path: number for number, path in _MIDDLE.items()}
_CHILD_BACK = {path: number for number, path in _CHILD.items()}

_NAME = re.compile(
    r"(input_blocks|output_blocks|middle_block)_(?:([0-9]{1,4})_)?([0-9]{1,4})_([^0-9].*)"
)
_PATH = re.compile(r"(down|up)_blocks\.([0-9]{1,4})\.(\w+)\.([0-9]{1,4})\.(.+)")
_MID = re.compile(r"mid_block\.(\w+\.[0-9]{1,4})\.(.+)")


def speaks(name: str) -> bool:
    """Whether a joined name is of the original numbering."""
    return name in _ALONE or name.startswith(("input_blocks_", "middle_block_", "output_blocks_"))


def to_diffusers(name: str) -> str | None:
    """The diffusers path of a joined name of the original unet; None when it has no such module."""
    if name in _ALONE:
        return _ALONE[name]
    found = _NAME.fullmatch(name)
    if not found:
        return None
    side, number, child, rest = found.groups()
    if side == "middle_block":
        place = _MIDDLE.get(child) if number is None else None
        return _inside("mid_block", place, rest)
    if number is None:
        return None
    if side == "output_blocks":
        level, layer = divmod(int(number), _PER_LEVEL)
        if rest == "conv" and child in ("1", "2") and layer == _PER_LEVEL - 1:
            return f"up_blocks.{level}.upsamplers.0.conv"
        return _inside(f"up_blocks.{level}", _layer(child, layer), rest)
    level, layer = divmod(int(number) - 1, _PER_LEVEL)
    if layer == _PER_LEVEL - 1:
        return f"down_blocks.{level}.downsamplers.0.conv" if (child, rest) == ("0", "op") else None
    return _inside(f"down_blocks.{level}", _layer(child, layer) if level >= 0 else None, rest)


def from_diffusers(path: str, family: Family) -> str | None:
    """The joined name of a diffusers path, or None when the original unet has no such module.

    Args:
        path: of a module inside the unet.
        family: its `blocks` say which levels have attention, after which upsamplers are numbered.
    """
    if path in _ALONE_BACK:
        return _ALONE_BACK[path]
    if mid := _MID.fullmatch(path):
        number, rest = _MIDDLE_BACK.get(mid[1]), _outside(mid[1], mid[2])
        return None if number is None or rest is None else f"middle_block_{number}_{rest}"
    found = _PATH.fullmatch(path)
    if not found:
        return None
    side, level, child, layer, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    first = level * _PER_LEVEL
    if (child, layer, rest) == ("downsamplers", 0, "conv") and side == "down":
        return f"input_blocks_{first + _PER_LEVEL}_0_op"
    if (child, layer, rest) == ("upsamplers", 0, "conv") and side == "up":
        if level >= len(family.blocks):
            return None
        attends = family.blocks[::-1][level][1] > 0
        return f"output_blocks_{first + _PER_LEVEL - 1}_{2 if attends else 1}_conv"
    inner = _outside(child, rest)
    if child not in _CHILD_BACK or inner is None:
        return None
    block = (
        f"input_blocks_{first + 1 + layer}" if side == "down" else f"output_blocks_{first + layer}"
    )
    return f"{block}_{_CHILD_BACK[child]}_{inner}"


def _layer(child: str, layer: int) -> str | None:
    return f"{_CHILD[child]}.{layer}" if child in _CHILD else None


def _inside(block: str, place: str | None, rest: str) -> str | None:
    """A path from its block, the place in it, and the joined name of the module there."""
    if place is None:
        return None
    if place.startswith("resnets"):
        inner = _RESNET.get(rest)
    else:
        inner = words.split(rest) if rest.startswith(_ATTENTION) else None
    return None if inner is None else f"{block}.{place}.{inner}"


def _outside(place: str, rest: str) -> str | None:
    """The joined name of a module inside a resnet or an attention."""
    return _RESNET_BACK.get(rest) if place.startswith("resnets") else words.joined(rest)
