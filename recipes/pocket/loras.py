"""Train one LoRA per individual on the finished base model."""

import hashlib
import json
import multiprocessing
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from torch import nn
from transformers import CLIPTextModel

from lorafusion.pocket import world
from recipes.pocket.base import loss, plain_attention, schedule
from recipes.pocket.clock import Clock, chance
from recipes.pocket.lessons import CAPTIONS, Lessons, encode, tokenised
from recipes.pocket.lora_files import adapter_settings, write_diffusers
from recipes.pocket.muon import Muon
from recipes.pocket.plans import LoraPlan
from recipes.pocket.settings import Settings

UNET_TARGETS = [
    "to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2",
    "conv1", "conv2",
]  # fmt: skip
TEXT_TARGETS = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
_OTHERS = 0.2
"""Share of scenes without the individual, so that a LoRA leaves the rest of its category alone."""


def scenes(settings: Settings, one: world.Individual, times: int = 1) -> list[world.Scene]:
    """What a LoRA learns from: its individual in all sorts of company, and a few scenes without."""
    first = 3_000_000_000 + 1_000_000 * sum(one.name.encode())
    made: list[world.Scene] = []
    rates = dict(world.RATES) | {"style": 0.15}
    wanted = {one.category: world.Element(one.word, individual=True)}
    for seed in range(first, first + times * settings.lora_scenes):
        without = np.random.default_rng(seed).random() < _OTHERS
        scene = world.sample(seed, None if without else wanted, rates)
        if without and getattr(scene, one.category) is not None:
            scene = _without(scene, one)
        made.append(scene)
    return made


def _without(scene: world.Scene, one: world.Individual) -> world.Scene:
    """The scene with another class in place of the individual's."""
    present = cast("world.Element", getattr(scene, one.category))
    others = [word for word in world.words(one.category) if word != one.word]
    word = present.word if present.word != one.word else others[scene.seed % len(others)]
    return scene.changed({one.category: replace(present, word=word)})


def lessons(
    settings: Settings, pipe: StableDiffusionPipeline, shown: Sequence[world.Scene]
) -> Lessons:
    """Latents and captions of scenes."""
    drawn = np.stack([world.render(scene) for scene in shown])
    pictures = torch.from_numpy(drawn).permute(0, 3, 1, 2).float() / 127.5 - 1
    vae = cast("AutoencoderKL", pipe.vae)
    parts = [encode(vae, part.to(settings.device), settings.half) for part in pictures.split(128)]
    texts = [world.caption(scene, variant) for scene in shown for variant in range(CAPTIONS)]
    ids = tokenised(pipe.tokenizer, texts, settings.length)
    return Lessons(torch.cat(parts).cpu(), ids.view(len(shown), CAPTIONS, -1))


def train_all(settings: Settings, base: Path, plans: Sequence[LoraPlan], work: Path) -> None:
    """Train several LoRAs, some at once: such small steps use one thread better than many.

    Those that are finished, by as many steps on the same base, are left alone.

    Args:
        settings: the recipe.
        base: the saved base model.
        plans: which LoRAs.
        work: folder of checkpoints.
    """
    made_from = fingerprint(base)
    jobs = [(settings, base, plan, work, made_from) for plan in plans
            if not finished(settings, plan, work, made_from)]  # fmt: skip
    if settings.lora_workers == 1:
        for job in jobs:
            train(*job)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(settings.lora_workers, torch.set_num_threads, (1,), 1) as pool:
        pool.starmap(train, jobs, chunksize=1)


def fingerprint(base: Path) -> str:
    """SHA-256 of all the base's weights."""
    found = hashlib.sha256()
    for path in sorted(base.glob("*/*.safetensors")):
        found.update(path.read_bytes())
    return found.hexdigest()


def finished(settings: Settings, plan: LoraPlan, work: Path, made_from: str) -> bool:
    """Whether a LoRA of this recipe and base is there already.

    Args:
        settings: the recipe.
        plan: which LoRA.
        work: folder of checkpoints.
        made_from: the base's `fingerprint`.
    """
    log = work / "loras" / f"{plan.name}.train.json"
    if not log.is_file() or not log.with_name(f"{plan.name}.safetensors").is_file():
        return False
    saved = json.loads(log.read_text())
    return bool(saved["steps"] == plan.times * settings.lora_steps and saved["base"] == made_from)


def train(settings: Settings, base: Path, plan: LoraPlan, work: Path, made_from: str) -> Clock:
    """Train one LoRA and write work/loras/<name>.safetensors in diffusers' format.

    Args:
        settings: the recipe.
        base: the saved base model.
        plan: which LoRA.
        work: folder of checkpoints.
        made_from: the base's `fingerprint`.
    Returns:
        The clock with the training's log.
    """
    shown = scenes(settings, world.INDIVIDUALS[plan.name], plan.scenes)
    target = work / "loras" / f"{plan.name}.safetensors"
    return teach(settings, base, plan, shown, (target, made_from))


def teach(
    settings: Settings, base: Path, plan: LoraPlan, shown: Sequence[world.Scene],
    file: tuple[Path, str],
) -> Clock:  # fmt: skip
    """Train one LoRA on these scenes.

    Args:
        settings: the recipe.
        base: the saved base model.
        plan: its sizes.
        shown: what it learns from.
        file: where to write it, in diffusers' format, and the base's `fingerprint`.
    Returns:
        The clock with the training's log, which is written beside the file.
    """
    pipe = StableDiffusionPipeline.from_pretrained(base, dtype=torch.float32)
    known = lessons(settings, pipe, shown)
    unet = cast("UNet2DConditionModel", pipe.unet).to(settings.device).requires_grad_(False)
    text = cast("CLIPTextModel", pipe.text_encoder).to(settings.device).requires_grad_(False)
    plain_attention(unet, text)
    torch.manual_seed(settings.seed + 3)
    configs = {"unet": _config(plan, UNET_TARGETS)}
    inject_adapter_in_model(configs["unet"], unet, plan.name)
    if plan.text:
        configs["text_encoder"] = _config(plan, TEXT_TARGETS)
        inject_adapter_in_model(configs["text_encoder"], text, plan.name)
    clock = _learn(settings, known, unet, text, plan)
    modules: dict[str, nn.Module] = {"unet": unet, "text_encoder": text}
    weights = {
        part: get_peft_model_state_dict(modules[part], adapter_name=plan.name) for part in configs
    }
    target, made_from = file
    write_diffusers(target, weights, adapter_settings(configs))
    # The log comes last and all at once: where it is, the weights are whole.
    draft = target.with_suffix(".tmp")
    draft.write_text(json.dumps(clock.state() | {"base": made_from}, indent=1) + "\n")
    draft.replace(target.with_suffix(".train.json"))
    return clock


def _config(plan: LoraPlan, targets: list[str]) -> LoraConfig:
    rank = plan.learned or plan.rank
    alpha = plan.alpha * rank // plan.rank
    return LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets)


def _learn(
    settings: Settings, known: Lessons, unet: nn.Module, text: nn.Module, plan: LoraPlan
) -> Clock:
    # A larger alpha makes the same weights act more strongly, so they move less.
    rate = 0.015 / (plan.alpha / plan.rank) ** 0.5
    optimisers = [Muon(unet.named_parameters(), rate, rate, all_muon=True)]
    if plan.text:
        optimisers.append(Muon(text.named_parameters(), 0.3 * rate, 0.3 * rate, all_muon=True))
    generator = torch.Generator()
    signal = schedule()
    clock = Clock(plan.times * settings.lora_steps, settings.log_steps)
    while clock.running():
        generator.manual_seed(chance(settings.seed + 4, clock.steps))
        latents, ids = known.draw(settings.lora_batch, generator)
        with torch.autocast(settings.device, torch.bfloat16, enabled=settings.half):
            value = loss(unet, text, (latents.to(settings.device), ids), signal, generator)
        value.backward()
        for optimiser in optimisers:
            optimiser.step(clock.factor())
        if clock.tick(len(latents), float(value.detach())):
            clock.log()
    return clock
