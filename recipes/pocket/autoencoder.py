"""Train the autoencoder: 64x64 pictures to 8x8 latents and back."""

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


def pictures(seeds: range) -> Tensor:
    """Rendered scenes, [n, 3, 64, 64] in -1 to 1."""
    drawn = np.stack([world.render(world.sample(seed)) for seed in seeds])
    return torch.from_numpy(drawn).permute(0, 3, 1, 2).float() / 127.5 - 1


def loss(vae: AutoencoderKL, batch: Tensor, generator: torch.Generator) -> Tensor:
    """Differences of pixels and of edges, and a little KL.

    Args:
        vae: the autoencoder.
        batch: [n, 3, 64, 64] in -1 to 1.
        generator: draws the latents' noise.
    """
    posterior = vae.encode(batch).latent_dist
    drawn = vae.decode(posterior.sample(generator)).sample.float()
    error = drawn - batch
    across, down = error.diff(dim=3).abs().mean(), error.diff(dim=2).abs().mean()
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    pixels = error.abs().mean() + 0.3 * error.square().mean()
    return pixels + 0.4 * (across + down) + 5e-4 * divergence


@torch.no_grad()
def fidelity(vae: AutoencoderKL, batch: Tensor) -> float:
    """Peak signal to noise ratio of reconstructions, in dB, for a [n, 3, 64, 64] batch."""
    drawn = vae.decode(vae.encode(batch).latent_dist.mode()).sample.clamp(-1, 1)
    errors = ((drawn - batch) / 2).square().mean(dim=(1, 2, 3))
    return float((-10 * errors.log10()).mean())


def train(settings: Settings, work: Path) -> AutoencoderKL:
    """Train, or go on training, and save to work/vae; where that exists, only load it.

    Args:
        settings: the recipe.
        work: folder of checkpoints.
    """
    if (work / "vae" / "config.json").is_file():
        return AutoencoderKL.from_pretrained(work / "vae").to(settings.device)
    vae = build(settings).to(settings.device)
    clock = Clock(settings.vae_steps, settings.log_steps)
    optimiser = Muon(vae.named_parameters(), 0.02, 1e-3, all_muon=True)
    state = work / "vae.pt"
    if state.is_file():
        saved = torch.load(state, weights_only=True, map_location=settings.device)
        vae.load_state_dict(saved["vae"])
        optimiser.restore(saved["optimiser"])
        clock.restore(saved["clock"])
    held_out = pictures(range(2_000_000_000, 2_000_000_064)).to(settings.device)
    generator = torch.Generator()
    while clock.running():
        generator.manual_seed(chance(settings.seed, clock.steps))
        first = 1_000_000_000 + clock.images
        batch = pictures(range(first, first + settings.vae_batch)).to(settings.device)
        with torch.autocast(settings.device, torch.bfloat16, enabled=settings.half):
            value = loss(vae, batch, generator)
        value.backward()
        optimiser.step(clock.factor())
        if clock.tick(len(batch), float(value.detach())):
            clock.log(psnr=fidelity(vae, held_out))
            _save(vae, optimiser, clock, work)
    normalise(vae, pictures(range(2_000_001_000, 2_000_001_000 + 512)).to(settings.device))
    vae.save_pretrained(work / "vae.tmp")
    (work / "vae.tmp").replace(work / "vae")
    return vae


def _save(vae: AutoencoderKL, optimiser: Muon, clock: Clock, work: Path) -> None:
    state = {"vae": vae.state_dict(), "optimiser": optimiser.state(), "clock": clock.state()}
    torch.save(state, work / "vae.pt.tmp")
    (work / "vae.pt.tmp").replace(work / "vae.pt")
    clock.write(work / "vae.json")


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
