"""LyCORIS' own modules: files with their weights give us layers that compute what theirs compute."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from lycoris.modules.full import FullModule
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule
from safetensors.torch import save_file
from torch import Tensor, nn

from lorafusion import formats
from lorafusion.lora import dense_on

KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "LoRA": (LoConModule, {}),
    "LoCon, Tucker": (LoConModule, {"use_tucker": True}),
    "DoRA": (LoConModule, {"weight_decompose": True}),
    "DoRA, columns": (LoConModule, {"weight_decompose": True, "wd_on_out": False}),
    "LoHa": (LohaModule, {}),
    "LoHa, Tucker": (LohaModule, {"use_tucker": True}),
    "LoKr": (LokrModule, {"factor": 4}),
    "LoKr, both decomposed": (LokrModule, {"factor": 8, "decompose_both": True}),
    "LoKr, Tucker": (LokrModule, {"factor": 4, "use_tucker": True}),
    "full": (FullModule, {}),
}
_UNET = "unet.down_blocks.0"
_BLOCK = "transformer.transformer_blocks.0.attn"
MODULES: dict[str, tuple[str, nn.Module, tuple[str, ...]]] = {
    "sd15 linear": (
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
        nn.Linear(48, 32, bias=False), (f"{_UNET}.attentions.0.transformer_blocks.0.attn1.to_q",),
    ),
    "sd15 convolution": (
        "lora_unet_down_blocks_0_resnets_0_conv1",
        nn.Conv2d(16, 32, 3, bias=False), (f"{_UNET}.resnets.0.conv1",),
    ),
    "sd15 text": (
        "lora_te_text_model_encoder_layers_0_mlp_fc1",
        nn.Linear(32, 64, bias=False), ("text_encoder.text_model.encoder.layers.0.mlp.fc1",),
    ),
    "sdxl linear": (
        "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q",
        nn.Linear(32, 32, bias=False), ("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",),
    ),
    "flux fused": (
        "lora_unet_double_blocks_0_img_attn_qkv",
        nn.Linear(32, 96, bias=False), (f"{_BLOCK}.to_q", f"{_BLOCK}.to_k", f"{_BLOCK}.to_v"),
    ),
}  # fmt: skip


def made(kind: str, name: str, original: nn.Module) -> tuple[Any, dict[str, Tensor]]:
    """A module of theirs in the layer's place, with random weights, and these as in its file."""
    torch.manual_seed(5)
    what, options = KINDS[kind]
    theirs = what(name, original, lora_dim=4, alpha=3, **options).double().eval()
    theirs.apply_to()
    with torch.no_grad():
        for key, weight in theirs.named_parameters():
            if "dora_scale" in key:
                weight.mul_(torch.rand_like(weight) + 0.5)
            else:
                weight.normal_(std=0.4)
    saved = theirs.custom_state_dict().items()
    return theirs, {f"{name}.{key}": value.contiguous().clone() for key, value in saved}


@pytest.mark.parametrize("place", MODULES)
@pytest.mark.parametrize("kind", KINDS)
def test_our_layer_is_theirs(kind: str, place: str, tmp_path: Path) -> None:
    name, template, targets = MODULES[place]
    if kind == "DoRA, columns" and len(targets) > 1:
        # Cut columns' lengths depend on all rows: refused, as docs/formats.md says.
        kind = "DoRA"
    original = copy.deepcopy(template).double()
    ours, weight = copy.deepcopy(original), original.weight.detach().clone()
    theirs, tensors = made(kind, name, original)
    save_file(tensors, tmp_path / "a.safetensors")
    lora = formats.read(tmp_path / "a.safetensors")
    assert set(lora.deltas) == set(targets)
    pieces = [
        dense_on(lora.deltas[target].fitted(tuple(rows.shape)), rows, torch.float64)
        for target, rows in zip(targets, weight.chunk(len(targets)), strict=True)
    ]
    shape = (5, weight.shape[1], 6, 6) if weight.ndim == 4 else (5, weight.shape[1])
    with torch.no_grad():
        x = torch.randn(shape, dtype=torch.float64)
        before = ours(x)
        ours.weight += torch.cat(pieces)
        right, found = theirs(x) - before, ours(x) - before
    assert (found - right).norm() / right.norm() <= 1e-5
