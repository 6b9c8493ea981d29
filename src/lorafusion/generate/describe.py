"""What a pipeline is, for the record: a fingerprint of its weights, and what it runs on."""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata
from typing import Any

import torch
from torch import Tensor, nn

from lorafusion.version import __version__

SAMPLES = 8
"""Values of each weight that enter the fingerprint."""


def fingerprint(pipe: Any) -> str:
    """12 hex digits that tell base models apart without reading all of them.

    Over every component's class and the name, shape and a few values of each of its weights: some
    milliseconds for gigabytes. Another dtype rounds the values and so changes the digits.
    """
    digest = hashlib.sha256()
    samples = []
    for component, module in sorted(pipe.components.items()):
        if isinstance(module, nn.Module):
            digest.update(f"{component} {type(module).__name__}\n".encode())
            for name, weight in sorted(module.named_parameters()):
                digest.update(f"{name} {list(weight.shape)}\n".encode())
                samples.append(_sample(weight))
    known = [sample for sample in samples if not sample.is_meta]
    if known:
        # One transfer per device instead of one per weight, which a GPU would wait for.
        for device in dict.fromkeys(sample.device for sample in known):
            values = torch.cat([sample for sample in known if sample.device == device])
            digest.update(values.cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


def environment() -> tuple[dict[str, str], str]:
    """Versions of what decides pixels, and the platform."""
    versions = {"lorafusion": __version__, "python": platform.python_version()}
    for package in ("torch", "diffusers", "transformers"):
        versions[package] = metadata.version(package)
    return versions, f"{platform.system()} {platform.machine()}"


def dtype_name(pipe: Any) -> str:
    """ "float32", "float16", "bfloat16"."""
    return str(pipe.dtype).removeprefix("torch.")


def _sample(weight: Tensor) -> Tensor:
    flat = weight.detach().reshape(-1)
    return flat[:: max(1, flat.numel() // SAMPLES)][:SAMPLES].float()
