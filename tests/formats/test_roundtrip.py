"""Write-then-read is the identity, in every format."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lorafusion import formats
from lorafusion.formats import peft_config
from lorafusion.formats.alpha import alpha_of, as_tensor
from lorafusion.lora import LoRA
from tests.fixtures.keys import architectures as arch
from tests.formats.files import WRITABLE, assert_same, low_rank

TEXT = "text_model.encoder.layers.0"
UNET = [
    "conv_in", "conv_out", "time_embedding.linear_1", "down_blocks.0.resnets.0.conv1",
    "down_blocks.0.downsamplers.0.conv", "mid_block.resnets.1.time_emb_proj",
    "down_blocks.1.attentions.0.proj_in", "up_blocks.0.resnets.2.conv_shortcut",
    "up_blocks.0.upsamplers.0.conv", "up_blocks.1.upsamplers.0.conv",
    "up_blocks.1.attentions.2.transformer_blocks.0.attn2.to_out.0",
    "down_blocks.1.attentions.0.transformer_blocks.0.ff.net.0.proj",
]  # fmt: skip
TARGETS = (
    *(f"unet.{path}" for path in UNET),
    f"text_encoder.{TEXT}.self_attn.q_proj",
    f"text_encoder.{TEXT}.mlp.fc2",
    f"text_encoder_2.{TEXT}.self_attn.out_proj",
    "text_encoder_2.text_projection",
)
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
SHAPES = [(4, 3), (5, 2), (3, 4, 3, 3), (2, 6, 1, 1)]

scales = st.floats(-1e6, 1e6, allow_subnormal=False) | st.sampled_from([1.0, 0.5, 1 / 3, 0.8, 0.0])
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


# Made into a LoRA inside the tests: shape checks draw lots, which hypothesis forbids in strategies.
deltas = st.tuples(
    st.sampled_from(SHAPES), st.integers(1, 7), scales, st.sampled_from(DTYPES), st.integers(0, 999)
)
specs = st.fixed_dictionaries(
    {
        "deltas": st.dictionaries(st.sampled_from(TARGETS), deltas, min_size=1, max_size=6),
        "family": st.sampled_from(["unknown", "sd15", "pocket", "sdxl"]),
        "category": words,
        "triggers": st.lists(words, max_size=3).map(tuple),
        "metadata": st.dictionaries(words, words, max_size=3),
    }
)


def made(spec: dict[str, Any]) -> LoRA:
    drawn = {path: low_rank(*delta) for path, delta in spec["deltas"].items()}
    return LoRA("drawn", **{**spec, "deltas": drawn})


@pytest.mark.parametrize("form", WRITABLE)
@given(spec=specs)
def test_what_is_written_is_what_is_read(form: str, spec: dict[str, Any]) -> None:
    lora = made(spec)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.safetensors"
        formats.write(lora, path, form)
        back = formats.read(path)
        assert_same(back, lora)
        assert back.name == "drawn"
        assert (back.category, back.triggers) == (lora.category, lora.triggers)
        assert lora.metadata.items() <= back.metadata.items()
        again = Path(folder) / "again.safetensors"
        formats.write(replace(back, family=lora.family), again, form)
        assert again.read_bytes() == path.read_bytes()


@given(spec=specs)
def test_one_format_leads_to_the_other_and_back(spec: dict[str, Any]) -> None:
    lora = made(spec)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.safetensors"
        for form in ("kohya", "peft", "kohya"):
            formats.write(lora, path, form)
            lora = formats.read(path)
            assert (peft_config.KEY in lora.metadata) == (form == "peft")
        formats.write(lora, path, "peft")
        assert_same(formats.read(path), lora)


def test_a_transformer_is_written_as_peft(tmp_path: Path) -> None:
    shapes = arch.layers(arch.transformer("flux"))
    wanted = {f"transformer.{path}": shape for path, shape in shapes.items() if ".to_" in path}
    small = {path: (shape[0] // 64, shape[1] // 64) for path, shape in wanted.items()}
    lora = LoRA("flux", {path: low_rank(shape, 2, 0.3) for path, shape in small.items()})
    path = tmp_path / "flux.safetensors"
    formats.write(lora, path, "peft")
    back = formats.read(path)
    assert_same(back, lora)
    assert back.family == "flux"


@given(alpha=st.floats(-1e4, 1e4, width=32), rank=st.integers(1, 320))
def test_alphas_of_real_files_come_back_as_float32(alpha: float, rank: int) -> None:
    stored = as_tensor(alpha_of(alpha / rank, rank))
    assert float(stored) / rank == alpha / rank


@given(scale=scales, rank=st.integers(1, 320))
def test_alpha_is_the_nearest_there_is(scale: float, rank: int) -> None:
    back = float(as_tensor(alpha_of(scale, rank))) / rank
    assert back == pytest.approx(scale, rel=1e-15, abs=0)


def test_a_scale_that_no_alpha_spells_is_noted_in_the_header(tmp_path: Path) -> None:
    # The quotients by 3 skip this float.
    scale = next(s for s in (0.4 + i * 2**-54 for i in range(64)) if alpha_of(s, 3) / 3 != s)
    lora = LoRA("odd", {TARGETS[0]: low_rank((4, 3), 3, scale)})
    path = tmp_path / "odd.safetensors"
    formats.write(lora, path, "kohya")
    assert formats.read(path).deltas[TARGETS[0]].scale == scale


def test_a_module_whose_path_ends_another_keeps_its_own_alpha(tmp_path: Path) -> None:
    blocks = [f"transformer.single_transformer_blocks.{i}.proj_out" for i in range(2)]
    deltas = {path: low_rank((4, 3), 2, 1.0) for path in blocks}
    lora = LoRA("flux", deltas | {"transformer.proj_out": low_rank((4, 3), 3, 0.5)})
    path = tmp_path / "flux.safetensors"
    formats.write(lora, path, "peft")
    assert_same(formats.read(path), lora)


@pytest.mark.parametrize("form", WRITABLE)
def test_targets_come_in_the_order_of_the_file(form: str, tmp_path: Path) -> None:
    lora = LoRA("many", {path: low_rank((4, 3)) for path in reversed(TARGETS)})
    path = tmp_path / "many.safetensors"
    formats.write(lora, path, form)
    in_header = formats.FORMATS[form].read(formats.header(path).blanks(), {})
    assert list(formats.read(path).deltas) == list(in_header)
