"""Flux.2's files by diffusers' own converters: the same layers, the same changes; and files that we write."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers.loaders import lora_conversion_utils as peer
from safetensors.torch import load_file, save_file
from torch import Tensor

from lorafusion import formats
from lorafusion.errors import BadOption
from lorafusion.families import words
from lorafusion.lora import LoRA, LowRank

WIDTH, RANK = 8, 3
MODULES = {
    "double_blocks.0.img_attn.qkv": (3, 1),
    "double_blocks.0.txt_attn.qkv": (3, 1),
    "double_blocks.1.txt_attn.proj": (1, 1),
    "double_blocks.1.img_mlp.0": (6, 1),
    "double_blocks.0.txt_mlp.2": (1, 3),
    "single_blocks.0.linear1": (9, 1),
    "single_blocks.1.linear2": (1, 4),
}
MODULATIONS = {"single_stream_modulation.lin": (3, 1), "double_stream_modulation_img.lin": (6, 1)}
ENDINGS = {"comfy": ("lora_A", "lora_B"), "kohya": ("lora_down", "lora_up")}


def tensors(form: str) -> dict[str, Tensor]:
    """A file of every module, with alpha in kohya's."""
    made = {}
    torch.manual_seed(2)
    for path, (rows, columns) in (MODULES if form == "kohya" else MODULES | MODULATIONS).items():
        name = f"diffusion_model.{path}" if form == "comfy" else "lora_unet_" + words.joined(path)
        down, up = ENDINGS[form]
        made[f"{name}.{down}.weight"] = torch.randn(RANK, columns * WIDTH)
        made[f"{name}.{up}.weight"] = torch.randn(rows * WIDTH, RANK)
        if form == "kohya":
            made[f"{name}.alpha"] = torch.tensor(1.5)
    return made


def theirs(form: str, made: dict[str, Tensor]) -> dict[str, Tensor]:
    """Target path -> change, as diffusers reads the file."""
    convert = {
        "comfy": peer._convert_non_diffusers_flux2_lora_to_diffusers,
        "kohya": peer._convert_kohya_flux2_lora_to_diffusers,
    }[form]
    found = convert({key: tensor.clone() for key, tensor in made.items()})
    targets = [key.removesuffix(".lora_A.weight") for key in found if key.endswith("A.weight")]
    return {t: found[f"{t}.lora_B.weight"] @ found[f"{t}.lora_A.weight"] for t in targets}


def same(lora: LoRA, right: dict[str, Tensor]) -> None:
    assert lora.deltas.keys() == right.keys()
    for target, delta in lora.deltas.items():
        assert isinstance(delta, LowRank)
        torch.testing.assert_close(delta.dense(), right[target], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", ["comfy", "kohya"])
def test_read_as_diffusers_reads_it(form: str, tmp_path: Path) -> None:
    made = tensors(form)
    save_file(made, tmp_path / "a.safetensors")
    lora = formats.read(tmp_path / "a.safetensors")
    assert lora.family == "flux2"
    same(lora, theirs(form, made))


def test_what_we_write_is_read_by_diffusers_and_by_us(tmp_path: Path) -> None:
    save_file(tensors("comfy"), tmp_path / "a.safetensors")
    lora = formats.read(tmp_path / "a.safetensors")
    formats.write(lora, tmp_path / "b.safetensors", "kohya")
    read = formats.read(tmp_path / "b.safetensors")
    same(read, {target: d.dense() for target, d in lora.deltas.items() if isinstance(d, LowRank)})
    made = load_file(tmp_path / "b.safetensors")
    known = {key: t for key, t in made.items() if "modulation" not in key}
    right = theirs("kohya", known)
    assert len(right) == len([t for t in lora.deltas if "modulation" not in t])
    same(LoRA("x", {t: lora.deltas[t] for t in right}), right)


def test_a_layer_without_a_name_in_the_original_code_is_refused(tmp_path: Path) -> None:
    delta = LowRank(torch.ones(1, 8), torch.ones(8, 1), 1.0)
    odd = LoRA("x", {"transformer.time_embed.linear_1": delta}, family="flux2")
    with pytest.raises(BadOption, match="no name in kohya's format"):
        formats.write(odd, tmp_path / "c.safetensors", "kohya")
