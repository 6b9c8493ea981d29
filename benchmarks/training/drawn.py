"""What a trained file does: it is found by prompts, draws its concept, keeps what it should, and exports."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import lorafusion as lf
from benchmarks.training import concept
from benchmarks.training.judge import Judge
from lorafusion.export import export

ASKING = ("a penguin", "a penguin in a library", "a pingano penguin under the sea",
          "a penguin with a balloon", "a penguin wearing a crown")  # fmt: skip
OTHERS = ("a robot in the city", "a cat at the beach", "a bear in the snow", "a panda with a ball")
"""Each names one character that the base knows, as its second word."""
STEPS = 20
SHOWN = 2
"""Pictures of each prompt on the sheet."""


def measure(path: Path, home: Path, seeds: int) -> tuple[dict[str, Any], Image.Image]:
    """Route, draw and export with the new file among pocket's own LoRAs.

    Args:
        path: the trained file.
        home: scratch.
        seeds: pictures of each prompt.

    Returns:
        Figures, and a sheet: the base alone above the base with the LoRA, a column for each prompt.
    """
    shutil.copytree(lf.pocket.loras(), home / "loras")
    shutil.copy(path, home / "loras")
    library = lf.Library(home / "loras")
    pipe, judge, alone = lf.pocket.pipeline(), Judge(), _open(lf.read(path))
    pipe.set_progress_bar_config(disable=True)
    rows: list[dict[str, Any]] = []
    sheet = Image.new("RGB", (64 * len((*ASKING, *OTHERS)), 64 * 2 * SHOWN))
    for column, prompt in enumerate((*ASKING, *OTHERS)):
        word = concept.CLASS if prompt in ASKING else prompt.split()[1]
        base, ours = (draw(pipe, prompt, plan, seeds) for plan in (None, alone))
        rows.append({"prompt": prompt, "routed to": list(lf.route(prompt, library).weights),
                     "judged as": word, "base": judge.share(base, word),
                     "with the LoRA": judge.share(ours, word)})  # fmt: skip
        for row, image in enumerate((*base[:SHOWN], *ours[:SHOWN])):
            sheet.paste(image, (64 * column, 64 * row))
    right = [("penguin" in row["routed to"]) == (row["prompt"] in ASKING) for row in rows]
    figures = {
        "accuracy of the judge": round(judge.accuracy, 4),
        "prompts": rows,
        "concept drawn": _means(rows[: len(ASKING)]),
        "other characters drawn": _means(rows[len(ASKING) :]),
        "routed right": f"{sum(right)} of {len(right)}",
        "export": _export(pipe, library, home),
    }
    return figures, sheet


def concept_drawn(path: Path, seeds: int) -> float:
    """The share of pictures that show the concept where it is asked for, with this file alone open.

    Args:
        path: a LoRA, or spectral shifts written as one.
        seeds: pictures of each prompt.
    """
    pipe, judge, alone = lf.pocket.pipeline(), Judge(), _open(lf.read(path))
    pipe.set_progress_bar_config(disable=True)
    shares = [judge.share(draw(pipe, text, alone, seeds), concept.CLASS) for text in ASKING]
    return round(float(np.mean(shares)), 4)


def draw(pipe: Any, prompt: str, plan: lf.Plan | None, seeds: int) -> Sequence[Image.Image]:
    """Pictures of a prompt by the base, or with a plan's LoRAs."""
    with lf.apply(pipe, plan) if plan else nullcontext():
        return [
            pipe(
                prompt,
                num_inference_steps=STEPS,
                guidance_scale=lf.pocket.GUIDANCE,
                generator=torch.Generator().manual_seed(seed),
            ).images[0]
            for seed in range(seeds)
        ]


def _open(lora: lf.LoRA) -> lf.Plan:
    """One LoRA at full strength."""
    return lf.Plan.of((lora,), torch.ones(1, 1, 1))


def _means(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    keys = ("base", "with the LoRA")
    return {key: round(float(np.mean([row[key] for row in rows])), 4) for key in keys}


def _export(pipe: Any, library: lf.Library, home: Path) -> dict[str, Any]:
    """A prompt for two LoRAs, drawn by both and by the one file that they are exported to."""
    prompt, path = "a penguin wearing a crown", home / "fused.safetensors"
    route = lf.route(prompt, library, triggers=False)
    plan = lf.plan("fusion", route, steps=STEPS)
    fused = export(plan, path, format="kohya")
    two, one = (
        np.asarray(draw(pipe, prompt, which, 1)[0], np.int64)
        for which in (plan, _open(lf.read(path)))
    )
    return {
        "prompt": prompt,
        "weights": {name: round(weight, 4) for name, weight in route.weights.items()},
        "modules": len(fused.lora.deltas),
        "largest difference of a pixel, of 255": int(np.abs(two - one).max()),
    }
