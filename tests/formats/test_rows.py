"""Flux and Stable Diffusion 3 in kohya's names: the fused modules of the original code, exactly."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lorafusion import formats
from lorafusion.errors import BadOption
from lorafusion.formats.rows import side_by_side
from lorafusion.lora import LoRA, LowRank
from tests.formats.files import low_rank

ONE = "transformer.single_transformer_blocks.3"
TWO = "transformer.transformer_blocks.3"
TARGETS = {
    "flux": {
        **{f"{TWO}.attn.to_{x}": (8, 8) for x in "qkv"},
        **{f"{TWO}.attn.add_{x}_proj": (8, 8) for x in "qv"},
        **{f"{ONE}.attn.to_{x}": (8, 8) for x in "qk"},
        f"{ONE}.proj_mlp": (32, 8), f"{ONE}.proj_out": (8, 40), f"{TWO}.ff.net.0.proj": (32, 8),
        f"{TWO}.norm1.linear": (48, 8),
        "text_encoder.text_model.encoder.layers.0.self_attn.q_proj": (768, 768),
        "text_encoder_2.encoder.block.0.layer.0.SelfAttention.q": (4096, 4096),
        "text_encoder_2.encoder.block.0.layer.1.DenseReluDense.wi_0": (10240, 4096),
    },
    "sd3": {
        **{f"{TWO}.attn.to_{x}": (1536, 1536) for x in "qkv"},
        f"{TWO}.attn.add_k_proj": (1536, 1536), f"{TWO}.attn2.to_v": (1536, 1536),
        f"{TWO}.ff_context.net.2": (1536, 6144),
        "text_encoder.text_model.encoder.layers.0.self_attn.q_proj": (768, 768),
        "text_encoder_2.text_model.encoder.layers.0.mlp.fc1": (5120, 1280),
        "text_encoder_3.encoder.block.1.layer.0.SelfAttention.o": (4096, 4096),
    },
}  # fmt: skip


def made(family: str) -> LoRA:
    shapes = TARGETS[family].items()
    deltas = {
        path: low_rank(shape, 1 + i % 3, 0.3, seed=i) for i, (path, shape) in enumerate(shapes)
    }
    return LoRA("a", deltas, family=family)


@pytest.mark.parametrize("family", TARGETS)
def test_what_is_written_in_kohyas_names_is_read_with_equal_changes(
    family: str, tmp_path: Path
) -> None:
    lora = made(family)
    path = tmp_path / "a.safetensors"
    formats.write(lora, path, "kohya")
    keys = formats.header(path).keys
    start = {
        "flux": "lora_unet_single_blocks_3_linear1.",
        "sd3": "lora_unet_joint_blocks_3_x_block_attn_qkv.",
    }
    assert f"{start[family]}alpha" in keys
    assert not [key for key in keys if "to_q" in key]
    back = formats.read(path)
    assert back.family == family
    assert lora.deltas.keys() <= back.deltas.keys()
    for target, delta in back.deltas.items():
        if target not in lora.deltas:  # a neighbour in the same fused module
            assert not (delta.dense() != 0).any()
            continue
        right = lora.deltas[target].dense(torch.float64)
        assert (delta.dense(torch.float64) - right).norm() <= 1e-6 * right.norm()


def test_pieces_of_one_module_get_their_rank_back() -> None:
    whole = low_rank((24, 8), 4, 0.5)
    pieces = [(whole.rows(8 * i, 8 * i + 8), 1) for i in range(3)]
    joined = side_by_side(pieces)
    assert (joined.rank, joined.scale) == (4, 0.5)
    assert torch.equal(joined.up, whole.up)
    assert torch.equal(joined.down, whole.down)


def test_shapes_that_make_no_module_are_refused() -> None:
    pieces = [(low_rank((8, 8), 2), 1), (low_rank((12, 8), 2), 1)]
    with pytest.raises(BadOption, match="do not make one module"):
        side_by_side(pieces)


def test_a_module_without_an_original_name_is_refused(tmp_path: Path) -> None:
    deltas = made("flux").deltas | {
        "transformer.x_embedder": LowRank(torch.ones(1, 4), torch.ones(4, 1), 1.0)
    }
    with pytest.raises(BadOption, match="x_embedder has no name in kohya's format"):
        formats.write(LoRA("a", deltas, family="flux"), tmp_path / "a.safetensors", "kohya")


def test_diffusers_own_kohya_reader_finds_the_same_changes_of_flux(tmp_path: Path) -> None:
    from diffusers.loaders.lora_conversion_utils import _convert_kohya_flux_lora_to_diffusers
    from safetensors.torch import load_file

    wide = 3072
    one, two = "transformer.single_transformer_blocks.0", "transformer.transformer_blocks.0"
    shapes = {
        **{f"{two}.attn.to_{x}": (wide, wide) for x in "qkv"},
        **{f"{two}.attn.add_{x}_proj": (wide, wide) for x in "qkv"},
        f"{two}.attn.to_out.0": (wide, wide), f"{two}.ff.net.0.proj": (4 * wide, wide),
        **{f"{one}.attn.to_{x}": (wide, wide) for x in "qkv"},
        f"{one}.proj_mlp": (4 * wide, wide), f"{one}.proj_out": (wide, 5 * wide),
    }  # fmt: skip
    deltas = {
        path: low_rank(shape, 2, 0.3, seed=i) for i, (path, shape) in enumerate(shapes.items())
    }
    formats.write(LoRA("a", deltas, family="flux"), tmp_path / "a.safetensors", "kohya")
    found = _convert_kohya_flux_lora_to_diffusers(load_file(tmp_path / "a.safetensors"))
    columns = torch.randn(5 * wide, 3, generator=torch.Generator().manual_seed(0))
    for path, delta in deltas.items():
        down, up = (found.pop(f"{path}.lora_{side}.weight").double() for side in "AB")
        probe = columns[: delta.shape[1]].double()
        ours = delta.scale * delta.up.double() @ (delta.down.double() @ probe)
        assert torch.linalg.norm(up @ (down @ probe) - ours) <= 1e-5 * torch.linalg.norm(ours)
    assert found == {}
