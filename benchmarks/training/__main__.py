"""``python -m benchmarks.training``: see the README beside this file."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.files import write_whole
from benchmarks.provenance import ROOT, provenance
from benchmarks.training import concept, page
from benchmarks.training.drawn import concept_drawn, measure

CHECKPOINT = "checkpoint.safetensors"
CLASSES = ("a bear", "a rabbit in the snow", "a cat at the beach", "a robot in the city",
           "a panda with a ball", "a dog wearing a hat")  # fmt: skip


def main() -> None:
    """Train twice, draw, measure, and write results, picture and page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--spectral-steps", type=int, default=700)
    parser.add_argument("--class-images", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=8, help="pictures of each prompt")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/training.json")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs/pictures/training.png")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/training.md")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lorafusion-") as temporary:
        home = Path(temporary)
        concept.write_folder(home / "penguin", asked.images, seed=0)
        words = command(home / "penguin", asked.steps, asked.class_images)
        trained = train(home, words, asked.steps)
        drawn, sheet = measure(home / "whole" / "penguin.safetensors", home, asked.seeds)
        longer = command(home / "penguin", asked.spectral_steps, asked.class_images)
        shifted = shifts(home, longer, asked.seeds, drawn)
        sheet.resize((sheet.width * 2, sheet.height * 2), Image.Resampling.NEAREST).save(
            asked.picture
        )
    settings = settings_of(asked, words)
    told = {
        **trained,
        **drawn,
        "spectral": shifted,
        "provenance": provenance("python -m benchmarks.training", [], **settings),
    }
    text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
    write_whole(asked.out, text.replace(temporary, "."))
    write_whole(asked.page, page.filled(asked.page.read_text(encoding="utf-8"), json.loads(text)))
    sys.stdout.write(page.figures(told) + "\n")


def settings_of(asked: argparse.Namespace, words: Sequence[str]) -> dict[str, Any]:
    """What the provenance says of the run; its own names, such as command, are taken."""
    return {
        "images": asked.images,
        "steps": asked.steps,
        "class images": asked.class_images,
        "seeds of each prompt": asked.seeds,
        "trained by": " ".join(words),
    }


def command(images: Path, steps: int, class_images: int) -> list[str]:
    """The words of the command line, without --out."""
    classes = [word for prompt in CLASSES for word in ("--class-prompt", prompt)]
    return ["train", "lora", str(images), "--description", concept.DESCRIPTION,
            "--trigger", concept.TRIGGER, "--category", "character",
            *classes, "--class-images", str(class_images),
            "--steps", str(steps), "--save-every", str(max(1, steps // 8))]  # fmt: skip


def train(home: Path, words: Sequence[str], steps: int) -> dict[str, Any]:
    """Train once from beginning to end and once with `kill -9` about half-way; both files' hashes."""
    for name in ("whole", "killed"):
        (home / name).mkdir()
    start = time.perf_counter()
    whole = json.loads(_lorafusion(words, home / "whole"))
    seconds = time.perf_counter() - start
    killed_at = _kill(words, home / "killed", steps // 2)
    rest = json.loads(_lorafusion(words, home / "killed"))
    hashes = [_sha256(home / name / "penguin.safetensors") for name in ("whole", "killed")]
    return {
        "seconds": round(seconds, 1),
        "seconds of the steps": whole["curve"][-1]["seconds"],
        "curve": whole["curve"],
        "modules": whole["modules"],
        "family": whole["family"],
        "bytes": (home / "whole" / "penguin.safetensors").stat().st_size,
        "killed": {"checkpoint seen at step": killed_at, "resumed after step": rest["resumed_at"]},
        "sha256": dict(zip(("never stopped", "killed and resumed"), hashes, strict=True)),
        "the same bytes": hashes[0] == hashes[1],
    }


def shifts(home: Path, words: Sequence[str], seeds: int, drawn: dict[str, Any]) -> dict[str, Any]:
    """Spectral shifts of the same pictures: how often they draw the concept, alone."""
    (home / "spectral").mkdir()
    asked = ["train", "spectral", *words[2:]]
    made = json.loads(_lorafusion(asked, home / "spectral"))
    share = concept_drawn(home / "spectral" / "penguin.safetensors", seeds)
    return {
        "steps": made["curve"][-1]["step"],
        "curve": made["curve"],
        "modules": made["modules"],
        "bytes": (home / "spectral" / "penguin.safetensors").stat().st_size,
        "concept drawn": {"base": drawn["concept drawn"]["base"], "with the shifts": share},
    }


def _kill(words: Sequence[str], folder: Path, after: int) -> int:
    """Begin a training and kill it once its checkpoint says that many steps; the steps it said."""
    from safetensors import SafetensorError, safe_open

    path = folder / "penguin.training" / CHECKPOINT
    process = subprocess.Popen(_full(words, folder), stdout=subprocess.DEVNULL)  # noqa: S603 - our own words
    seen = 0
    while seen < after and process.poll() is None:
        time.sleep(0.05)
        try:
            with safe_open(path, "pt") as file:
                curve = json.loads(file.metadata()["lorafusion.training"])["curve"]
            seen = int(curve[-1]["step"])
        except (OSError, SafetensorError):
            continue
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was over before it could be killed"
    return seen


def _lorafusion(words: Sequence[str], folder: Path) -> str:
    run = subprocess.run(_full(words, folder), check=True, capture_output=True, text=True)  # noqa: S603 - our own words
    shutil.rmtree(folder / "penguin.training", ignore_errors=True)
    return run.stdout


def _full(words: Sequence[str], folder: Path) -> list[str]:
    out = str(folder / "penguin.safetensors")
    return [sys.executable, "-m", "lorafusion", *words, "--out", out, "--json"]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
