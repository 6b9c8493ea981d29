"""Models from their configuration with random weights, and kohya files that fit them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import lorafusion as lf
from lorafusion.executors.same import OF_THE_PROMPT
from lorafusion.lora import LowRank

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
KOHYA = (*ATTENTION, "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out")
SETS = {"attention": ATTENTION, "kohya": KOHYA}
"""What a LoRA changes: attention alone, or what kohya's trainer changes by default."""

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "sd15": {"sample_size": 64, "cross_attention_dim": 768},
    "sdxl": {
        "sample_size": 128,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
    "tiny": {
        "sample_size": 8,
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 768,
        "attention_head_dim": 4,
        "norm_num_groups": 4,
    },
}
"""Published configurations; "tiny" has the kinds of layers of sd15, for tests."""


@dataclass(frozen=True)
class Bench:
    """A denoiser with what it is called with.

    Attributes:
        name: of `CONFIGURATIONS`.
        unet: random weights, never trained: times do not depend on them.
        latent: height and width of the latents.
    """

    name: str
    unet: Any
    latent: int

    def inputs(self, batch: int, latent: int | None = None) -> dict[str, Any]:
        """Arguments of one call, the same for the same sizes."""
        size = latent or self.latent
        draw = torch.Generator().manual_seed(size * 100 + batch)
        like = next(self.unet.parameters())
        width = self.unet.config.cross_attention_dim
        arguments: dict[str, Any] = {
            "sample": torch.randn(batch, 4, size, size, generator=draw).to(like),
            "timestep": torch.tensor(500, device=like.device),
            "encoder_hidden_states": torch.randn(batch, 77, width, generator=draw).to(like),
        }
        if self.unet.config.addition_embed_type == "text_time":
            added = {"text_embeds": torch.randn(batch, 1280), "time_ids": torch.ones(batch, 6)}
            arguments["added_cond_kwargs"] = {key: value.to(like) for key, value in added.items()}
        return arguments

    def call(self, batch: int = 2, latent: int | None = None) -> Any:
        """One call of the denoiser, as a function."""
        arguments = self.inputs(batch, latent)

        def run() -> Tensor:
            with torch.no_grad():
                out: Tensor = self.unet(**arguments, return_dict=False)[0]
                return out

        return run


def bench(name: str, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Bench:
    """The denoiser of a configuration, with random weights."""
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(**CONFIGURATIONS[name]).to(dtype)
    unet.to_empty(device=device).eval().requires_grad_(False)
    _fill(unet)
    return Bench(name, unet, int(CONFIGURATIONS[name]["sample_size"]))


def _fill(unet: nn.Module) -> None:
    """Random matrices of a size that keeps outputs alive, norms of one; the same every time.

    One piece of random numbers is used again and again: gigabytes of them would take longer than most
    of what is measured.
    """
    piece = torch.randn(1 << 20, generator=torch.Generator().manual_seed(0))
    for path, weight in unet.named_parameters():
        if weight.ndim > 1:
            size = weight[0].numel() ** -0.5
            times = -(-weight.numel() // len(piece))
            weight.copy_((piece * size).repeat(times)[: weight.numel()].view_as(weight))
        else:
            weight.fill_(float(path.endswith("weight")))


def twin(one: Bench) -> Bench:
    """A second denoiser on the very same weights, in memory once, for what wraps layers."""
    with torch.device("meta"):
        other = copy.deepcopy(type(one.unet).from_config(one.unet.config))
    other.load_state_dict(one.unet.state_dict(), assign=True)
    return Bench(one.name, other.eval().requires_grad_(False), one.latent)


def targets(unet: nn.Module, which: str = "kohya") -> dict[str, nn.Module]:
    """Path -> layer, of those that LoRAs of this set change."""
    ends = SETS[which]
    return {
        path: layer
        for path, layer in unet.named_modules()
        if ".attentions." in path and path.endswith(ends) and hasattr(layer, "weight")
    }


def of_the_prompt(unet: nn.Module) -> list[nn.Module]:
    """Layers that map the prompt to keys and values."""
    return [layer for path, layer in unet.named_modules() if f".{path}".endswith(OF_THE_PROMPT)]


def random_lora(unet: nn.Module, seed: int, rank: int = 32, which: str = "kohya") -> lf.LoRA:
    """A LoRA for this denoiser, in half precision as files are, of a size that changes predictions."""
    draw = torch.Generator().manual_seed(seed)
    deltas = {}
    for path, layer in targets(unet, which).items():
        weight = layer.weight
        assert isinstance(weight, Tensor)
        out, *rest = weight.shape
        tail = (1,) * (len(rest) - 1)
        down = torch.randn(rank, *rest, generator=draw) * 0.02
        up = torch.randn(out, rank, *tail, generator=draw) * 0.02
        deltas[f"unet.{path}"] = LowRank(down.half(), up.half(), 1.0)
    return lf.LoRA(f"lora_{seed}", deltas)


def kohya_files(
    unet: nn.Module, folder: Path, count: int, rank: int = 32, which: str = "kohya"
) -> list[Path]:
    """`count` files of kohya's format in `folder`."""
    paths = []
    for seed in range(count):
        path = folder / f"lora_{seed}.safetensors"
        if not path.exists():
            lf.write(random_lora(unet, seed, rank, which), path, "kohya")
        paths.append(path)
    return paths


def pipeline(one: Bench) -> Any:
    """A Stable Diffusion pipeline around this denoiser; its text encoder and decoder are tiny."""
    from diffusers import StableDiffusionPipeline
    from transformers import CLIPTextModel

    from tests import tiny

    small = tiny.sd()
    parts = dict(small.components) | {"unet": one.unet}
    torch.manual_seed(1)
    parts["text_encoder"] = CLIPTextModel(
        tiny.clip_config(int(one.unet.config.cross_attention_dim))
    )
    made = StableDiffusionPipeline(**parts, requires_safety_checker=False)
    made.set_progress_bar_config(disable=True)
    return made.to(one.unet.device)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread inside the block: process time then is what one core did."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
