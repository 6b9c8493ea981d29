"""The original code's names: ``diffusion_model.double_blocks.0.img_attn.qkv.lora_A.weight``.

What ComfyUI, ai-toolkit and the makers of Flux write. Files of ComfyUI have the prefix, Black Forest
Labs' have none. Behind it stand the original code's modules (Flux, Stable Diffusion 3, Z-Image, and the
unet's numbered blocks) or diffusers' own, where a model has no others. Read, not written.

Sources: Comfy-Org/ComfyUI, comfy/lora.py (`model_lora_keys_unet`); ostris/ai-toolkit,
toolkit/models (the prefix of saved adapters).
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from lorafusion.errors import BadOption
from lorafusion.families import ldm, places, words
from lorafusion.families.places import Place
from lorafusion.formats import endings
from lorafusion.formats.format import Format, Metadata, Tensors
from lorafusion.formats.parts import Parts
from lorafusion.formats.strangers import refuse
from lorafusion.lora import Delta, LoRA

EXAMPLE_KEYS = (
    "diffusion_model.double_blocks.0.img_attn.qkv.lora_A.weight",
    "diffusion_model.layers.0.attention.to_q.lora_B.weight",
    "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.lora_down.weight",
    "double_blocks.0.img_attn.qkv.lora_B.weight",
    "joint_blocks.0.x_block.attn.qkv.lora_down.weight",
)

_PREFIX = "diffusion_model."
_BLOCKS = tuple(block[:-1] + "." for block in words.BLOCKS)


def matches(keys: Iterable[str]) -> bool:
    """Whether any key is of an adapter by the original code's names."""
    return any(key.startswith((_PREFIX, *places.STARTS)) and endings.cut(key) for key in keys)


def read(tensors: Tensors, _metadata: Metadata) -> dict[str, Delta]:
    """Target path -> Delta; alpha per module, and a module without one has alpha = rank.

    Raises:
        UnreadTensors: a key names no module whose place is certain, or is of an unknown kind.
        UnreadableFile: matrices without partner, of shapes that do not fit, or two for one target.
    """
    parts, strange = Parts(), []
    for key, tensor in tensors.items():
        known = endings.cut(key)
        path = known[0].removeprefix(_PREFIX) if known else ""
        where = _spread(path)
        if known and where:
            parts.spread(where, known[1], key, tensor, places.twin(path))
        else:
            strange.append(key)
    refuse(strange, "lora_A.weight, lora_B.weight and alpha of a known module")
    return parts.joined(_silent)


def _spread(path: str) -> tuple[Place, ...]:
    if known := places.places(path):
        return known
    joined = words.joined(path)
    if ldm.speaks(joined):
        inside = ldm.to_diffusers(joined)
        return (Place(f"unet.{inside}"),) if inside else ()
    return (Place(f"transformer.{path}"),) if path.startswith(_BLOCKS) else ()


def _silent(_target: str, _rank: int) -> None:
    """The header says no scale of a module."""


def write(lora: LoRA) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Refuse: the same LoRA is read from the other formats by the same programs.

    Raises:
        BadOption: always.
    """
    raise BadOption(f"LoRA {lora.name!r}: format 'comfy' is read only; write 'peft' or 'kohya'")


FORMAT = Format("comfy", EXAMPLE_KEYS, matches, read, write)
