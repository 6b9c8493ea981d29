"""Exactly one format claims a file, and nothing in it is left over."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lorafusion import formats
from lorafusion.errors import UnknownFormat, UnreadTensors
from lorafusion.formats import FORMATS
from tests.formats.files import KOHYA_TO_Q, TO_Q, kohya_tensors, peft_tensors, saved

OTHERS = {
    "model.diffusion_model.input_blocks.0.0.weight": "a whole checkpoint",
    "diffusion_model.double_blocks.0.img_attn.qkv.lora_A.weight": "the original code's names",
    "lora_transformer_transformer_blocks_0_attn_to_q.lora_down.weight": "in underscores",
    "string_to_param.*": "a textual inversion",
    "weight": "known are peft",
    "text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight": "known are peft",
}

KINDS = {
    f"{KOHYA_TO_Q}.dora_scale": "DoRA",
    f"{KOHYA_TO_Q}.hada_w1_a": "LoHa",
    f"{KOHYA_TO_Q}.lokr_w1": "LoKr",
    f"{KOHYA_TO_Q}.lora_mid.weight": "Tucker",
    f"{KOHYA_TO_Q}.diff": "full difference of weights",
    f"{KOHYA_TO_Q}.diff_b": "full difference of biases",
    f"{KOHYA_TO_Q}.strange": KOHYA_TO_Q,
    "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": "Flux",
    "lora_unet_joint_blocks_0_x_block_attn_qkv.alpha": "Stable Diffusion 3",
    "lora_unet_down_blocks_0_strange.alpha": "strange",
    "bundle_emb.robot.string_to_param.*": "textual inversion",
    f"{TO_Q}.lora_magnitude_vector": "DoRA",
    f"{TO_Q}.lora_B.bias": "biases",
    f"{TO_Q}.lora_A.other.weight": "other",
    "vae.encoder.conv_in.lora_A.weight": "vae",
}


@pytest.mark.parametrize("name", list(FORMATS))
def test_a_format_claims_its_own_examples_and_no_others(name: str) -> None:
    for other in FORMATS:
        for key in FORMATS[other].example_keys:
            assert FORMATS[name].matches([key]) == (name == other), key


@pytest.mark.parametrize("key", OTHERS)
def test_what_nobody_claims_is_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownFormat, match="no format knows") as caught:
        formats.read(saved(tmp_path, {key: torch.ones(2, 2)}))
    assert OTHERS[key] in str(caught.value)
    assert key in str(caught.value)


def test_what_two_formats_claim_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormat, match="both peft and kohya"):
        formats.read(saved(tmp_path, kohya_tensors() | peft_tensors()))


@pytest.mark.parametrize("key", KINDS)
def test_a_tensor_that_is_left_over_is_refused_by_kind(key: str, tmp_path: Path) -> None:
    whole = kohya_tensors() if key.startswith("lora_") else peft_tensors()
    tensors = whole | {key: torch.ones(2, 2)}
    path = saved(tmp_path, tensors)
    with pytest.raises(UnreadTensors, match="1 tensors are not understood") as caught:
        formats.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert KINDS[key] in str(caught.value)
    with pytest.raises(UnreadTensors):
        formats.family_of(path)
