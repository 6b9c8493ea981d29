"""Train the base model: denoiser and text encoder together, on frozen latents."""

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import mse_loss
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from lorafusion.pocket import world
from recipes.pocket.autoencoder import pictures
from recipes.pocket.clock import Clock
from recipes.pocket.muon import Muon
from recipes.pocket.settings import Settings

CAPTIONS = 4
"""Wordings of each scene."""
_EMPTY = 0.1
"""How often the caption is left out, so that guidance works."""


def build(
    settings: Settings, tokenizer: CLIPTokenizer
) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """Untrained denoiser and text encoder."""
    torch.manual_seed(settings.seed + 1)
    wide, deep = settings.unet_channels
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=settings.latents,
        out_channels=settings.latents,
        block_out_channels=(wide, deep),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=settings.text_width,
        attention_head_dim=(max(1, wide // 16), max(1, deep // 16)),
        norm_num_groups=16,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=settings.text_width,
            intermediate_size=2 * settings.text_width,
            projection_dim=settings.text_width,
            num_hidden_layers=settings.text_layers,
            num_attention_heads=4,
            max_position_embeddings=settings.length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    return unet, text


@dataclass(frozen=True)
class Lessons:
    """What the denoiser learns from.

    Attributes:
        latents: [n, channels, 8, 8].
        tokens: [n, captions, length] token ids.
    """

    latents: Tensor
    tokens: Tensor

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A random batch: latents [count, channels, 8, 8] and one caption each [count, length]."""
        rows = torch.randint(len(self.latents), (count,), generator=generator)
        which = torch.randint(self.tokens.shape[1], (count,), generator=generator)
        return self.latents[rows].float(), self.tokens[rows, which].long()


def tokenised(tokenizer: CLIPTokenizer, texts: list[str], length: int) -> Tensor:
    """Texts as token ids [n, length], padded and cut."""
    return torch.tensor(
        tokenizer(texts, padding="max_length", max_length=length, truncation=True)["input_ids"]
    )


@torch.no_grad()
def encode(vae: AutoencoderKL, batch: Tensor, half: bool) -> Tensor:
    """Latents [n, channels, 8, 8] of pictures [n, 3, 64, 64]."""
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=half):
        return vae.encode(batch).latent_dist.mode().float()


def lessons(
    settings: Settings, vae: AutoencoderKL, tokenizer: CLIPTokenizer, work: Path
) -> Lessons:
    """Render and encode the base's scenes, or load them from work/lessons.pt."""
    path = work / "lessons.pt"
    if path.is_file():
        saved = torch.load(path, weights_only=True)
        return Lessons(saved["latents"], saved["tokens"])
    latents: list[Tensor] = []
    for first in range(0, settings.scenes, 128):
        batch = pictures(range(first, min(first + 128, settings.scenes))).to(settings.device)
        latents.append(encode(vae, batch, settings.half).half().cpu())
    scenes = [world.sample(seed) for seed in range(settings.scenes)]
    texts = [world.caption(scene, variant) for scene in scenes for variant in range(CAPTIONS)]
    ids = tokenised(tokenizer, texts, settings.length).short()
    made = Lessons(torch.cat(latents), ids.view(len(scenes), CAPTIONS, -1))
    torch.save({"latents": made.latents, "tokens": made.tokens}, path)
    return made


def schedule() -> Tensor:
    """Signal's share of the variance at each of the 1000 timesteps."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    return torch.cumprod(1 - betas, dim=0)


def loss(
    unet: nn.Module, text: nn.Module, batch: tuple[Tensor, Tensor], signal: Tensor,
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Squared error of the predicted velocity, weighted by min-SNR.

    Args:
        unet: predicts the velocity.
        text: encodes the captions.
        batch: latents [n, channels, 8, 8] and token ids [n, length].
        signal: [1000], from `schedule`.
        generator: draws timesteps and noise.
    """
    clean, ids = batch
    steps = torch.randint(1000, (len(clean),), generator=generator).to(clean.device)
    noise = torch.randn(clean.shape, generator=generator).to(clean.device)
    share = signal.to(clean.device)[steps]
    a, b = share.sqrt()[:, None, None, None], (1 - share).sqrt()[:, None, None, None]
    # For so few tokens the plain formula is faster than the fused kernels.
    with sdpa_kernel(SDPBackend.MATH):
        hidden = text(ids.to(clean.device)).last_hidden_state
        guess = unet(a * clean + b * noise, steps, hidden).sample.float()
    ratio = share / (1 - share)
    weight = ratio.clamp(max=5) / (ratio + 1)
    errors = mse_loss(guess, a * noise - b * clean, reduction="none").mean(dim=(1, 2, 3))
    # Divided by the mean weight, so that the number compares with an unweighted error.
    return (weight * errors).mean() / weight.mean()


@dataclass
class Run:
    """A training run of the base: the live model, its average, and its progress."""

    model: nn.ModuleDict
    average: nn.ModuleDict
    optimiser: Muon
    clock: Clock
    generator: torch.Generator

    @classmethod
    def start(cls, settings: Settings, tokenizer: CLIPTokenizer, work: Path) -> "Run":
        """Begin, or go on from work/base.pt."""
        unet, text = build(settings, tokenizer)
        model = nn.ModuleDict({"unet": unet, "text": text}).to(settings.device)
        optimiser = Muon(model.named_parameters(), 0.012, 8e-4)
        clock = Clock.resumed(work / "base.json", settings.base_minutes)
        generator = torch.Generator().manual_seed(settings.seed + 2 + clock.steps)
        run = cls(model, copy.deepcopy(model).requires_grad_(False), optimiser, clock, generator)
        if (work / "base.pt").is_file():
            saved = torch.load(work / "base.pt", weights_only=True, map_location=settings.device)
            model.load_state_dict(saved["model"])
            run.average.load_state_dict(saved["average"])
            optimiser.restore(saved["optimiser"])
        return run

    @torch.no_grad()
    def follow(self) -> None:
        """Move the average towards the model."""
        keep = min(0.999, (1 + self.clock.steps) / (10 + self.clock.steps))
        pairs = zip(self.average.parameters(), self.model.parameters(), strict=True)
        for mean, weight in pairs:
            mean.lerp_(weight, 1 - keep)

    def save(self, work: Path) -> None:
        """Write work/base.pt and work/base.json."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state(),
        }
        torch.save(state, work / "base.tmp")
        (work / "base.tmp").replace(work / "base.pt")
        self.clock.write(work / "base.json")


def train(settings: Settings, work: Path, vae: AutoencoderKL, tokenizer: CLIPTokenizer) -> Run:
    """Train, or go on training, until the time is used.

    Args:
        settings: the recipe.
        work: folder of checkpoints.
        vae: the trained autoencoder.
        tokenizer: the trained tokenizer.
    Returns:
        The finished run; its average is the model to keep.
    """
    run = Run.start(settings, tokenizer, work)
    known = lessons(settings, vae.eval().requires_grad_(False), tokenizer, work)
    run.clock = Clock.resumed(work / "base.json", settings.base_minutes)
    empty = tokenised(tokenizer, [""], settings.length)[0]
    signal = schedule()
    recent: list[float] = []
    while run.clock.progress() < 1:
        latents, ids = known.draw(settings.batch, run.generator)
        ids[torch.rand(len(ids), generator=run.generator) < _EMPTY] = empty
        with torch.autocast(settings.device, torch.bfloat16, enabled=settings.half):
            value = loss(run.model["unet"], run.model["text"], (latents.to(settings.device), ids),
                         signal, run.generator)  # fmt: skip
        value.backward()
        run.optimiser.step(run.clock.factor())
        run.clock.tick(len(latents))
        run.follow()
        recent.append(float(value.detach()))
        if run.clock.steps % 100 == 0:
            run.clock.log(loss=sum(recent) / len(recent))
            recent.clear()
        if run.clock.steps % 200 == 0:
            run.save(work)
    if recent:
        run.clock.log(loss=sum(recent) / len(recent))
    run.save(work)
    return run
