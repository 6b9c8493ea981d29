"""Matrices that do not belong together are refused, with the key that shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from lorafusion import formats
from lorafusion.errors import UnreadableFile
from tests.formats.files import KOHYA_TO_Q, TO_Q, kohya_tensors, peft_tensors, saved

DOWN, UP, ALPHA = (f"{KOHYA_TO_Q}.{end}" for end in ("lora_down.weight", "lora_up.weight", "alpha"))

BROKEN: dict[str, tuple[dict[str, Tensor], str]] = {
    "ranks differ": ({UP: torch.ones(6, 3)}, "ranks 2 and 3 differ"),
    "a vector": ({DOWN: torch.ones(2)}, "expected matrices"),
    "rank 0": ({DOWN: torch.ones(0, 5), UP: torch.ones(6, 0)}, "expected matrices"),
    "a kernel above": ({UP: torch.ones(6, 2, 3, 3)}, "kernel of one"),
    "alpha of several": ({ALPHA: torch.ones(2)}, "expected one number"),
    "whole numbers": (
        {DOWN: torch.ones(1, 1, dtype=torch.int32), UP: torch.ones(1, 1, dtype=torch.int32)},
        "expected floating point",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_module_is_refused(case: str, tmp_path: Path) -> None:
    change, seen = BROKEN[case]
    with pytest.raises(UnreadableFile) as caught:
        formats.read(saved(tmp_path, kohya_tensors() | change))
    assert seen in str(caught.value)
    assert KOHYA_TO_Q in str(caught.value)


@pytest.mark.parametrize("tensors", [kohya_tensors(), peft_tensors()])
@pytest.mark.parametrize("gone", [0, 1])
def test_a_missing_partner_is_named(tensors: dict[str, Tensor], gone: int, tmp_path: Path) -> None:
    rest = dict(tensors)
    lost = list(tensors)[gone]
    del rest[lost]
    with pytest.raises(UnreadableFile, match=f"no {('down', 'up')[gone]} matrix"):
        formats.read(saved(tmp_path, rest))


def test_an_alpha_alone_is_refused(tmp_path: Path) -> None:
    tensors = kohya_tensors() | {"lora_unet_conv_in.alpha": torch.tensor(1.0)}
    with pytest.raises(UnreadableFile, match="lora_unet_conv_in"):
        formats.read(saved(tmp_path, tensors))


@pytest.mark.parametrize("twice", [
    kohya_tensors("lora_te_text_model_encoder_layers_0_mlp_fc1")
    | kohya_tensors("lora_te1_text_model_encoder_layers_0_mlp_fc1"),
    kohya_tensors("lora_unet_input_blocks_4_1_proj_in")
    | kohya_tensors("lora_unet_down_blocks_1_attentions_0_proj_in"),
    peft_tensors() | {f"{TO_Q}.lora.down.weight": torch.ones(2, 5)},
])  # fmt: skip
def test_two_spellings_of_one_target_are_refused(twice: dict[str, Tensor], tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="both are the"):
        formats.read(saved(tmp_path, twice))
