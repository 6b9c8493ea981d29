"""The training recipe runs through at a size of seconds, and its parts do what they say."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from lorafusion.pocket import world

pytest.importorskip("peft")
pytest.importorskip("tokenizers")
pytest.importorskip("recipes.pocket", reason="the recipes are not beside the tests")

from recipes.pocket import __main__ as command
from recipes.pocket import autoencoder, base, tokens
from recipes.pocket.clock import Clock, chance
from recipes.pocket.lessons import CAPTIONS
from recipes.pocket.lora_files import cut, pack, to_kohya
from recipes.pocket.muon import Muon, orthogonal, shares
from recipes.pocket.plans import LoraPlan
from recipes.pocket.settings import TINY, Settings

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

    shipped = (work / "loras" / "guitar.safetensors").stat().st_mtime_ns
    command.run(TINY, work, out, ["base", "loras"], ["guitar"])
    assert (work / "loras" / "guitar.safetensors").stat().st_mtime_ns == shipped
    longer = replace(TINY, lora_steps=5)
    command.run(longer, work, out, ["loras"], ["guitar"])
    assert (work / "loras" / "guitar.safetensors").stat().st_mtime_ns > shipped
    assert json.loads((work / "loras" / "guitar.train.json").read_text())["steps"] == 5
    assert json.loads((work / "base.json").read_text())["steps"] == steps
    found = command.report(TINY, work, out)
    assert found["base"] == json.loads((work / "base.json").read_text())


@needs_font
def test_one_autoencoder_step_lowers_the_loss() -> None:
    vae = autoencoder.build(TINY)
    batch = autoencoder.pictures(range(8))
    optimiser = Muon(vae.named_parameters(), 0.02, 1e-3, all_muon=True)
    generator = torch.Generator().manual_seed(0)
    losses: list[float] = []
    for _ in range(12):
        value = autoencoder.loss(vae, batch, generator)
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


def test_a_clock_goes_on_where_it_stopped() -> None:
    clock = Clock(4, 2)
    assert not clock.tick(8, 1.0)
    assert clock.tick(8, 0.5)
    clock.log(psnr=3.0)
    later = Clock(4, 2)
    later.restore(clock.state())
    assert (later.steps, later.images) == (2, 16)
    assert later.curve[0]["loss"] == 0.75
    assert later.factor(warm=1) == pytest.approx(0.5)
    assert later.seconds() >= clock.curve[0]["seconds"]
    later.tick(8, 1.0)
    assert later.running()
    assert later.tick(8, 1.0)
    assert not later.running()


def test_every_step_and_process_has_its_own_chance() -> None:
    seeds = {chance(seed, step, rank) for seed in (0, 1) for step in range(20) for rank in (0, 1)}
    assert len(seeds) == 80
    assert chance(0, 3, 1) == chance(0, 3, 1)


def _lessons(work: Path) -> Path:
    """A work folder with a tokenizer and made-up latents and captions."""
    work.mkdir()
    tokenizer = tokens.train(TINY, work)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(len(tokenizer), (48, CAPTIONS, TINY.length), generator=generator)
    latents = torch.randn(48, TINY.latents, 8, 8, generator=generator)
    torch.save({"latents": latents.half(), "tokens": ids.short()}, work / "lessons.pt")
    return work


def _train(settings: Settings, work: Path) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    """Curve without times, and averaged weights, of a training of the base."""
    done = base.train(settings, work, autoencoder.build(settings), tokens.load(work))
    curve = [{**row, "seconds": 0} for row in done.clock.curve]
    return curve, done.average.state_dict()


def test_one_seed_gives_one_curve(tmp_path: Path) -> None:
    first = _lessons(tmp_path / "first")
    curves = []
    for name, seed in (("same", 0), ("again", 0), ("other", 1)):
        shutil.copytree(first, tmp_path / name)
        curves.append(_train(replace(TINY, seed=seed), tmp_path / name)[0])
    assert curves[0] == curves[1]
    assert curves[0] != curves[2]


def test_shares_are_complete_and_about_equal() -> None:
    costs = [9, 1, 5, 4, 7, 3, 1]
    found = shares(costs, 3)
    assert sorted(place for one in found for place in one) == list(range(7))
    assert [sum(costs[place] for place in one) for one in found] == [10, 10, 10]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_training_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    settings = replace(TINY, workers=workers)
    whole, killed = _lessons(tmp_path / "whole"), tmp_path / "killed"
    save = base.Run.save

    def save_and_keep(run: base.Run, work: Path) -> None:
        save(run, work)
        if run.clock.steps == 4:
            shutil.copytree(work, killed)

    with monkeypatch.context() as patch:
        patch.setattr(base.Run, "save", save_and_keep)
        curve, weights = _train(settings, whole)
    assert [row["step"] for row in curve] == [2, 4, 6]
    assert json.loads((killed / "base.json").read_text())["steps"] == 4
    again, resumed = _train(settings, killed)
    assert again == curve
    assert all(torch.equal(resumed[key], weights[key]) for key in weights)
    untrained = base.build(settings, tokens.load(whole))[0].state_dict()
    still = [key for key in untrained if torch.equal(untrained[key], weights[f"unet.{key}"])]
    assert still == []


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


def test_a_lora_that_learned_at_a_higher_rank_ships_as_the_nearest_of_its_own(
    tmp_path: Path,
) -> None:
    draw = torch.Generator().manual_seed(0)
    layer, conv = "unet.mid_block.attentions.0.proj_in", "unet.mid_block.resnets.0.conv1"
    learned = {
        f"{layer}.lora_A.weight": torch.randn(6, 10, generator=draw),
        f"{layer}.lora_B.weight": torch.randn(8, 6, generator=draw),
        f"{conv}.lora_A.weight": torch.randn(6, 4, 3, 3, generator=draw),
        f"{conv}.lora_B.weight": torch.randn(8, 6, 1, 1, generator=draw),
    }

    def product(tensors: dict[str, Tensor], name: str) -> Tensor:
        down, up = (tensors[f"{name}.lora_{side}.weight"].flatten(1) for side in "AB")
        return up.double() @ down.double()

    found = cut(learned, 3)
    for name in (layer, conv):
        whole = product(learned, name)
        left, values, right = torch.linalg.svd(whole, full_matrices=False)
        nearest = left[:, :3] * values[:3] @ right[:3]
        assert torch.allclose(product(found, name), nearest, atol=1e-5)
    assert found[f"{conv}.lora_A.weight"].shape == (3, 4, 3, 3)
    assert found[f"{conv}.lora_B.weight"].shape == (8, 3, 1, 1)
    settings = json.dumps({"unet.r": 6, "unet.lora_alpha": 12})
    save_file(learned, tmp_path / "in", metadata={"lora_adapter_metadata": settings})
    pack(tmp_path / "in", LoraPlan("volcano", 3, 6, True, "diffusers", learned=6), tmp_path)
    with safe_open(tmp_path / "volcano.safetensors", "pt") as file:
        told = json.loads(file.metadata()["lora_adapter_metadata"])
        assert told == {"unet.r": 3, "unet.lora_alpha": 6}
        assert file.get_tensor(f"{layer}.lora_A.weight").shape == (3, 10)
