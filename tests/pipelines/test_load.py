"""A base model is a diffusers folder, a single safetensors checkpoint or a Hub id; anything else is told apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lorafusion.errors import InputError, UnreadableFile
from lorafusion.pipelines import load
from tests import tiny


def test_a_diffusers_folder_gives_the_same_weights(sd: Any, tmp_path: Path) -> None:
    sd.save_pretrained(tmp_path / "base")
    loaded = load(str(tmp_path / "base"))
    assert type(loaded) is type(sd)
    assert tiny.weights(loaded) == tiny.weights(sd)


def test_dtype_is_that_of_the_weights(sd: Any, tmp_path: Path) -> None:
    sd.save_pretrained(tmp_path / "base")
    assert load(str(tmp_path / "base"), torch.bfloat16).unet.dtype == torch.bfloat16


def test_pickled_weights_in_a_folder_are_refused(sd: Any, tmp_path: Path) -> None:
    sd.save_pretrained(tmp_path / "base", safe_serialization=False)
    with pytest.raises(UnreadableFile, match="could not be loaded"):
        load(str(tmp_path / "base"))


CHECKPOINTS = {
    "model.diffusion_model.input_blocks.0.0.weight": "StableDiffusionPipeline",
    "conditioner.embedders.1.model.ln_final.weight": "StableDiffusionXLPipeline",
    "model.diffusion_model.joint_blocks.0.x": "StableDiffusion3Pipeline",
    "double_blocks.0.img_attn.proj.weight": "FluxPipeline",
    "model.diffusion_model.double_blocks.0.img_attn.proj.weight": "FluxPipeline",
}


@pytest.mark.parametrize("key", CHECKPOINTS)
def test_a_single_file_goes_to_its_pipeline(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import diffusers

    path = tmp_path / "model.safetensors"
    save_file({key: torch.zeros(1), "model.diffusion_model.out.0.weight": torch.zeros(1)}, path)
    asked: list[Any] = []
    for name in set(CHECKPOINTS.values()):
        pipeline = getattr(diffusers, name)
        monkeypatch.setattr(
            pipeline,
            "from_single_file",
            classmethod(lambda cls, path, **options: asked.append((cls.__name__, path, options))),
        )
    load(str(path))
    assert asked == [
        (CHECKPOINTS[key], str(path), {"dtype": torch.float32, "use_safetensors": True})
    ]


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "model.ckpt").write_bytes(b"\x80\x04pickle")
    (tmp_path / "broken.safetensors").write_bytes(b"{}")
    save_file({"odd": torch.zeros(1)}, tmp_path / "odd.safetensors")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "model_index.json").write_text(json.dumps({"_class_name": "Nothing"}))
    for base, message in {
        "folder": "a folder without model_index.json",
        "model.ckpt": "not a .safetensors file; pickled checkpoints can run code",
        "broken.safetensors": "is not safetensors",
        "odd.safetensors": "not a checkpoint that is known here",
        "nowhere/at/all": "does not exist; give a diffusers folder",
        "bad": "could not be loaded",
    }.items():
        with pytest.raises(InputError, match=message) as told:
            load(str(tmp_path / base))
        assert "\n" not in str(told.value)
