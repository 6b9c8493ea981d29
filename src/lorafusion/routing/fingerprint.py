"""Fingerprint: a name for a text encoder that changes when its vectors would."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

_WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def fingerprint(module: nn.Module, tokenizer: object, settings: Mapping[str, object]) -> str:
    """Sixteen hexadecimal digits for the weights, the tokenizer and the settings of an encoder.

    Every weight counts. Bits are added up as whole numbers, so that the sum is the same on any
    device and with any number of threads, and takes a fraction of a second for a large model.

    Returns:
        the digits, or "" where the weights cannot be looked at: offloaded ones are not in memory,
        quantised ones of other packages have no plain bits.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    digest.update(_vocabulary(tokenizer))
    for name, tensor in chain(module.named_parameters(), module.named_buffers()):
        if tensor.is_meta:
            return ""
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        try:
            digest.update(_bits(tensor))
        except RuntimeError:
            return ""
    return digest.hexdigest()[:16]


def settings_of(config: object) -> dict[str, object]:
    """A transformers configuration without what does not change vectors: versions and places."""
    to_dict = getattr(config, "to_dict", dict)
    passing = ("transformers_version", "torch_dtype", "dtype")
    return {
        key: value
        for key, value in to_dict().items()
        if key not in passing and not key.startswith("_")
    }


def sentence_settings(model: Any) -> dict[str, object]:
    """All that changes the vectors of a sentence-transformers model besides its weights."""
    modules: list[tuple[str, object]] = [
        (type(module).__name__, getattr(module, "get_config_dict", dict)()) for module in model
    ]
    config = settings_of(getattr(model[0].auto_model, "config", None))
    prompt = getattr(model, "prompts", {}).get(model.default_prompt_name)
    return {
        "modules": modules, "config": config, "prompt": prompt, "length": model.max_seq_length
    }  # fmt: skip


def _bits(tensor: Tensor) -> bytes:
    """The sum of all bit patterns, and the patterns of both ends."""
    flat = tensor.detach().contiguous().view(-1)
    words = flat.view(_WORDS[flat.element_size()])
    ends = torch.cat((words[:256], words[-256:])).to("cpu", torch.int64)
    total = int(words.sum(dtype=torch.int64))
    return str(total).encode() + ends.numpy().tobytes()


def _vocabulary(tokenizer: object) -> bytes:
    get_vocab = getattr(tokenizer, "get_vocab", dict)
    ordered = sorted(get_vocab().items())
    limit = getattr(tokenizer, "model_max_length", None)
    return json.dumps([ordered, limit]).encode()
