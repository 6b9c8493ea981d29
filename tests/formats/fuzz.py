"""Read mutated files under a limit of time and memory: ``python -m tests.formats.fuzz FIRST COUNT``.

Prints one JSON document: how many were read, how many refused, and every case that was neither. A
process of its own, so that limits hold for it alone and a crash is seen.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from lorafusion import formats
from lorafusion.errors import InputError
from lorafusion.lora import LoRA
from tests.formats.mutants import MUTATIONS, mutant

SECONDS = 5
_FOLDED = ("lora_mid.weight", "_t1", "_t2", "lokr_w1", "lokr_w1_a")
SLACK = 96 * 2**20
"""What an interpreter's own heap may grow by, in bytes, beyond twice the file."""


def _limit(size: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + SLACK + 2 * size
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def _late(*_: Any) -> None:
    raise TimeoutError(f"over {SECONDS} s")


def attempt(path: Path) -> str:
    """ "read", "refused", or what went wrong."""
    outcomes = []
    for function in (formats.family_of, formats.read):
        signal.alarm(SECONDS)
        try:
            made = function(path)
            outcomes.append("read")
        except InputError as error:
            outcomes.append("refused")
            if len(str(error).splitlines()) != 1 or not str(error).startswith(str(path)):
                return f"{function.__name__} says {str(error)!r}"
        except BaseException as error:
            return f"{function.__name__} {type(error).__name__}: {str(error)[:300]}"
        finally:
            signal.alarm(0)
    if outcomes[-1] == "read":
        if outcomes[0] != "read":
            return "family_of refuses what read takes"
        return _whole(path, made)
    return outcomes[-1]


def _whole(path: Path, lora: LoRA) -> str:
    """ "read" when every number of the file is in the LoRA, each as often as it is in the file."""
    for target, delta in lora.deltas.items():
        if not target.isprintable() or not delta.shape or min(delta.shape) < 1:
            return f"read, but {target!r} is {delta.shape}"
    head = formats.header(path)
    in_file = {key: torch.Size(shape).numel() for key, shape in head.shapes.items()}
    if any(key.endswith(_FOLDED) for key in in_file):  # cores are folded, pieces may be formed
        return "read"
    wanted = sum(count for key, count in in_file.items() if not key.endswith("alpha"))
    parts = {
        part.data_ptr(): part.numel() for delta in lora.deltas.values() for part in _parts(delta)
    }
    seen = sum(parts.values())
    return "read" if seen == wanted else f"read, but {seen} of {wanted} numbers are in it"


def _parts(delta: Any) -> Iterator[torch.Tensor]:
    """The tensors of a delta; what several pieces share is at one place in memory."""
    for field in dataclasses.fields(delta):
        value = getattr(delta, field.name)
        if isinstance(value, torch.Tensor):
            yield value
        elif dataclasses.is_dataclass(value):
            yield from _parts(value)


def main(first: int, count: int) -> None:
    """Try the mutants from number `first` on."""
    signal.signal(signal.SIGALRM, _late)
    torch.set_num_threads(1)
    found: dict[str, Any] = {"read": 0, "refused": 0, "wrong": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        # The first reads import and compile, sympy too for some; that is not the files' doing.
        for number in range(2 * len(MUTATIONS)):
            path.write_bytes(mutant(number)[1])
            for function in (formats.family_of, formats.read):
                with suppress(InputError):
                    function(path)
        for number in range(first, first + count):
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            name, data = mutant(number)
            path.write_bytes(data)
            _limit(len(data))
            outcome = attempt(path)
            if outcome in ("read", "refused"):
                found[outcome] += 1
            else:
                found["wrong"].append([number, name, outcome])
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
