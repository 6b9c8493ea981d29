"""Exactly one format claims a file, and nothing in it is left over."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from lorafusion import formats
from lorafusion.errors import UnknownFormat, UnreadableFile, UnreadTensors
from lorafusion.formats import FORMATS
from tests.formats.files import KOHYA_TO_Q, TO_Q, kohya_tensors, peft_tensors, saved

OTHERS = {
    "model.diffusion_model.input_blocks.0.0.weight": "a whole checkpoint",
    "diffusion_model.double_blocks.0.img_attn.qkv.oft_blocks": "the original code's names",
    "string_to_param.*": "a textual inversion",
    "weight": "known are peft",
    "text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight": "known are peft",
}

KINDS = {
    f"{KOHYA_TO_Q}.oft_blocks": "OFT",
    f"{KOHYA_TO_Q}.a1.weight": "GLoRA",
    f"{KOHYA_TO_Q}.reshape_weight": "changes the shape",
    f"{KOHYA_TO_Q}.strange": KOHYA_TO_Q,
    "lora_unet_final_layer_adaLN_modulation_1.lora_down.weight": "a last layer",
    "lora_te3_encoder_block_0_layer_0_SelfAttention_q.alpha": "lora_te3",
    "lora_unet_down_blocks_0_strange.alpha": "strange",
    "bundle_emb.robot.string_to_param.*": "textual inversion",
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


INCOMPLETE = {
    f"{KOHYA_TO_Q}.hada_w1_a": "stands beside a whole",
    f"{KOHYA_TO_Q}.diff": "stands beside a whole",
    f"{KOHYA_TO_Q}.lokr_w1": "stands beside a whole",
    f"{KOHYA_TO_Q}.dora_scale": "lengths",
    "lora_unet_conv_in.hada_w1_a": "no hada_w1_b beside it",
    "lora_unet_conv_in.lokr_w1": "no lokr_w2_a beside it",
    "lora_unet_conv_in.lora_mid.weight": "no down matrix",
    "lora_unet_conv_in.dora_scale": "no down matrix",
}


@pytest.mark.parametrize("key", INCOMPLETE)
def test_a_piece_of_another_kind_is_refused(key: str, tmp_path: Path) -> None:
    path = saved(tmp_path, kohya_tensors() | {key: torch.ones(2, 3)})
    with pytest.raises(UnreadableFile, match=re.escape(key.partition(".")[0])) as caught:
        formats.read(path)
    assert "\n" not in str(caught.value)


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
