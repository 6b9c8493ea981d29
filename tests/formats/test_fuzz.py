"""Mutated files are refused in one line or read completely: no crash, no hang, no memory.

LORAFUSION_FUZZ_CASES sets how many are tried; each has a number, and
``python -m tests.formats.fuzz NUMBER 1`` tries it alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.formats.mutants import MUTATIONS, mutant

CASES = int(os.environ.get("LORAFUSION_FUZZ_CASES", "480"))


def test_mutants_are_refused_or_read() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.formats.fuzz", "0", str(CASES)]
    ran = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = json.loads(ran.stdout)
    assert found["wrong"] == []
    assert found["read"] + found["refused"] == CASES
    if 16 * len(MUTATIONS) <= CASES:  # most are broken, and some changes are harmless
        assert found["refused"] > CASES / 2
        assert found["read"] > CASES / 50


LARGE = """
import resource, sys; from pathlib import Path
from lorafusion import formats
from lorafusion.errors import InputError
from tests.formats.fuzz import attempt
small, large = map(Path, sys.argv[1:3])
attempt(small)  # imports, which are not the file's doing
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
most = size + int(float(sys.argv[3]) * large.stat().st_size) + 4 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
print(attempt(large))
"""


@pytest.mark.parametrize(
    ("dtype", "times"), [(torch.float32, 2), (torch.bfloat16, 2), (torch.float8_e4m3fn, 3)]
)
@pytest.mark.parametrize("sound", [True, False])
def test_a_large_file_takes_little_more_memory_than_it_is_long(
    dtype: torch.dtype, times: float, sound: bool, tmp_path: Path
) -> None:
    """Where the few megabytes that an interpreter needs do not count; eight bits become sixteen."""
    for name, width in (("small", 64), ("large", 2**21)):
        down, up = torch.zeros(8, width).to(dtype), torch.zeros(64, 8).to(dtype)
        if not sound:
            up[-1, -1] = torch.nan
        put = {"unet.a.lora_A.weight": down, "unet.a.lora_B.weight": up}
        save_file(put, tmp_path / f"{name}.safetensors")
    files = [str(tmp_path / f"{name}.safetensors") for name in ("small", "large")]
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LARGE, *files, str(times)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.strip() == ("read" if sound else "refused"), ran.stdout


def test_a_mutant_is_the_same_for_the_same_number() -> None:
    for number in range(2 * len(MUTATIONS)):
        assert mutant(number) == mutant(number)
