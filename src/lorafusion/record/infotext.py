"""The line of text that A1111, Forge, Civitai and others read in a PNG.

Its form is that of ``create_infotext`` and ``quote`` in AUTOMATIC1111's stable-diffusion-webui: the
prompt, the negative prompt if there is one, and one line of ``key: value`` pairs.
"""

from __future__ import annotations

import json
from pathlib import PurePath

from lorafusion.record.fields import Record, Used
from lorafusion.routing.tags import Tag, without_signs

SAMPLERS = {
    "DDIMScheduler": "DDIM",
    "DPMSolverSDEScheduler": "DPM++ SDE",
    "EulerAncestralDiscreteScheduler": "Euler a",
    "EulerDiscreteScheduler": "Euler",
    "FlowMatchEulerDiscreteScheduler": "Euler",
    "HeunDiscreteScheduler": "Heun",
    "KDPM2AncestralDiscreteScheduler": "DPM2 a",
    "KDPM2DiscreteScheduler": "DPM2",
    "LCMScheduler": "LCM",
    "LMSDiscreteScheduler": "LMS",
    "PNDMScheduler": "PLMS",
    "UniPCMultistepScheduler": "UniPC",
}
SPACINGS = {
    "use_karras_sigmas": "Karras",
    "use_exponential_sigmas": "Exponential",
    "use_beta_sigmas": "Beta",
}


def infotext(record: Record) -> str:
    """The text of the PNG chunk ``parameters``."""
    tags = "".join(f" {_tag(used)}" for used in _open(record))
    negative = f"\nNegative prompt: {record.negative_prompt}" if record.negative_prompt else ""
    pairs = ", ".join(f"{key}: {_quoted(value)}" for key, value in _pairs(record).items())
    return f"{record.prompt}{tags}{negative}\n{pairs}"


def _pairs(record: Record) -> dict[str, str]:
    hashes = ", ".join(f"{_plain(used.name)}: {used.autov3}" for used in _open(record))
    spacing = [word for key, word in SPACINGS.items() if record.scheduler_config.get(key)]
    pairs = {
        "Steps": str(record.steps),
        "Sampler": sampler(record),
        "Schedule type": spacing[0] if spacing else "",
        "CFG scale": "" if record.guidance_scale is None else f"{record.guidance_scale:g}",
        "Seed": str(record.seed),
        "Size": f"{record.width}x{record.height}",
        "Model": PurePath(record.base).name.removesuffix(".safetensors"),
        "Lora hashes": hashes,
        "Version": f"lorafusion {record.versions.get('lorafusion', '')}".rstrip(),
    }
    return {key: value for key, value in pairs.items() if value}


def sampler(record: Record) -> str:
    """A1111's name of the scheduler; the class name without its ending where A1111 has none."""
    if record.scheduler == "DPMSolverMultistepScheduler":
        order = record.scheduler_config.get("solver_order", 2)
        noisy = str(record.scheduler_config.get("algorithm_type", "")).startswith("sde-")
        return f"DPM++ {order}M SDE" if noisy else f"DPM++ {order}M"
    return SAMPLERS.get(record.scheduler, record.scheduler.removesuffix("Scheduler"))


def _quoted(value: str) -> str:
    """A value with a comma, colon or line break stands in quotes, as a JSON string."""
    special = any(sign in value for sign in ",:\n")
    return json.dumps(value, ensure_ascii=False) if special else value


def _open(record: Record) -> list[Used]:
    return [used for used in record.loras if used.gate or used.text_gate]


def _tag(used: Used) -> str:
    """The tag that opens a LoRA as far as it was open."""
    weights = (float(f"{gate:.4g}") for gate in (used.gate, used.text_gate))
    return str(Tag(" ".join(without_signs(used.name).split()), *weights))


def _plain(name: str) -> str:
    """A LoRA's name without the signs that would end a pair."""
    return "".join(sign for sign in name if sign not in ':,<>\n"')
