"""Six files that diffusers 0.42 loads wrongly without an error: ours are right, or refused.

Each was seen with diffusers 0.42.1 and peft 0.21.2; the docstrings say what happens there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lorafusion import formats
from lorafusion.errors import WrongBase
from lorafusion.lora import DoRA
from lorafusion.pipelines import apply
from lorafusion.plan import Plan
from tests import tiny
from tests.formats.files import ATTENTION, kohya_tensors, low_rank, peft_tensors, saved

TEXT = "lora_te_text_model_encoder_layers_0_self_attn_"
SD3 = "lora_unet_joint_blocks_0_x_block_attn_qkv"


def test_kohya_for_sd3_is_applied(tmp_path: Path) -> None:
    """There: no converter; the names match nothing and a log line is all that happens."""
    tensors = {
        f"{SD3}.lora_down.weight": torch.randn(2, 8),
        f"{SD3}.lora_up.weight": torch.randn(24, 2),
    }
    deltas = formats.read(saved(tmp_path, tensors)).deltas
    assert set(deltas) == {f"transformer.transformer_blocks.0.attn.to_{x}" for x in "qkv"}
    whole = torch.cat([delta.dense() for delta in deltas.values()])
    torch.testing.assert_close(
        whole, tensors[f"{SD3}.lora_up.weight"] @ tensors[f"{SD3}.lora_down.weight"]
    )


def test_alpha_of_attention_is_its_own_beside_other_alphas(tmp_path: Path) -> None:
    """There: attention gets the convolutions' alpha when those are the majority."""
    attention = "lora_unet_" + f"{ATTENTION}.to_q".replace(".", "_")
    tensors = kohya_tensors(attention, rank=2, alpha=1.0)
    tensors |= kohya_tensors(f"{TEXT}q_proj", rank=2, alpha=1.0)
    for i in range(3):
        tensors |= kohya_tensors(f"lora_unet_down_blocks_{i}_resnets_0_conv1", rank=4, alpha=1.0)
    deltas = formats.read(saved(tmp_path, tensors)).deltas
    assert [delta.scale for delta in deltas.values()] == [0.5, 0.5, 0.25, 0.25, 0.25]


@pytest.mark.parametrize("which", [("q_proj", "k_proj", "v_proj"), ("q_proj", "v_proj")])
def test_a_text_encoder_without_out_proj_is_whole(which: tuple[str, ...], tmp_path: Path) -> None:
    """There: the spelling is guessed from ``to_out``; q, k and v are lost, or it is an error."""
    old = {"q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v"}
    layer = "text_encoder.text_model.encoder.layers.0.self_attn"
    tensors = {
        f"{layer}.{old[name]}_lora.{side}.weight": torch.randn(4, 4)
        for name in which
        for side in ("down", "up")
    }
    assert set(formats.read(saved(tmp_path, tensors)).deltas) == {f"{layer}.{n}" for n in which}


def test_a_lora_that_fits_half_is_refused(sd: Any, tmp_path: Path) -> None:
    """There: where some modules match, the others are only named in the log."""
    right = tiny.state_dict(sd, seed=1)
    wrong = peft_tensors("unet.down_blocks.9.attentions.0.transformer_blocks.0.attn1.to_q")
    lora = formats.read(saved(tmp_path, right | wrong))
    before = tiny.weights(sd)
    with (
        pytest.raises(WrongBase, match="1 of .* do not match"),
        apply(sd, Plan.of((lora,), torch.ones(1, 1, 1))),
    ):
        pass
    assert tiny.weights(sd) == before


@pytest.mark.parametrize("name", ["a", "detail_v1.0", "lora", "weight", "ä ö.b"])
def test_names_mean_nothing_to_the_model(name: str, sd: Any, tmp_path: Path) -> None:
    """There: a name that is part of a key, or has a dot, gives false warnings or a KeyError."""
    lora = formats.read(saved(tmp_path, tiny.state_dict(sd, seed=1), name=name))
    assert lora.name == name
    with apply(sd, Plan.of((lora,), torch.ones(1, 1, 1))):
        named = tiny.call(sd)
    plain = formats.read(saved(tmp_path, tiny.state_dict(sd, seed=1), name="plain"))
    with apply(sd, Plan.of((plain,), torch.ones(1, 1, 1))):
        assert torch.equal(tiny.call(sd), named)


def test_dora_is_not_taken_for_a_plain_lora(tmp_path: Path) -> None:
    """There: ``dora_scale`` is dropped with a warning, and the rest makes another picture."""
    name = "lora_unet_" + f"{ATTENTION}.to_q".replace(".", "_")
    tensors = kohya_tensors(name) | {f"{name}.dora_scale": torch.rand(6, 1) + 0.5}
    (delta,) = formats.read(saved(tmp_path, tensors)).deltas.values()
    assert isinstance(delta, DoRA)
    base = low_rank((6, 5), 5, seed=3).dense()
    trained = base + delta.dense_on(base)
    torch.testing.assert_close(trained.norm(dim=1), tensors[f"{name}.dora_scale"][:, 0])
