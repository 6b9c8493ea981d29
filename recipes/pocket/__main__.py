"""The command that makes Pocket: `python -m recipes.pocket --work FOLDER`."""

import argparse
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import diffusers
import peft
import torch
import transformers
from diffusers import UNet2DConditionModel
from transformers import CLIPTextModel

from benchmarks.files import write_whole
from benchmarks.provenance import provenance
from recipes.pocket import autoencoder, base, card, files, loras, oracle, scorers, sheets, tokens
from recipes.pocket.lora_files import pack
from recipes.pocket.plans import PLANS
from recipes.pocket.settings import TINY, Settings

STEPS = ("autoencoder", "tokens", "base", "loras", "pack", "scorers", "report", "card")
_ROOT = Path(__file__).parents[2]
WEIGHTS = _ROOT / "src/lorafusion/pocket/weights"
REPORT = _ROOT / "benchmarks/results/pocket-training.json"
DOCS = _ROOT / "docs"
SCORERS = _ROOT / "benchmarks/results/pocket-scorers.json"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m recipes.pocket", description=__doc__)
    made.add_argument("--work", type=Path, required=True, help="folder of checkpoints")
    made.add_argument("--out", type=Path, default=WEIGHTS, help="folder of the shipped weights")
    made.add_argument("--report", type=Path, default=REPORT, help="JSON file of the training's log")
    made.add_argument("--docs", type=Path, default=DOCS, help="folder of the model card")
    made.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    made.add_argument("--only", nargs="+", metavar="LORA", help="train only these LoRAs")
    made.add_argument(
        "--oracle", nargs="+", metavar="LORA",
        help="train one LoRA on a whole combination, the character first, and nothing else",
    )  # fmt: skip
    made.add_argument(
        "--scorers", type=Path, default=SCORERS, help="JSON file of the scorers' accuracies"
    )
    made.add_argument("--device", default="cpu")
    made.add_argument("--threads", type=int, default=Settings.threads)
    made.add_argument("--workers", type=int, help="processes that train the denoiser together")
    made.add_argument("--base-steps", type=int, help="optimiser steps of the denoiser")
    made.add_argument("--lora-steps", type=int, help="optimiser steps of one LoRA")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--tiny", action="store_true", help="a run of seconds, to test the code")
    return made


def run(
    settings: Settings, work: Path, out: Path, steps: Sequence[str], only: Sequence[str]
) -> None:
    """Do the training steps in order; each goes on from what the work folder holds.

    Args:
        settings: the recipe.
        work: folder of checkpoints.
        out: folder of the shipped weights.
        steps: which of STEPS.
        only: names of the LoRAs to train and pack.
    """
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(settings.threads)
    if "autoencoder" in steps:
        autoencoder.train(settings, work)
    if "tokens" in steps:
        tokens.train(settings, work)
    if "base" in steps:
        make_base(settings, work, out)
    chosen = [plan for plan in PLANS if plan.name in only]
    if "loras" in steps:
        loras.train_all(settings, out / "base", chosen, work)
    if "pack" in steps:
        (out / "loras").mkdir(parents=True, exist_ok=True)
        for plan in chosen:
            pack(work / "loras" / f"{plan.name}.safetensors", plan, out / "loras")
        sheets.previews(out, [plan.name for plan in chosen])


def make_base(settings: Settings, work: Path, out: Path) -> None:
    """Train the base model and save its average to out/base."""
    vae = autoencoder.train(settings, work)
    tokenizer = tokens.load(work)
    done = base.train(settings, work, vae, tokenizer)
    text = cast("CLIPTextModel", done.average["text"])
    unet = cast("UNet2DConditionModel", done.average["unet"])
    files.save_base(out / "base", vae, text, tokenizer, unet)


def report(settings: Settings, work: Path, out: Path) -> dict[str, object]:
    """Everything that the model card says in numbers."""
    curves = sorted((work / "loras").glob("*.train.json"))
    return {
        "settings": asdict(settings),
        "machine": {"cpu": _processor(), "threads": settings.threads, "workers": settings.workers},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
            "transformers": transformers.__version__,
            "peft": peft.__version__,
        },
        "autoencoder": json.loads((work / "vae.json").read_text()),
        "base": json.loads((work / "base.json").read_text()),
        "loras": {path.name.split(".")[0]: json.loads(path.read_text()) for path in curves},
        "parameters": {
            part: files.parameters(out / "base" / part) for part in ("vae", "unet", "text_encoder")
        },
        "bytes": {
            "base": files.total_bytes(out / "base"),
            "loras": {
                path.stem: path.stat().st_size
                for path in sorted((out / "loras").glob("*.safetensors"))
            },
        },
    }


def make_card(log: Path, out: Path, docs: Path) -> None:
    """Write the model card and its pictures.

    Args:
        log: the training's log.
        out: folder of the shipped weights.
        docs: folder of the documentation.
    """
    (docs / "pictures").mkdir(parents=True, exist_ok=True)
    names = [plan.name for plan in PLANS]
    sheets.base_sheet(out / "base").save(docs / "pictures/pocket-base.png", optimize=True)
    sheets.lora_sheet(out, names).save(docs / "pictures/pocket-loras.png", optimize=True)
    (docs / "pocket.md").write_text(card.card(json.loads(log.read_text())), encoding="utf-8")
    print(f"wrote {docs / 'pocket.md'}")


def make_scorers(settings: Settings, sizes: scorers.Sizes, asked: argparse.Namespace) -> None:
    """Train the scorers on the finished autoencoder, and write what they are worth.

    Args:
        settings: the base's recipe; the scorers take its threads, seed and precision.
        sizes: the scorers' own.
        asked: the command line.
    """
    torch.set_num_threads(settings.threads)
    sizes = replace(sizes, seed=sizes.seed + settings.seed, half=settings.half)
    vae = autoencoder.train(settings, asked.work).to("cpu")
    command = "python -m recipes.pocket --work FOLDER --steps scorers"
    found = scorers.make(sizes, asked.work, asked.out, vae)
    weights = sorted((asked.out / "scorers").glob("*.safetensors"))
    made = {"provenance": provenance(command, weights, seed=sizes.seed)}
    write_whole(asked.scorers, json.dumps(made | found, indent=1) + "\n")
    print(f"wrote {asked.scorers}")


def _processor() -> str:
    """The processor's name, where Linux tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def chosen(asked: argparse.Namespace) -> Settings:
    """The recipe that the command line asks for; what it leaves out stays as it is."""
    recipe = TINY if asked.tiny else Settings()
    # One process feeds a graphics card, and teams share main memory.
    alone = {} if asked.device == "cpu" else {"workers": 1, "lora_workers": 1}
    given = {"workers": asked.workers, "base_steps": asked.base_steps,
             "lora_steps": asked.lora_steps}  # fmt: skip
    changes = {key: value for key, value in given.items() if value is not None} | alone
    return replace(recipe, device=asked.device, threads=asked.threads, seed=asked.seed, **changes)


def main() -> None:
    """Parse the command line and run."""
    asked = parser().parse_args()
    settings = chosen(asked)
    if asked.oracle:
        torch.set_num_threads(settings.threads)
        print(f"wrote {oracle.train(settings, asked.out / 'base', asked.oracle, asked.work)}")
        return
    only = asked.only or [plan.name for plan in PLANS]
    run(settings, asked.work, asked.out, asked.steps, only)
    if "scorers" in asked.steps:
        make_scorers(settings, scorers.TINY if asked.tiny else scorers.Sizes(), asked)
    if "report" in asked.steps:
        asked.report.parent.mkdir(parents=True, exist_ok=True)
        found = report(settings, asked.work, asked.out)
        asked.report.write_text(json.dumps(found, indent=1) + "\n")
        print(f"wrote {asked.report}")
    if "card" in asked.steps:
        make_card(asked.report, asked.out, asked.docs)


if __name__ == "__main__":
    main()
