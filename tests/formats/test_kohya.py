from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lorafusion import formats
from lorafusion.errors import BadOption
from lorafusion.lora import LoRA
from tests.formats.files import FC1, KOHYA_TO_Q, TO_Q, kohya_tensors, low_rank, saved, small

SDXL = "unet.down_blocks.1.attentions.0.transformer_blocks.1.attn2.to_k"


@pytest.mark.parametrize(("rank", "alpha", "scale"), [
    (2, 1.0, 0.5), (4, 16.0, 4.0), (3, 1.0, 1 / 3), (2, None, 1.0), (2, 0.0, 0.0),
])  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_alpha_is_the_modules_own(
    rank: int, alpha: float | None, scale: float, dtype: torch.dtype, tmp_path: Path
) -> None:
    other = kohya_tensors("lora_unet_conv_in", rank=5, alpha=7.0)
    tensors = kohya_tensors(rank=rank, alpha=alpha) | other
    path = saved(tmp_path, {key: tensor.to(dtype) for key, tensor in tensors.items()})
    deltas = formats.read(path).deltas
    assert deltas[TO_Q].scale == scale
    assert deltas[TO_Q].down.dtype == dtype
    assert deltas["unet.conv_in"].scale == 7 / 5


def test_down_and_up_are_not_mixed_up(tmp_path: Path) -> None:
    tensors = kohya_tensors(alpha=3.0)
    delta = formats.read(saved(tmp_path, tensors)).deltas[TO_Q]
    assert torch.equal(delta.down, tensors[f"{KOHYA_TO_Q}.lora_down.weight"])
    assert torch.equal(delta.up, tensors[f"{KOHYA_TO_Q}.lora_up.weight"])
    assert delta.shape == (6, 5)


def test_alpha_is_stored_as_trainers_do_where_that_is_exact(tmp_path: Path) -> None:
    def stored(scale: float) -> torch.dtype:
        return formats.FORMATS["kohya"].write(small(scale))[0][f"{KOHYA_TO_Q}.alpha"].dtype

    assert stored(0.5) == torch.float32
    assert stored(0.3) == torch.float64


def test_one_text_encoder_is_te_and_two_are_te1_and_te2() -> None:
    second = FC1.replace("text_encoder", "text_encoder_2", 1)
    delta = low_rank((8, 4))

    def prefixes(*targets: str, family: str = "unknown") -> set[str]:
        lora = LoRA("a", dict.fromkeys(targets, delta), family=family)
        return {key.partition("_text")[0] for key in formats.FORMATS["kohya"].write(lora)[0]}

    assert prefixes(FC1) == {"lora_te"}
    assert prefixes(FC1, second) == {"lora_te1", "lora_te2"}
    assert prefixes(FC1, family="sdxl") == {"lora_te1"}


def test_sdxl_is_written_by_the_original_numbering() -> None:
    def name(lora: LoRA) -> str:
        return next(iter(formats.FORMATS["kohya"].write(lora)[0])).partition(".")[0]

    recognised = LoRA("a", {SDXL: low_rank((640, 2048))})
    assert name(recognised) == "lora_unet_input_blocks_4_1_transformer_blocks_1_attn2_to_k"
    other = LoRA("a", {SDXL: low_rank((640, 32))})
    assert name(other) == "lora_" + SDXL.replace(".", "_")


@pytest.mark.parametrize("target", ["transformer.transformer_blocks.0.attn.to_q", "unet.strange"])
def test_what_kohya_cannot_spell_is_not_written(target: str, tmp_path: Path) -> None:
    lora = LoRA("a", {target: low_rank((6, 5))})
    with pytest.raises(BadOption, match="write 'peft' instead"):
        formats.write(lora, tmp_path / "a.safetensors", "kohya")
    assert not list(tmp_path.iterdir())
