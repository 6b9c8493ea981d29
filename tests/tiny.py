"""Tiny but real diffusers pipelines, and LoRA files for them, all made from configuration and a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

WIDTH = 32
WORDS = [
    "a",
    "robot",
    "wearing",
    "crown",
    "in",
    "library",
    "with",
    "guitar",
    "photo",
    "of",
    "cat",
    "blurry",
]
STEPS = 4
PROMPT = "a robot wearing a crown"
KINDS = ("sd", "sdxl", "sd3", "flux")


def tokenizer() -> CLIPTokenizer:
    """Byte-level letters, no merges: every text has an encoding."""
    letters = [chr(i) for i in range(33, 127)]
    vocab = {t: i for i, t in enumerate([*letters, *(letter + "</w>" for letter in letters)])}
    vocab |= {"<|startoftext|>": len(vocab), "<|endoftext|>": len(vocab) + 1}
    return CLIPTokenizer(vocab=vocab, merges=[], model_max_length=24)


def clip_config(width: int = WIDTH) -> CLIPTextConfig:
    """Two layers, with the special tokens of `tokenizer`."""
    return CLIPTextConfig(
        vocab_size=190,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=24,
        projection_dim=width,
        bos_token_id=188,
        eos_token_id=189,
        pad_token_id=189,
    )


def t5_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word."""
    vocab = {word: i for i, word in enumerate(["<pad>", "</s>", "<unk>", *WORDS])}
    inner = Tokenizer(WordLevel(vocab, unk_token="<unk>"))
    inner.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=16,
    )


def t5() -> T5EncoderModel:
    """One layer."""
    return T5EncoderModel(
        T5Config(vocab_size=32, d_model=WIDTH, d_kv=8, d_ff=48, num_layers=1, num_heads=4)
    )


def vae(channels: int = 4) -> AutoencoderKL:
    """Halves the size once."""
    return AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels,
        norm_num_groups=4,
        layers_per_block=1,
        shift_factor=0.1,
    )


def unet(**changes: Any) -> UNet2DConditionModel:
    """Two levels, attention in both."""
    return UNet2DConditionModel(
        **{
            "sample_size": 8,
            "block_out_channels": (16, 32),
            "layers_per_block": 1,
            "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
            "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
            "cross_attention_dim": WIDTH,
            "attention_head_dim": 4,
            "norm_num_groups": 4,
            **changes,
        }
    )


def sd() -> StableDiffusionPipeline:
    """The parts of Stable Diffusion 1.x."""
    return StableDiffusionPipeline(
        vae=vae(),
        text_encoder=CLIPTextModel(clip_config()),
        tokenizer=tokenizer(),
        unet=unet(),
        scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl() -> StableDiffusionXLPipeline:
    """Two text encoders side by side, time ids, linear projections."""
    return StableDiffusionXLPipeline(
        vae=vae(),
        text_encoder=CLIPTextModel(clip_config(16)),
        text_encoder_2=CLIPTextModelWithProjection(clip_config(16)),
        tokenizer=tokenizer(),
        tokenizer_2=tokenizer(),
        unet=unet(
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=16 + 6 * 8,
        ),
        scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        add_watermarker=False,
    )


def sd3() -> StableDiffusion3Pipeline:
    """Joint attention, two CLIP encoders and a T5."""
    return StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel(
            sample_size=8,
            patch_size=1,
            in_channels=4,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=WIDTH,
            caption_projection_dim=32,
            pooled_projection_dim=32,
            out_channels=4,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae(),
        text_encoder=CLIPTextModelWithProjection(clip_config(16)),
        tokenizer=tokenizer(),
        text_encoder_2=CLIPTextModelWithProjection(clip_config(16)),
        tokenizer_2=tokenizer(),
        text_encoder_3=t5(),
        tokenizer_3=t5_tokenizer(),
    )


def flux() -> FluxPipeline:
    """Double and single blocks, guidance as an input."""
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae(),
        text_encoder=CLIPTextModel(clip_config()),
        tokenizer=tokenizer(),
        text_encoder_2=t5(),
        tokenizer_2=t5_tokenizer(),
        transformer=FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=WIDTH,
            pooled_projection_dim=32,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=True,
        ),
    )


def pipeline(kind: str, seed: int = 0) -> Any:
    """One of KINDS, with random weights, in evaluation mode and without a progress bar."""
    torch.manual_seed(seed)
    pipe = {"sd": sd, "sdxl": sdxl, "sd3": sd3, "flux": flux}[kind]()
    for component in pipe.components.values():
        if isinstance(component, nn.Module):
            component.eval()
    pipe.set_progress_bar_config(disable=True)
    return pipe


TARGETS = (
    "to_q",
    "to_k",
    "to_v",
    "to_out.0",
    "proj_in",
    "proj_out",
    "net.0.proj",
    "net.2",
    "conv1",
)
TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


def state_dict(pipe: Any, seed: int, rank: int = 3, text: bool = True) -> dict[str, torch.Tensor]:
    """A random LoRA for `pipe` as diffusers writes one, of a size that visibly changes predictions."""
    generator = torch.Generator().manual_seed(seed)
    denoiser = "unet" if hasattr(pipe, "unet") else "transformer"
    tensors: dict[str, torch.Tensor] = {}
    for component, wanted in (
        (denoiser, TARGETS),
        ("text_encoder", TEXT_TARGETS),
        ("text_encoder_2", TEXT_TARGETS),
    ):
        module = getattr(pipe, component, None)
        if (
            module is None
            or isinstance(module, T5EncoderModel)
            or (component != denoiser and not text)
        ):
            continue
        for path, layer in module.named_modules():
            if not path.endswith(wanted) or not isinstance(layer, nn.Linear | nn.Conv2d):
                continue
            if component != denoiser and not path.startswith("text_model."):
                path = "text_model." + path
            out, *rest = layer.weight.shape
            tail = (1,) * (layer.weight.ndim - 2)
            down = torch.randn(rank, *rest, generator=generator) * 0.2
            up = torch.randn(out, rank, *tail, generator=generator) * 0.2
            tensors[f"{component}.{path}.lora_A.weight"] = down
            tensors[f"{component}.{path}.lora_B.weight"] = up
    return tensors


def lora_files(pipe: Any, folder: Path, count: int = 3, text: bool = True) -> list[Path]:
    """`count` LoRA files for `pipe`, of ranks 2, 3, 4 ..."""
    paths = []
    for index in range(count):
        path = folder / f"lora_{index}.safetensors"
        save_file(state_dict(pipe, seed=100 + index, rank=2 + index, text=text), path)
        paths.append(path)
    return paths


def call(pipe: Any, seed: int = 0, steps: int = STEPS, **kwargs: Any) -> torch.Tensor:
    """The latents that one run of the pipeline ends with."""
    return pipe(
        **{
            "prompt": PROMPT,
            "num_inference_steps": steps,
            "generator": torch.Generator().manual_seed(seed),
            "output_type": "latent",
            "height": 16,
            "width": 16,
            **kwargs,
        }
    ).images


def weights(pipe: Any) -> dict[str, bytes]:
    """Every parameter and buffer of every component, as bytes."""
    return {
        f"{name}.{key}": tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
        if tensor.ndim
        else str(tensor.item()).encode()
        for name, component in pipe.components.items()
        if isinstance(component, nn.Module)
        for key, tensor in [*component.named_parameters(), *component.named_buffers()]
    }


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """max |ours - theirs| / max |theirs|."""
    return float((ours.double() - theirs.double()).abs().max() / theirs.double().abs().max())
