"""The training recipe runs through at a size of seconds, and its parts do what they say."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from lorafusion.pocket import world

pytest.importorskip("peft")
pytest.importorskip("tokenizers")
pytest.importorskip("recipes.pocket", reason="the recipes are not beside the tests")

from recipes.pocket import __main__ as command
from recipes.pocket import autoencoder
from recipes.pocket.clock import Clock
from recipes.pocket.lora_files import to_kohya
from recipes.pocket.muon import Muon, orthogonal
from recipes.pocket.settings import TINY

needs_font = pytest.mark.skipif(
    world.font_path() is None, reason="the font NotoColorEmoji.ttf is not installed"
)


@needs_font
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_whole_recipe_runs_and_resumes(tmp_path: Path) -> None:
    work, out = tmp_path / "work", tmp_path / "out"
    command.run(TINY, work, out, command.STEPS, ["guitar"])
    steps = json.loads((work / "base.json").read_text())["steps"]
    assert steps > 0
    assert (out / "base" / "model_index.json").is_file()
    with safe_open(out / "loras" / "guitar.safetensors", "pt") as file:
        assert file.metadata()["ss_network_dim"] == "6"
    weights = load_file(out / "loras" / "guitar.safetensors")
    moved = [key for key in weights if key.endswith("lora_up.weight") and weights[key].any()]
    assert len(moved) > 20
    assert any(key.startswith("lora_te_text_model_encoder_layers_0_") for key in moved)

    command.run(TINY, work, out, ["base"], [])
    assert json.loads((work / "base.json").read_text())["steps"] == steps
    found = command.report(TINY, work, out)
    assert found["base"] == json.loads((work / "base.json").read_text())


@needs_font
def test_one_autoencoder_step_lowers_the_loss() -> None:
    vae = autoencoder.build(TINY)
    batch = autoencoder.pictures(range(8))
    optimiser = Muon(vae.named_parameters(), 0.02, 1e-3, all_muon=True)
    losses: list[float] = []
    for _ in range(12):
        value = autoencoder.loss(vae, batch)
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step(1.0)
        losses.append(float(value.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_normalising_latents_leaves_reconstructions_alone() -> None:
    torch.manual_seed(0)
    vae = autoencoder.build(TINY).eval()
    batch = torch.rand(6, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        before = vae.decode(vae.encode(batch).latent_dist.mode()).sample
        autoencoder.normalise(vae, batch)
        latents = vae.encode(batch).latent_dist.mode()
        after = vae.decode(latents).sample
    assert torch.allclose(before, after, atol=1e-4)
    assert latents.mean(dim=(0, 2, 3)).abs().max() < 1e-3
    assert latents.std() < 1.01


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8)])
def test_orthogonal_updates_have_singular_values_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonal(matrix, steps=8))
    assert values.min() > 0.5
    assert values.max() < 1.5


def test_a_clock_goes_on_where_it_stopped(tmp_path: Path) -> None:
    clock = Clock(minutes=1.0, spent=30.0)
    clock.tick(8)
    clock.log(loss=0.5)
    clock.write(tmp_path / "clock.json")
    later = Clock.resumed(tmp_path / "clock.json", 1.0)
    assert later.steps == 1
    assert later.images == 8
    assert later.curve[0]["loss"] == 0.5
    assert 0.5 <= later.progress() < 0.6
    assert Clock.resumed(tmp_path / "none.json", 1.0).progress() < 0.1


def test_kohya_names() -> None:
    down, up = torch.ones(2, 4), torch.ones(4, 2)
    layer = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0"
    text = "text_encoder.text_model.encoder.layers.1.mlp.fc1"
    found = to_kohya(
        {
            f"{layer}.lora_A.weight": down,
            f"{layer}.lora_B.weight": up,
            f"{text}.lora_A.weight": down,
            f"{text}.lora_B.weight": up,
        },
        alpha=3,
    )
    name = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_out_0"
    assert set(found) == {
        f"{stem}.{end}"
        for stem in (name, "lora_te_text_model_encoder_layers_1_mlp_fc1")
        for end in ("lora_down.weight", "lora_up.weight", "alpha")
    }
    assert found[f"{name}.alpha"] == 3
