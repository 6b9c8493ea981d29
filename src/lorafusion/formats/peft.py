"""The format of peft and diffusers: ``unet. ... .to_q.lora_A.weight`` and ``lora_B.weight``.

diffusers' older spellings and adapters that peft saved by themselves are read too. Alpha comes from
an ``.alpha`` beside the matrices, else from the settings in the header; a file with neither has
scale 1.

Text encoders are written in diffusers' own spelling (``lora_linear_layer.down.weight``), as
`save_lora_weights` does: its reader guesses a text encoder's spelling from what it finds, and
cannot from ``lora_A`` of feed-forward layers alone.

Sources: diffusers/loaders/lora_base.py; peft/tuners/lora/layer.py (`scaling`).
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from lorafusion.errors import BadOption
from lorafusion.formats import peft_config, peft_keys
from lorafusion.formats.about import told
from lorafusion.formats.format import Format, Metadata, Tensors, low_ranks
from lorafusion.formats.parts import Parts
from lorafusion.formats.strangers import refuse
from lorafusion.lora import Delta, LoRA

EXAMPLE_KEYS = (
    "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight",
    "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_B.weight",
    "unet.mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.up.weight",
    "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_linear_layer.down.weight",
    "transformer.transformer_blocks.0.attn.to_q.lora_A.weight",
    "base_model.model.transformer_blocks.0.attn.to_q.lora_B.weight",
)

_SPELLINGS = {
    True: ("lora_linear_layer.down.weight", "lora_linear_layer.up.weight"),
    False: ("lora_A.weight", "lora_B.weight"),
}


def matches(keys: Iterable[str]) -> bool:
    """Whether any key is a target of a known component, in any of the spellings."""
    return any(peft_keys.split(key) for key in keys)


def read(tensors: Tensors, metadata: Metadata) -> dict[str, Delta]:
    """Target path -> Delta.

    Raises:
        UnreadTensors: a key is of no known component, or of another kind of adapter.
        UnreadableFile: matrices without partner, of shapes that do not fit, two for one target, or
            a header that contradicts them.
    """
    parts, strange = Parts(), []
    for key, tensor in tensors.items():
        if split := peft_keys.split(key):
            parts.add(*split, key, tensor)
        else:
            strange.append(key)
    refuse(strange, "lora_A.weight, lora_B.weight and alpha of a pipeline's component")
    configs = peft_config.configs(metadata)
    alone = configs.get("")

    def scale(target: str, rank: int) -> float | None:
        component, _, path = target.partition(".")
        config = configs.get(component, alone)
        return config.scale(path, rank) if config else None

    deltas = parts.joined(scale)
    peft_config.check_dora(configs, deltas)
    return deltas


def write(lora: LoRA) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and header, with the settings of every component.

    Raises:
        BadOption: a target whose key would be read as another one.
    """
    tensors: dict[str, Tensor] = {}
    for target, delta in low_ranks(lora).items():
        endings = _SPELLINGS[target.startswith("text_encoder")]
        keys = [f"{target}.{ending}" for ending in endings]
        if peft_keys.split(keys[0]) != (target, "down"):
            raise BadOption(
                f"LoRA {lora.name!r}: {target!r} cannot be written as peft; expected a component "
                f"({', '.join(peft_keys.COMPONENTS)}) and a module path in it"
            )
        tensors |= dict(zip(keys, (delta.down, delta.up), strict=True))
    return tensors, told(lora) | {peft_config.KEY: peft_config.packed(lora)}


FORMAT = Format("peft", EXAMPLE_KEYS, matches, read, write)
