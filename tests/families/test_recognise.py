from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import lorafusion
from lorafusion import formats
from lorafusion.families import FAMILIES, UNKNOWN, recognise
from lorafusion.library.reading import read_file
from lorafusion.lora import LoRA, LowRank

BLOCK = "transformer_blocks.0"
SELF = f"unet.down_blocks.1.attentions.0.{BLOCK}.attn1.to_q"
CROSS = f"unet.down_blocks.1.attentions.0.{BLOCK}.attn2.to_k"
CLIP = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"
CLIP_2 = CLIP.replace("text_encoder", "text_encoder_2", 1)
JOINT = f"transformer.{BLOCK}.attn"


def deltas(*targets: tuple[str, int, int]) -> dict[str, LowRank]:
    """(path, out, in) each, without values."""
    return {
        path: LowRank(torch.empty(2, i, device="meta"), torch.empty(o, 2, device="meta"), 1.0)
        for path, o, i in targets
    }


@pytest.mark.parametrize(("family", "targets"), [
    ("sd15", [(CROSS, 640, 768)]),
    ("sd21", [(CROSS, 640, 1024)]),
    ("sdxl", [(CROSS, 640, 2048)]),
    ("pocket", [(CROSS, 160, 128)]),
    ("sd15", [(SELF.replace("down_blocks.1", "down_blocks.0"), 320, 320), (CLIP, 768, 768)]),
    ("sdxl", [(SELF.replace("blocks.0.attn", "blocks.1.attn"), 640, 640)]),
    ("sd15", [(CLIP, 768, 768)]),
    ("sd21", [(CLIP, 1024, 1024)]),
    ("pocket", [(CLIP, 128, 128)]),
    ("sdxl", [(CLIP, 768, 768), (CLIP_2, 1280, 1280)]),
    ("sdxl", [(CROSS, 640, 2048), (CLIP, 768, 768), (CLIP_2, 1280, 1280)]),
    ("flux", [("transformer.single_transformer_blocks.0.attn.to_q", 3072, 3072)]),
    ("flux", [("transformer.single_transformer_blocks.0.proj_mlp", 64, 32)]),
    ("sd3", [(f"{JOINT}.add_q_proj", 64, 64)]),
    ("sd3", [(f"{JOINT}.to_q", 1536, 1536)]),
    ("sd3", [(f"{JOINT}.to_q", 2432, 2432)]),
])  # fmt: skip
def test_a_family_is_recognised(family: str, targets: list[tuple[str, int, int]]) -> None:
    assert recognise(deltas(*targets)) == family


@pytest.mark.parametrize(("claim", "family"), [
    ("sdxl_base_v1-0", "sdxl"),
    ("stable-diffusion-xl-v1-base/lora", "sdxl"),
    ("sd_v1", "sd15"),
    ("Stable-Diffusion-v2-768-v/lora", "sd21"),
    ("flux-1-dev/lora", UNKNOWN),
    ("", UNKNOWN),
])  # fmt: skip
def test_a_header_is_heard_where_shapes_leave_a_choice(claim: str, family: str) -> None:
    assert recognise(deltas((SELF, 640, 640)), (claim,)) == family
    assert recognise(deltas((CROSS, 640, 768)), (claim,)) == "sd15"
    assert recognise(deltas((CROSS, 640, 999)), (claim,)) == UNKNOWN


def test_the_header_of_a_file_is_heard(tmp_path: Path) -> None:
    """By the reader and by the library alike."""
    lora = LoRA("a", {SELF: LowRank(torch.zeros(2, 640), torch.zeros(640, 2), 1.0)}, metadata={
        "ss_base_model_version": "sdxl_base_v1-0"})  # fmt: skip
    path = tmp_path / "a.safetensors"
    formats.write(lora, path, "peft")
    assert formats.read(path).family == formats.family_of(path) == read_file(path).family == "sdxl"


@pytest.mark.parametrize("targets", [
    [],
    [(CROSS, 640, 999)],
    [(CROSS, 32, 32)],
    # 1.x and 2.x have the same self-attention.
    [("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", 320, 320)],
    # 1.x and SDXL are as wide there, and the first encoder is the same.
    [(SELF, 640, 640), (CLIP, 768, 768)],
    # The second encoder alone is of SDXL or SD3.
    [(CLIP_2, 1280, 1280)],
    # Evidence against evidence.
    [(CROSS, 640, 768), (CLIP, 1024, 1024)],
    [(CROSS, 640, 768), (f"{JOINT}.add_q_proj", 64, 64)],
    [(CROSS, 640, 2048), ("unet.down_blocks.7.attentions.0.proj_in", 640, 640)],
    # Flux and Qwen-Image have such blocks at this width.
    [(f"{JOINT}.add_q_proj", 3072, 3072), (f"{JOINT}.to_q", 3072, 3072)],
    # Flux.2's single blocks and Flux.1's.
    [("transformer.single_transformer_blocks.0.attn.to_qkv_mlp_proj", 64, 64),
     ("transformer.single_transformer_blocks.0.proj_mlp", 64, 64)],
    [("prior.down", 3, 3)],
])  # fmt: skip
def test_nothing_is_guessed(targets: list[tuple[str, int, int]]) -> None:
    assert recognise(deltas(*targets)) == UNKNOWN


@pytest.mark.parametrize("name", list(FAMILIES))
def test_a_family_is_registered_under_its_own_name(name: str) -> None:
    family = FAMILIES[name]
    assert family.name == name
    assert family.title
    assert family.components[0] == family.denoiser in ("unet", "transformer")


def test_pocket_is_described_as_it_ships() -> None:
    base = Path(lorafusion.__file__).parent / "pocket" / "weights" / "base"
    unet = json.loads((base / "unet" / "config.json").read_text())
    text = json.loads((base / "text_encoder" / "config.json").read_text())
    assert FAMILIES["pocket"].context == unet["cross_attention_dim"]
    assert FAMILIES["pocket"].text == {"text_encoder": text["hidden_size"]}
