"""Sizes and lengths of a training run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """One recipe.

    Attributes:
        vae_channels: channels of the autoencoder at 64, 32, 16 and 8 pixels.
        latents: latent channels.
        unet_channels: channels of the denoiser at 8x8 and 4x4 latents.
        text_width: width of the text encoder.
        text_layers: layers of the text encoder.
        length: tokens of a prompt, ends included.
        scenes: rendered scenes whose latents the denoiser learns from.
        vae_steps: optimiser steps of the autoencoder.
        base_steps: optimiser steps of the denoiser and text encoder.
        lora_steps: optimiser steps of one LoRA; some take several times as many, as `plans` says.
        log_steps: steps from one checkpoint and line of the log to the next.
        workers: processes that train one network together, each by one thread; 1 uses `threads`.
        lora_workers: LoRAs trained at once, each by one thread; 1 trains them in turn.
        lora_scenes: rendered scenes per LoRA; some take several times as many.
        vae_batch: pictures in one step of the autoencoder, of all workers together.
        batch: pictures in one step of the denoiser, of all workers together.
        lora_batch: pictures in one step of a LoRA.
        seed: decides scenes, weights at the start, noise and captions.
        threads: CPU threads.
        device: where to train.
        half: compute in bfloat16 where autocast allows it.
    """

    vae_channels: tuple[int, int, int, int] = (32, 48, 64, 96)
    latents: int = 16
    unet_channels: tuple[int, int] = (96, 160)
    text_width: int = 128
    text_layers: int = 2
    length: int = 32
    scenes: int = 120_000
    vae_steps: int = 2_400
    base_steps: int = 7_500
    lora_steps: int = 650
    log_steps: int = 100
    workers: int = 3
    lora_workers: int = 4
    lora_scenes: int = 1_200
    vae_batch: int = 24
    batch: int = 96
    lora_batch: int = 16
    seed: int = 0
    threads: int = 3
    device: str = "cpu"
    half: bool = True


TINY = Settings(
    vae_channels=(8, 8, 8, 8), latents=4, unet_channels=(16, 16), text_width=16, text_layers=1,
    scenes=48, vae_steps=4, base_steps=6, lora_steps=4, log_steps=2, workers=1, lora_workers=1,
    lora_scenes=16, vae_batch=4, batch=8, lora_batch=4, threads=1, half=False,
)  # fmt: skip
"""A recipe that runs through in seconds, to test the code."""
