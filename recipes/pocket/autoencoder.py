"""Train the autoencoder: 64x64 pictures to 8x8 latents and back."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from lorafusion.pocket import world
from recipes.pocket.clock import Clock, chance
from recipes.pocket.muon import Muon
from recipes.pocket.settings import Settings
from recipes.pocket.team import Team, helped


def build(settings: Settings) -> AutoencoderKL:
    """An untrained autoencoder."""
    torch.manual_seed(settings.seed)
    vae = AutoencoderKL(
        block_out_channels=settings.vae_channels,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=settings.latents,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=64,
        scaling_factor=1.0,
    )
    # Start nearly deterministic: with the usual unit noise, nothing is learned for a long time.
    bias = cast("Tensor", vae.quant_conv.bias)
    with torch.no_grad():
        bias[settings.latents :] = -5.0
    return vae


def drawn(scenes: Iterable[world.Scene]) -> Tensor:
    """Rendered scenes, [n, 3, 64, 64] in -1 to 1."""
    pixels = np.stack([world.render(scene) for scene in scenes])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def pictures(seeds: range) -> Tensor:
    """Scenes that the base may see, [n, 3, 64, 64] in -1 to 1."""
    return drawn(world.sample(seed) for seed in seeds)


def mixed(seed: int) -> world.Scene:
    """A scene of the autoencoder's data: in one of three, an individual of some LoRA stands.

    An autoencoder learns no words, so that the base knows no more of the individual for it.
    """
    rng = np.random.default_rng([seed, 5])
    scene = world.sample(seed)
    if rng.random() > 1 / 3:
        return scene
    names = sorted(world.INDIVIDUALS)
    return world.with_individuals(scene, names[int(rng.integers(len(names)))])


def loss(vae: AutoencoderKL, batch: Tensor, generator: torch.Generator) -> Tensor:
    """Differences of pixels and of edges, and a little KL.

    Args:
        vae: the autoencoder.
        batch: [n, 3, 64, 64] in -1 to 1.
        generator: draws the latents' noise.
    """
    posterior = vae.encode(batch).latent_dist
    decoded = vae.decode(posterior.sample(generator)).sample.float()
    error = decoded - batch
    across, down = error.diff(dim=3).abs().mean(), error.diff(dim=2).abs().mean()
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    pixels = error.abs().mean() + 0.3 * error.square().mean()
    return pixels + 0.4 * (across + down) + 5e-4 * divergence


@torch.no_grad()
def fidelity(vae: AutoencoderKL, batch: Tensor) -> float:
    """Peak signal to noise ratio of reconstructions, in dB, for a [n, 3, 64, 64] batch."""
    decoded = vae.decode(vae.encode(batch).latent_dist.mode()).sample.clamp(-1, 1)
    errors = ((decoded - batch) / 2).square().mean(dim=(1, 2, 3))
    return float((-10 * errors.log10()).mean())


@dataclass
class Run:
    """A training run of the autoencoder: the model, its momenta, and its progress."""

    vae: AutoencoderKL
    optimiser: Muon
    clock: Clock

    @classmethod
    def start(cls, settings: Settings, work: Path) -> "Run":
        """Begin, or go on from work/vae.pt."""
        vae = build(settings).to(settings.device)
        clock = Clock(settings.vae_steps, settings.log_steps)
        run = cls(vae, _optimiser(vae, 0, settings.workers), clock)
        if (work / "vae.pt").is_file():
            saved = torch.load(work / "vae.pt", weights_only=True, map_location=settings.device)
            vae.load_state_dict(saved["vae"])
            run.optimiser.restore(saved["optimiser"])
            clock.restore(saved["clock"])
        return run

    def save(self, work: Path) -> None:
        """Write work/vae.pt, all that is needed to go on, and work/vae.json, to be read."""
        state = {
            "vae": self.vae.state_dict(),
            "optimiser": self.optimiser.state(),
            "clock": self.clock.state(),
        }
        torch.save(state, work / "vae.pt.tmp")
        (work / "vae.pt.tmp").replace(work / "vae.pt")
        self.clock.write(work / "vae.json")


def _optimiser(vae: AutoencoderKL, rank: int, size: int) -> Muon:
    return Muon(vae.named_parameters(), 0.02, 1e-3, all_muon=True, rank=rank, size=size)


def learn(settings: Settings, run: Run, log: Callable[[], None], team: Team) -> None:
    """Take all steps that are left, as one process of a team.

    Args:
        settings: the recipe.
        run: model and momenta in the memory that the team shares.
        log: called when it is time for a log entry, while all wait.
        team: the processes.
    """
    weights = list(run.vae.parameters())
    count = settings.vae_batch // team.size
    generator = torch.Generator()
    while run.clock.running():
        generator.manual_seed(chance(settings.seed, run.clock.steps, team.rank))
        first = 1_000_000_000 + run.clock.images + team.rank * count
        batch = drawn(mixed(seed) for seed in range(first, first + count)).to(settings.device)
        team.begin(weights)
        with torch.autocast(settings.device, torch.bfloat16, enabled=settings.half):
            value = loss(run.vae, batch, generator)
        value.backward()
        norm, mean = team.average(run.optimiser.owned, float(value.detach()))
        run.optimiser.step(run.clock.factor(), norm)
        due = run.clock.tick(count * team.size, mean)
        team.meet()
        if due:
            log()
            team.meet()


def _help(settings: Settings, run: Run, team: Team) -> None:
    """What the processes other than the first do."""
    momenta = run.optimiser.momenta
    run.optimiser = _optimiser(run.vae, team.rank, team.size)
    run.optimiser.momenta = momenta
    learn(settings, run, run.clock.recent.clear, team)


def train(settings: Settings, work: Path) -> AutoencoderKL:
    """Train, or go on training, and save to work/vae; where that exists, only load it.

    Args:
        settings: the recipe.
        work: folder of checkpoints.
    """
    if (work / "vae" / "config.json").is_file():
        return AutoencoderKL.from_pretrained(work / "vae").to(settings.device)
    run = Run.start(settings, work)
    held_out = pictures(range(2_000_000_000, 2_000_000_064)).to(settings.device)

    def log() -> None:
        run.clock.log(psnr=fidelity(run.vae, held_out))
        run.save(work)

    team = Team.of(settings.workers, list(run.vae.parameters()))
    with helped(team, _help, settings, run):
        learn(settings, run, log, team)
    normalise(run.vae, pictures(range(2_000_001_000, 2_000_001_000 + 512)).to(settings.device))
    run.vae.save_pretrained(work / "vae.tmp")
    (work / "vae.tmp").replace(work / "vae")
    return run.vae


@torch.no_grad()
def normalise(vae: AutoencoderKL, batch: Tensor) -> None:
    """Make every latent channel have mean 0 and spread 1, by changing the two 1x1 convolutions.

    So the denoiser sees unit latents with a scaling factor of 1, and decoding is unchanged.

    Args:
        vae: the autoencoder, changed in place.
        batch: [n, 3, 64, 64] pictures that means and spreads are measured on.
    """
    latents = vae.encode(batch).latent_dist.mode()
    count = latents.shape[1]
    mean, spread = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
    spread = spread.clamp(min=float(spread.max()) / 4)
    before, after = cast("nn.Conv2d", vae.quant_conv), cast("nn.Conv2d", vae.post_quant_conv)
    bias, shift = cast("Tensor", before.bias), cast("Tensor", after.bias)
    before.weight[:count] /= spread[:, None, None, None]
    bias[:count] = (bias[:count] - mean) / spread
    bias[count:] -= 2 * spread.log()
    shift += (after.weight[:, :, 0, 0] * mean).sum(dim=1)
    after.weight *= spread[None, :, None, None]
