"""kohya's format: ``lora_unet_down_blocks_0_..._to_q.lora_down.weight``, ``lora_up``, ``alpha``.

What the trainers of kohya-ss and LyCORIS write, in every kind of adapter, and what the web interfaces
read. SDXL's unet is written by the original code's block numbers, as kohya does and
diffusers reads; every other one by diffusers' names.

Source: kohya-ss/sd-scripts, networks/lora.py, `LoRAModule` (scale = alpha / rank).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor

from lorafusion.errors import BadOption
from lorafusion.families import FAMILIES, UNKNOWN, kohya, recognise
from lorafusion.families.family import Family
from lorafusion.formats import endings
from lorafusion.formats.about import told
from lorafusion.formats.alpha import alpha_of, as_tensor
from lorafusion.formats.format import Format, Metadata, Tensors, low_ranks
from lorafusion.formats.parts import Parts
from lorafusion.formats.peft_config import KEY as PEFT_CONFIG
from lorafusion.formats.rows import side_by_side
from lorafusion.formats.strangers import refuse
from lorafusion.lora import Delta, LoRA, LowRank

EXAMPLE_KEYS = (
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight",
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_up.weight",
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.alpha",
    "lora_unet_output_blocks_3_1_transformer_blocks_0_attn2_to_out_0.lora_down.weight",
    "lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight",
    "lora_te2_text_model_encoder_layers_0_mlp_fc1.alpha",
)


def matches(keys: Iterable[str]) -> bool:
    """Whether any key begins as kohya's do."""
    return any(key.startswith(kohya.PREFIXES) for key in keys)


def read(tensors: Tensors, _metadata: Metadata) -> dict[str, Delta]:
    """Target path -> Delta; alpha per module, and a module without one has alpha = rank.

    Raises:
        UnreadTensors: a key names no module of a known model, or is of an unknown kind of adapter.
        UnreadableFile: matrices without partner, of shapes that do not fit, or two for one target.
    """
    parts, strange = Parts(), []
    t5 = kohya.t5_component(tensors)
    for key, tensor in tensors.items():
        known = endings.cut(key)
        places = kohya.spread(known[0], t5) if known else ()
        if known and places:
            parts.spread(places, known[1], key, tensor, kohya.twin(known[0]))
        else:
            strange.append(key)
    refuse(strange, "lora_down.weight, lora_up.weight and alpha of a known module")
    return parts.joined(_silent)


def _silent(_target: str, _rank: int) -> None:
    """kohya's header says no scale of a module."""


def write(lora: LoRA) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and header; alpha per module, in float64 where float32 would change the scale.

    Raises:
        BadOption: a target that kohya's format has no name for.
    """
    name = recognise(lora.deltas) if lora.family == UNKNOWN else lora.family
    family = FAMILIES[name] if name != UNKNOWN and name in FAMILIES else None
    two = "text_encoder_2" in lora.components or (
        family is not None and "text_encoder_2" in family.text
    )
    tensors: dict[str, Tensor] = {}
    for spelled, delta in _modules(lora, family, two):
        tensors[f"{spelled}.lora_down.weight"] = delta.down
        tensors[f"{spelled}.lora_up.weight"] = delta.up
        tensors[f"{spelled}.alpha"] = as_tensor(alpha_of(delta.scale, delta.rank))
    # A header of the other format would contradict these alphas.
    return tensors, {key: text for key, text in told(lora).items() if key != PEFT_CONFIG}


def _modules(lora: LoRA, family: Family | None, two: bool) -> Iterator[tuple[str, LowRank]]:
    """Name in the file and change of each module; those that the original code has as one, as one."""
    low = low_ranks(lora)
    done: set[str] = set()
    for target, delta in low.items():
        if target in done:
            continue
        if fused := kohya.whole(target, family):
            name, places = fused
            done |= {place.target for place in places}
            yield name, side_by_side([(low.get(p.target), p.share) for p in places])
            continue
        spelled = kohya.name(target, family, two)
        if spelled is None:
            raise BadOption(
                f"LoRA {lora.name!r}: {target} has no name in kohya's format, which is for the "
                "unet and text encoders of Stable Diffusion 1, 2 and XL, and the blocks of Flux.1, "
                "Flux.2 and Stable Diffusion 3; write 'peft' instead"
            )
        yield spelled, delta


FORMAT = Format("kohya", EXAMPLE_KEYS, matches, read, write)
