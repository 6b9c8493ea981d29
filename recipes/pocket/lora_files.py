"""Write the bundled LoRA files: diffusers' format or kohya's, with their descriptions."""

import json
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from lorafusion.lora import LowRank, truncated
from lorafusion.pocket.world import INDIVIDUALS, Individual
from recipes.pocket.plans import LoraPlan

_PREFIX = {"unet": "unet.", "text_encoder": "text_encoder.text_model."}


def adapter_settings(configs: dict[str, LoraConfig]) -> dict[str, object]:
    """The adapters' settings under the names that diffusers stores in a file.

    Args:
        configs: one configuration per changed part, "unet" or "text_encoder".
    """
    found: dict[str, object] = {}
    for part, config in configs.items():
        for key, value in config.to_dict().items():
            plain = sorted(value) if isinstance(value, set) else value
            if isinstance(plain, str | int | float | bool | list | dict | None):
                found[f"{part}.{key}"] = getattr(plain, "value", plain)
    return found


def write_diffusers(
    path: Path, weights: dict[str, dict[str, Tensor]], settings: dict[str, object]
) -> None:
    """Write one LoRA as diffusers does.

    Args:
        path: the file.
        weights: per part, tensors by peft's names.
        settings: from `adapter_settings`; without it the file would lose its alpha.
    """
    tensors = {
        _PREFIX[part] + key: value.detach().half().cpu().contiguous()
        for part, parts in weights.items()
        for key, value in parts.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(settings, indent=2, sort_keys=True)
    save_file(tensors, path, metadata={"format": "pt", "lora_adapter_metadata": text})


def to_kohya(tensors: dict[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """The same LoRA under kohya's names.

    Args:
        tensors: by diffusers' names.
        alpha: the LoRA's alpha, stored once per target.
    """
    renamed: dict[str, Tensor] = {}
    for key, value in tensors.items():
        module, side = key.removesuffix(".weight").rsplit(".", 1)
        prefix, rest = ("lora_te", module.removeprefix("text_encoder."))
        if module.startswith("unet."):
            prefix, rest = "lora_unet", module.removeprefix("unet.")
        name = f"{prefix}_{rest.replace('.', '_')}"
        renamed[f"{name}.{'lora_down' if side == 'lora_A' else 'lora_up'}.weight"] = value
        renamed[f"{name}.alpha"] = torch.tensor(float(alpha), dtype=torch.float16)
    return renamed


def cut(tensors: dict[str, Tensor], rank: int) -> dict[str, Tensor]:
    """The nearest LoRA of a smaller rank, module by module.

    Args:
        tensors: by diffusers' names.
        rank: at most that of the LoRA.
    """
    found: dict[str, Tensor] = {}
    for name, down in tensors.items():
        if ".lora_A." not in name:
            continue
        other = name.replace(".lora_A.", ".lora_B.")
        nearest, _ = truncated(LowRank(down, tensors[other], 1.0), rank)
        found[name] = nearest.down.to(down.dtype).contiguous()
        found[other] = nearest.up.to(down.dtype).contiguous()
    return found


def _cut_settings(text: str, plan: LoraPlan) -> str:
    settings = json.loads(text)
    own = {"r": plan.rank, "lora_alpha": plan.shipped_alpha}
    changed = {key: own.get(key.rpartition(".")[2], value) for key, value in settings.items()}
    return json.dumps(changed, indent=2, sort_keys=True)


def pack(source: Path, plan: LoraPlan, folder: Path) -> None:
    """Write the file that ships, and its sidecar where it has one.

    Args:
        source: the trained file in diffusers' format.
        plan: format and place of the description.
        folder: where the bundled LoRAs are.
    """
    one = INDIVIDUALS[plan.name]
    tensors = load_file(source)
    with safe_open(source, "pt") as file:
        metadata = dict(file.metadata())
    if plan.learned:
        tensors = cut(tensors, plan.rank)
    if plan.learned or plan.acts != 1:
        settings = metadata["lora_adapter_metadata"]
        metadata["lora_adapter_metadata"] = _cut_settings(settings, plan)
    if plan.form == "kohya":
        tensors = to_kohya(tensors, plan.shipped_alpha)
        metadata = _kohya_metadata(plan, one)
    if plan.told == "sidecar":
        text = json.dumps(_sidecar(one), indent=2) + "\n"
        (folder / f"{plan.name}.json").write_text(text)
    elif plan.told == "metadata":
        metadata |= _described(one)
    target = folder / f"{plan.name}.safetensors"
    save_file(tensors, target, metadata=metadata)
    target.chmod(0o644)


def _described(one: Individual) -> dict[str, str]:
    return {
        "modelspec.title": one.name,
        "modelspec.description": one.description,
        "modelspec.trigger_phrase": f"{one.trigger} {one.word}",
        "modelspec.tags": f"{one.category}, {one.word}",
        "lorafusion.category": one.category,
    }


def _sidecar(one: Individual) -> dict[str, str | float]:
    return {
        "description": one.description,
        "activation text": f"{one.trigger} {one.word}",
        "preferred weight": 0,
        "notes": "",
        "category": one.category,
    }


def _kohya_metadata(plan: LoraPlan, one: Individual) -> dict[str, str]:
    tags = {f"10_{one.name}": {f"{one.trigger} {one.word}": 40, one.description: 40}}
    return {
        "format": "pt",
        "ss_output_name": plan.name,
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(plan.rank),
        "ss_network_alpha": str(float(plan.shipped_alpha)),
        "ss_tag_frequency": json.dumps(tags),
    }
