"""Checkpoint: a training run on disk, from which it goes on as if it had never stopped.

A safetensors file, written beside its target and renamed: side paths, AdamW's moments, and in the header the
step, the curve, and a digest of everything that decides how the run goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lorafusion.errors import BadOption, NotWritable
from lorafusion.formats import container

FILE = "checkpoint.safetensors"
_KEY = "lorafusion.training"


@dataclass(frozen=True)
class Entry:
    """One entry of a training's curve.

    Attributes:
        step: steps done.
        loss: mean over the steps since the last entry.
        seconds: of this run and those before it.
    """

    step: int
    loss: float
    seconds: float


def save(
    path: Path,
    weights: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    curve: list[Entry],
    settings: Mapping[str, object],
) -> None:
    """Write a checkpoint.

    Args:
        path: replaced if it is there.
        weights: name -> trained weight, in the order of the optimiser's.
        optimiser: its moments.
        curve: up to this step.
        settings: what decides how the run goes on.

    Raises:
        NotWritable: the folder refuses.
    """
    tensors = {f"weight.{name}": weight.detach() for name, weight in weights.items()}
    for place, moments in optimiser.state_dict()["state"].items():
        for key, value in moments.items():
            tensors[f"moment.{place}.{key}"] = value
    told = {"settings": settings, "curve": [asdict(entry) for entry in curve]}
    container.save(path, tensors, {_KEY: json.dumps(told, sort_keys=True)})


def restore(
    path: Path,
    weights: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    settings: Mapping[str, object],
) -> list[Entry]:
    """Put a checkpoint into weights and optimiser; nothing happens where there is none.

    Returns:
        The curve so far; its last entry says how many steps are done.

    Raises:
        BadOption: it was made by other settings, pictures or another base model.
        UnreadableFile: it is damaged.
    """
    if not path.is_file():
        return []
    with container.opened(path) as file:
        tensors, _ = file.load()
    try:
        told = json.loads(file.header.metadata[_KEY])
        seen, curve = dict(told["settings"]), [Entry(**entry) for entry in told["curve"]]
    except (KeyError, TypeError, ValueError):
        raise BadOption(f"{path}: is not a checkpoint of a training; give another folder") from None
    asked = json.loads(json.dumps(settings))
    other = [key for key in asked if seen.get(key) != asked[key]]
    if other:
        raise BadOption(
            f"{path}: was begun with {other[0]} {seen.get(other[0])!r}, now {asked[other[0]]!r}; "
            "go on with the same, or begin anew in another work folder or with --restart"
        )
    state: dict[int, dict[str, Any]] = {}
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(tensors.pop(f"weight.{name}"))
    for key, value in tensors.items():
        _, place, moment = key.split(".")
        state.setdefault(int(place), {})[moment] = value
    optimiser.load_state_dict(optimiser.state_dict() | {"state": state})
    return curve


def forget(work: Path) -> None:
    """Remove the checkpoint of a training, and its folder where nothing else is in it."""
    (work / FILE).unlink(missing_ok=True)
    with suppress(OSError):
        work.rmdir()


def make(work: Path) -> None:
    """Make the folder of a checkpoint, where it is missing.

    Raises:
        NotWritable: it cannot be made.
    """
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritable(
            f"{work}: cannot be made ({error.strerror}); choose a folder that is yours"
        ) from None
