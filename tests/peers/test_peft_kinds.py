"""peft's own LoHa, LoKr and DoRA layers: files of theirs give us the changes that they compute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lorafusion import formats
from lorafusion.lora import dense_on

_COMMON = {"r": 3, "rank_pattern": {"proj_in": 2}, "alpha_pattern": {"proj_in": 5}}
_BLOCK = "transformer_blocks.0"
KINDS = {
    "LoHa": lambda: peft.LoHaConfig(alpha=2, init_weights=False, **_COMMON),
    "LoHa, Tucker": lambda: peft.LoHaConfig(
        alpha=2, init_weights=False, use_effective_conv2d=True, **_COMMON
    ),
    "LoKr": lambda: peft.LoKrConfig(alpha=2, init_weights=False, decompose_factor=2, **_COMMON),
    "LoKr, both decomposed": lambda: peft.LoKrConfig(
        alpha=2, init_weights=False, decompose_both=True, decompose_factor=16, **_COMMON
    ),
    "LoKr, Tucker": lambda: peft.LoKrConfig(
        alpha=2, init_weights=False, use_effective_conv2d=True, decompose_factor=2, **_COMMON
    ),
    "DoRA": lambda: peft.LoraConfig(
        lora_alpha=2, init_lora_weights=False, use_dora=True, **_COMMON
    ),
    "LoRA": lambda: peft.LoraConfig(lora_alpha=2, init_lora_weights=False, **_COMMON),
}


class Block(nn.Module):
    """Named so that its layers are known to be a transformer's."""

    def __init__(self) -> None:
        super().__init__()
        self.proj_in = nn.Linear(24, 16)
        self.to_q = nn.Linear(16, 32)
        self.conv = nn.Conv2d(16, 24, 3)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.transformer_blocks = nn.ModuleList([Block()])


def saved(kind: str, folder: Path) -> Any:
    """A peft model of this kind, whose adapter is saved with its settings in the header."""
    torch.manual_seed(3)
    config = KINDS[kind]()
    config.target_modules = {"proj_in", "to_q", "conv"}
    made = peft.get_peft_model(Model().double(), config)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if "lora_magnitude_vector" in name:
                weight.mul_(torch.rand_like(weight) + 0.5)
    settings = made.peft_config["default"].to_dict()
    settings["target_modules"] = sorted(settings["target_modules"])
    header = {"lora_adapter_metadata": json.dumps(settings, default=str)}
    save_file(peft.get_peft_model_state_dict(made), folder / "a.safetensors", header)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_our_change_is_the_one_that_peft_merges(kind: str, tmp_path: Path) -> None:
    made = saved(kind, tmp_path)
    before = {
        path: made.base_model.model.get_submodule(path).weight.detach().clone()
        for path in (f"{_BLOCK}.proj_in", f"{_BLOCK}.to_q", f"{_BLOCK}.conv")
    }
    lora = formats.read(tmp_path / "a.safetensors")
    assert set(lora.deltas) == {f"transformer.{path}" for path in before}
    merged = made.merge_and_unload()
    for path, weight in before.items():
        delta = lora.deltas[f"transformer.{path}"].fitted(tuple(weight.shape))
        right = merged.get_submodule(path).weight.detach() - weight
        ours = dense_on(delta, weight, torch.float64)
        assert (ours - right).norm() / right.norm() <= 1e-5, path


def test_the_kinds_are_read_as_what_they_are(tmp_path: Path) -> None:
    for kind in KINDS:
        saved(kind, tmp_path)
        deltas = formats.read(tmp_path / "a.safetensors").deltas
        assert {delta.kind for delta in deltas.values()} == {kind.partition(",")[0]}
