"""Train the base model: denoiser and text encoder together, on frozen latents."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from recipes.pocket.clock import Clock, chance
from recipes.pocket.lessons import Lessons, lessons, tokenised
from recipes.pocket.muon import Muon
from recipes.pocket.settings import Settings
from recipes.pocket.team import Team, helped

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


def plain_attention(unet: UNet2DConditionModel, text: CLIPTextModel) -> None:
    """Make both compute attention by the plain formula: faster than fused kernels for few tokens."""
    unet.set_attn_processor(AttnProcessor())
    text.set_attn_implementation("eager")


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

    @classmethod
    def start(cls, settings: Settings, tokenizer: CLIPTokenizer, work: Path) -> "Run":
        """Begin, or go on from work/base.pt."""
        unet, text = build(settings, tokenizer)
        model = nn.ModuleDict({"unet": unet, "text": text}).to(settings.device)
        average = copy.deepcopy(model).requires_grad_(False)
        plain_attention(unet, text)
        clock = Clock(settings.base_steps, settings.log_steps)
        run = cls(model, average, _optimiser(model, 0, settings.workers), clock)
        if (work / "base.pt").is_file():
            saved = torch.load(work / "base.pt", weights_only=True, map_location=settings.device)
            model.load_state_dict(saved["model"])
            run.average.load_state_dict(saved["average"])
            run.optimiser.restore(saved["optimiser"])
            clock.restore(saved["clock"])
        return run

    @torch.no_grad()
    def follow(self) -> None:
        """Move the average of the owned parameters towards the model."""
        keep = min(0.999, (1 + self.clock.steps) / (10 + self.clock.steps))
        means, weights = list(self.average.parameters()), list(self.model.parameters())
        for place in self.optimiser.owned:
            means[place].lerp_(weights[place], 1 - keep)

    def save(self, work: Path) -> None:
        """Write work/base.pt, all that is needed to go on, and work/base.json, to be read."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state(),
            "clock": self.clock.state(),
        }
        torch.save(state, work / "base.tmp")
        (work / "base.tmp").replace(work / "base.pt")
        self.clock.write(work / "base.json")


def _optimiser(model: nn.Module, rank: int, size: int) -> Muon:
    return Muon(model.named_parameters(), 0.012, 8e-4, rank=rank, size=size)


def learn(
    settings: Settings, run: Run, team: Team, known: Lessons, empty: Tensor,
    log: Callable[[], None],
) -> None:  # fmt: skip
    """Take all steps that are left, as one process of a team.

    Args:
        settings: the recipe.
        run: model, average and momenta in the memory that the team shares.
        team: the processes.
        known: what there is to learn from.
        empty: [length] token ids of the empty caption.
        log: called when it is time for a log entry, while all wait.
    """
    signal = schedule()
    weights = list(run.model.parameters())
    count = settings.batch // team.size
    generator = torch.Generator()
    while run.clock.running():
        generator.manual_seed(chance(settings.seed + 2, run.clock.steps, team.rank))
        latents, ids = known.draw(count, generator)
        ids[torch.rand(count, generator=generator) < _EMPTY] = empty
        team.begin(weights)
        with torch.autocast(settings.device, torch.bfloat16, enabled=settings.half):
            value = loss(run.model["unet"], run.model["text"], (latents.to(settings.device), ids),
                         signal, generator)  # fmt: skip
        value.backward()
        norm, mean = team.average(run.optimiser.owned, float(value.detach()))
        run.optimiser.step(run.clock.factor(), norm)
        due = run.clock.tick(count * team.size, mean)
        run.follow()
        team.meet()
        if due:
            log()
            team.meet()


def _help(settings: Settings, run: Run, known: Lessons, empty: Tensor, team: Team) -> None:
    """What the processes other than the first do."""
    momenta = run.optimiser.momenta
    run.optimiser = _optimiser(run.model, team.rank, team.size)
    run.optimiser.momenta = momenta
    learn(settings, run, team, known, empty, run.clock.recent.clear)


def train(settings: Settings, work: Path, vae: AutoencoderKL, tokenizer: CLIPTokenizer) -> Run:
    """Train, or go on training, until all steps are done.

    Args:
        settings: the recipe.
        work: folder of checkpoints.
        vae: the trained autoencoder.
        tokenizer: the trained tokenizer.
    Returns:
        The finished run; its average is the model to keep.
    """
    known = lessons(settings, vae.eval().requires_grad_(False), tokenizer, work)
    run = Run.start(settings, tokenizer, work)
    empty = tokenised(tokenizer, [""], settings.length)[0]

    def log() -> None:
        run.clock.log()
        run.save(work)

    team = Team.of(settings.workers, list(run.model.parameters()))
    with helped(team, _help, settings, run, known, empty):
        learn(settings, run, team, known, empty, log)
    return run
