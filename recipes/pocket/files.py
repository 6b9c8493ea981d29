"""Write the base model as an ordinary diffusers folder, in half precision."""

import json
from pathlib import Path

from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTokenizer


def scheduler() -> DDIMScheduler:
    """The sampler that the model is shipped with; others can be made from its configuration."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="trailing",
    )


def save_base(
    folder: Path, vae: AutoencoderKL, text: CLIPTextModel, tokenizer: CLIPTokenizer,
    unet: UNet2DConditionModel,
) -> None:  # fmt: skip
    """Save the five parts in float16; the modules themselves are not changed.

    Args:
        folder: where to write; loadable by StableDiffusionPipeline.from_pretrained.
        vae: autoencoder.
        text: text encoder.
        tokenizer: tokenizer.
        unet: denoiser.
    """
    pipe = StableDiffusionPipeline(
        vae,
        text,
        tokenizer,
        unet,
        scheduler(),
        None,
        None,
        requires_safety_checker=False,
    )
    pipe.save_pretrained(folder, safe_serialization=True)
    for path in folder.glob("*/*.safetensors"):
        weights = {key: value.half() for key, value in load_file(path).items()}
        if path.parent.name == "text_encoder":
            # The names that every version of transformers, and every LoRA, knows.
            weights = {f"text_model.{key.removeprefix('text_model.')}": value
                       for key, value in weights.items()}  # fmt: skip
        save_file(weights, path, metadata={"format": "pt"})
        path.chmod(0o644)
    for name in ("text_encoder", "unet", "vae"):
        _tidy(folder / name / "config.json")
    for name in ("vocab.json", "merges.txt"):
        source = Path(tokenizer.name_or_path) / name
        if source.is_file():
            (folder / "tokenizer" / name).write_bytes(source.read_bytes())
    _tidy(folder / "tokenizer" / "tokenizer_config.json")
    _tidy(folder / "model_index.json")


def _tidy(path: Path) -> None:
    """Leave out where the model was trained, and the precision that it was trained in."""
    settings = json.loads(path.read_text())
    for key in ("_name_or_path", "name_or_path", "is_local", "local_files_only"):
        settings.pop(key, None)
    for key in ("dtype", "torch_dtype"):
        if key in settings:
            settings[key] = "float32"
    path.write_text(json.dumps(settings, indent=2) + "\n")


def total_bytes(folder: Path) -> int:
    """Size of all files under a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def parameters(folder: Path) -> int:
    """Numbers stored in the safetensors files of one part of the model."""
    return sum(
        value.numel() for path in folder.glob("*.safetensors") for value in load_file(path).values()
    )
