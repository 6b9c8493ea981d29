"""Record and Used: the fields, and their way to JSON and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lorafusion.record.strict import build

FORMAT = 2
"""Raised whenever a field is added, removed or changes its meaning."""


@dataclass(frozen=True)
class Used:
    """One LoRA that took part.

    Attributes:
        name: its name in the library of that day.
        file: file name without the folder.
        sha256: of the whole file; what finds it again after it was moved or renamed.
        autov3: first 12 hex digits of the sha256 of the tensors alone, which model sites know.
        category: character, clothing, object, background, style, or "".
        phrase: the words of the prompt that asked for it.
        score: how well it fitted the prompt, on the router's scale.
        weight: its share, as routed; 1 for one that was pinned.
        gate: how far it was open, strengths included, on average over steps and branches.
        pinned: whether the prompt named it in a tag.
        strength: what weight 1 of it meant for the denoiser, as a tag or its user said.
        text_strength: the same for the text encoders.
        text_gate: as `gate`, for the text encoders.
    """

    name: str
    file: str
    sha256: str
    autov3: str
    category: str
    phrase: str
    score: float
    weight: float
    gate: float
    pinned: bool
    strength: float
    text_strength: float
    text_gate: float


@dataclass(frozen=True)
class Record:
    """Everything that decides the pixels of one image.

    Attributes:
        prompt: as the pipeline read it, without tags and with the words of `triggers`.
        asked: as given.
        triggers: trigger words of LoRAs that were put into the prompt.
        negative_prompt: as given; "" for none.
        seed: of this image's own generator, on the CPU.
        steps: denoising steps asked for.
        guidance_scale: as used; None when the pipeline has none.
        width: pixels.
        height: pixels.
        base: "pocket", a hub id, a folder or a file, as it was given.
        pipeline: class name of the pipeline.
        fingerprint: 12 hex digits over names, shapes and samples of the base model's weights.
        scheduler: class name.
        scheduler_config: its configuration.
        method: name of the composition method.
        options: the method's own options that were given.
        strength: factor on all gates.
        router: the router's name and options.
        encoder: what made the vectors that prompt and LoRAs were compared with: the name that was
            asked for, and its fingerprint.
        loras: those that were chosen, in the order of the route.
        executor: which one ran.
        dtype: "float32", "float16", "bfloat16".
        device: type of the device, "cpu" or "cuda".
        call: further arguments of the pipeline's call that JSON can hold.
        unrecorded: names of those it cannot hold, images and the like.
        pixels: sha256 of the image's RGB bytes.
        versions: package -> version.
        platform: operating system and machine.
        format: version of this very list.
    """

    prompt: str
    asked: str
    triggers: tuple[str, ...]
    negative_prompt: str
    seed: int
    steps: int
    guidance_scale: float | None
    width: int
    height: int
    base: str
    pipeline: str
    fingerprint: str
    scheduler: str
    scheduler_config: Mapping[str, object]
    method: str
    options: Mapping[str, object]
    strength: float
    router: str
    encoder: str
    loras: tuple[Used, ...]
    executor: str
    dtype: str
    device: str
    call: Mapping[str, object]
    unrecorded: tuple[str, ...]
    pixels: str
    versions: Mapping[str, str]
    platform: str
    format: int = field(default=FORMAT)

    def to_dict(self) -> dict[str, object]:
        """Plain dicts, lists, text and numbers."""
        return asdict(self)

    def to_json(self) -> str:
        """One line of JSON, ASCII only, with the fields in their order."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_json(cls, text: str, where: str = "record") -> Record:
        """The inverse of `to_json`.

        Args:
            text: JSON, each field exactly once.
            where: what to call the text in an error, a path for example.

        Raises:
            UnreadableFile: not JSON, a field missing, unknown or of another type, or a record of
                a format version that is not known.
        """
        return build(cls, text, where, FORMAT, {1: _from_1})


def _from_1(data: dict[str, Any]) -> dict[str, Any]:
    """A record of format 1, which had no tags, trigger words or strengths, as format 2 says it."""
    plain = {"pinned": False, "strength": 1.0, "text_strength": 1.0}
    loras = data.get("loras")
    if isinstance(loras, list):
        loras = [
            {**one, **plain, "text_gate": one.get("gate")} if isinstance(one, dict) else one
            for one in loras
        ]
    asked: dict[str, Any] = {"asked": data.get("prompt"), "triggers": []}
    return {**data, **asked, "loras": loras, "format": 2}
