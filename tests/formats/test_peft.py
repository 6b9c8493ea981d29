from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from lorafusion import formats
from lorafusion.errors import BadOption, UnreadableFile
from lorafusion.formats import peft_config
from lorafusion.lora import Dense, LoRA
from tests.formats.files import ATTENTION, FC1, TO_Q, WRITABLE, low_rank, peft_tensors, saved

PATH = TO_Q.removeprefix("unet.")
TO_OUT = f"unet.{ATTENTION}.to_out.0"
Q_PROJ = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"
OUT_PROJ = "text_encoder.text_model.encoder.layers.0.self_attn.out_proj"
JOINT = "transformer.transformer_blocks.0.attn.to_q"

SPELLINGS = [
    (f"{TO_Q}.lora_A.weight", f"{TO_Q}.lora_B.weight", TO_Q),
    (f"{TO_Q}.lora_A.default.weight", f"{TO_Q}.lora_B.default.weight", TO_Q),
    (f"{TO_Q}.lora.down.weight", f"{TO_Q}.lora.up.weight", TO_Q),
    (f"unet.{ATTENTION}.processor.to_q_lora.down.weight",
     f"unet.{ATTENTION}.processor.to_q_lora.up.weight", TO_Q),
    (f"unet.{ATTENTION}.processor.to_out_lora.down.weight",
     f"unet.{ATTENTION}.processor.to_out_lora.up.weight", TO_OUT),
    (f"{ATTENTION}.processor.to_q_lora.down.weight",
     f"{ATTENTION}.processor.to_q_lora.up.weight", TO_Q),
    (f"base_model.model.{PATH}.lora_A.weight", f"base_model.model.{PATH}.lora_B.weight", TO_Q),
    ("base_model.model.transformer_blocks.0.attn.to_q.lora_A.weight",
     "base_model.model.transformer_blocks.0.attn.to_q.lora_B.weight", JOINT),
    (f"{FC1}.lora_linear_layer.down.weight", f"{FC1}.lora_linear_layer.up.weight", FC1),
    (f"{FC1.replace('text_model.', '')}.lora_A.weight",
     f"{FC1.replace('text_model.', '')}.lora_B.weight", FC1),
    (f"{Q_PROJ.replace('q_proj', 'to_q_lora')}.down.weight",
     f"{Q_PROJ.replace('q_proj', 'to_q_lora')}.up.weight", Q_PROJ),
    (f"{OUT_PROJ.replace('out_proj', 'to_out_lora')}.down.weight",
     f"{OUT_PROJ.replace('out_proj', 'to_out_lora')}.up.weight", OUT_PROJ),
]  # fmt: skip


def read(
    folder: Path, settings: dict[str, Any] | None, tensors: dict[str, torch.Tensor] | None = None
) -> LoRA:
    metadata = None if settings is None else {peft_config.KEY: json.dumps(settings)}
    return formats.read(saved(folder, tensors or peft_tensors(rank=4), metadata))


@pytest.mark.parametrize(("down", "up", "target"), SPELLINGS)
def test_every_spelling_is_read(down: str, up: str, target: str, tmp_path: Path) -> None:
    tensors = {down: torch.randn(2, 5), up: torch.randn(6, 2)}
    deltas = formats.read(saved(tmp_path, tensors)).deltas
    assert list(deltas) == [target]
    assert torch.equal(deltas[target].down, tensors[down])
    assert torch.equal(deltas[target].up, tensors[up])
    assert deltas[target].scale == 1.0


@pytest.mark.parametrize(("settings", "scale"), [
    (None, 1.0),
    ({}, 1.0),
    ({"text_encoder.r": 9, "text_encoder.lora_alpha": 1}, 1.0),
    ({"unet.r": 4, "unet.lora_alpha": 8}, 2.0),
    ({"unet.r": 4, "unet.lora_alpha": 1.5}, 0.375),
    ({"unet.r": 4}, 2.0),
    ({"unet.r": 4, "unet.lora_alpha": 8, "unet.use_rslora": True}, 8 / math.sqrt(4)),
    ({"unet.r": 9, "unet.lora_alpha": 9, "unet.rank_pattern": {"to_q": 4}}, 2.25),
    ({"unet.r": 4, "unet.lora_alpha": 4, "unet.alpha_pattern": {f"^{PATH}": 2}}, 0.5),
    ({"unet.r": 4, "unet.lora_alpha": 4, "unet.alpha_pattern": {"attn1.to_q": 2}}, 0.5),
    ({"unet.r": 4, "unet.lora_alpha": 4, "unet.alpha_pattern": {r".*attn[12]": 2}}, None),
    ({"unet.r": 4, "unet.lora_alpha": 4, "unet.alpha_pattern": {r".*\.attn1\.to_(q|k)": 2}}, 0.5),
    ({"unet.r": 4, "unet.lora_alpha": 4, "unet.alpha_pattern": {"o_q": 2, "to_k": 3}}, 1.0),
    ({"unet.r": 4, "unet.lora_alpha": 4, "unet.alpha_pattern": {"to_q": 2, PATH: 3}}, 0.5),
])  # fmt: skip
def test_the_scale_is_the_headers(
    settings: dict[str, Any] | None, scale: float | None, tmp_path: Path
) -> None:
    if scale is None:
        with pytest.raises(UnreadableFile, match="expected module paths"):
            read(tmp_path, settings)
    else:
        assert read(tmp_path, settings).deltas[TO_Q].scale == scale


@pytest.mark.parametrize(("settings", "seen"), [
    ({"unet.use_dora": True}, "DoRA"),
    ({"unet.lora_bias": True}, "biases"),
    ({"unet.modules_to_save": ["conv_in"]}, "whole modules"),
    ({"unet.init_lora_weights": "pissa_niter_4"}, "changes the base model"),
    ({"unet.r": 8, "unet.lora_alpha": 8}, "rank 4 but the header says 8"),
    ({"unet.r": "four"}, "expected a number"),
    ({"unet.lora_alpha": True}, "expected a number"),
    ({"unet.alpha_pattern": [1]}, "not a table of numbers"),
    ({"unet.alpha_pattern": {"to_q": "x"}}, "not a table of numbers"),
    ({"unet.alpha_pattern": {"(": 1}}, "expected module paths"),
    ({"unet.alpha_pattern": {"(a+)+": 1}}, "expected module paths"),
    ({"unet.alpha_pattern": {".*.*.*.*": 1}}, "expected module paths"),
    ([1, 2], "not a table"),
])  # fmt: skip
def test_a_header_that_cannot_be_followed_is_refused(
    settings: dict[str, Any], seen: str, tmp_path: Path
) -> None:
    with pytest.raises(UnreadableFile) as caught:
        read(tmp_path, settings)
    assert seen in str(caught.value)


def test_a_header_that_is_not_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="is not JSON"):
        formats.read(saved(tmp_path, peft_tensors(), {peft_config.KEY: "{"}))


def test_an_alpha_beside_the_matrices_counts(tmp_path: Path) -> None:
    tensors = peft_tensors(rank=4) | {f"{TO_Q}.alpha": torch.tensor(2.0, dtype=torch.float16)}
    assert read(tmp_path, None, tensors).deltas[TO_Q].scale == 0.5
    agreeing = {"unet.r": 4, "unet.lora_alpha": 2.001}
    assert read(tmp_path, agreeing, tensors).deltas[TO_Q].scale == 0.5
    with pytest.raises(UnreadableFile, match=r"makes the scale 0\.5 but the header 1"):
        read(tmp_path, {"unet.r": 4, "unet.lora_alpha": 4}, tensors)


def test_an_adapter_is_read_with_the_settings_beside_it(tmp_path: Path) -> None:
    tensors = peft_tensors(f"base_model.model.{PATH}", rank=4)
    path = saved(tmp_path, tensors, name="adapter_model")
    assert formats.read(path).deltas[TO_Q].scale == 1.0
    (tmp_path / "adapter_config.json").write_text('{"r": 4, "lora_alpha": 8, "use_dora": false}')
    lora = formats.read(path)
    assert lora.deltas[TO_Q].scale == 2.0
    assert peft_config.KEY not in lora.metadata
    (tmp_path / "adapter_config.json").write_bytes(b"\xff\xff")
    with pytest.raises(UnreadableFile, match="fetch both files"):
        formats.read(path)


@pytest.mark.parametrize("target", ["vae.conv_in", "unet", "unet.a.to_q_lora.b.alpha.processor.c"])
def test_what_peft_cannot_spell_is_not_written(target: str, tmp_path: Path) -> None:
    lora = LoRA("a", {target: low_rank((6, 5))})
    with pytest.raises(BadOption, match="cannot be written"):
        formats.write(lora, tmp_path / "a.safetensors", "peft")


@pytest.mark.parametrize("form", WRITABLE)
def test_other_kinds_are_not_written(form: str, tmp_path: Path) -> None:
    lora = LoRA("a", {TO_Q: Dense(torch.ones(6, 5))})
    with pytest.raises(BadOption, match="is a full difference; files are written in low rank"):
        formats.write(lora, tmp_path / "a.safetensors", form)
    assert not list(tmp_path.iterdir())


def test_names_of_the_original_code_are_read_only(tmp_path: Path) -> None:
    lora = LoRA("a", {TO_Q: low_rank((6, 5))})
    with pytest.raises(BadOption, match="read only; write 'peft' or 'kohya'"):
        formats.write(lora, tmp_path / "a.safetensors", "comfy")
