"""Provenance: what is needed to make a result again."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "diffusers", "numpy", "safetensors", "sentence-transformers", "torch", "transformers", "typer",
)  # fmt: skip


def provenance(
    command: str,
    files: Iterable[Path],
    *,
    packages: Iterable[str] = PACKAGES,
    folders: Iterable[str] = ("src", "benchmarks", ":(exclude)benchmarks/results"),
    **settings: object,
) -> dict[str, Any]:
    """Versions, machine, revision and the hashes of the data.

    Args:
        command: what writes the result again.
        files: the data it was made from.
        packages: whose versions count.
        folders: whose changes that are not committed count.
        settings: seeds and options.
    """
    import lorafusion

    return {
        "command": command,
        "settings": settings,
        "revision": _git("rev-parse", "HEAD"),
        "changed files": _git("status", "--porcelain", "--", *folders).splitlines(),
        "versions": {"lorafusion": lorafusion.__version__, "python": platform.python_version()}
        | {name: metadata.version(name) for name in packages},
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "threads used": torch.get_num_threads(),
            "system": f"{platform.system()} {platform.machine()}",
            "load at the start": round(os.getloadavg()[0], 1),
            "niceness": os.nice(0),
        },
        "data": {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in sorted(files)
        },
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _git(*words: str) -> str:
    run = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603, S607 - our own words
    return run.stdout.rstrip("\n") if run.returncode == 0 else "unknown"
