"""Files of learned gates: safetensors, with the names of the LoRAs that they were trained for in the header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from lorafusion.errors import UnknownFormat, UnreadableFile
from lorafusion.formats import container
from lorafusion.gating import BlockGate, LearnedGates

KEY = "lorafusion.gates"
"""The entry of the header that makes a file one of gates: name -> sha256 of the LoRA, in order."""
_PROJECTION, _TEMPERATURE = ".projection", ".temperature"


def read_gates(path: str | Path) -> LearnedGates:
    """Read a file that `write_gates` wrote.

    Raises:
        UnreadableFile: missing, cut short, not safetensors, NaN, or matrices that do not fit.
        UnknownFormat: it holds something else than gates.
    """
    path = Path(path).expanduser()
    with container.opened(path) as file:
        hashes = _hashes(path, file.header.metadata)
        tensors, _ = file.load()
    blocks = {
        key.removesuffix(_PROJECTION): _gate(path, key.removesuffix(_PROJECTION), tensors)
        for key in tensors
        if not key.endswith(_TEMPERATURE)
    }
    for block, gate in blocks.items():
        rows, columns = gate.projection.shape
        if columns != len(hashes) or rows % columns:
            raise UnreadableFile(
                f"{path}: the gate of {block} is {rows}x{columns}, for {len(hashes)} LoRAs; expected a column for "
                "each and as many rows for each; train the gates again"
            )
    return LearnedGates(tuple(hashes), blocks, hashes)


def write_gates(
    gates: LearnedGates, path: str | Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write gates; reading the file gives the same names and numbers.

    Args:
        gates: trained.
        path: replaced if it is there.
        metadata: what else the header should say.

    Raises:
        BadOption: the path does not end in .safetensors.
        NotWritable: the folder is missing or refuses the file.
    """
    tensors = {}
    for block, gate in gates.blocks.items():
        tensors[block + _PROJECTION] = gate.projection.detach().float().cpu().contiguous()
        tensors[block + _TEMPERATURE] = gate.temperature.detach().float().cpu()
    hashes = {name: gates.hashes.get(name, "") for name in gates.names}
    container.save(Path(path), tensors, {**(metadata or {}), KEY: json.dumps(hashes)})


def _hashes(path: Path, metadata: Mapping[str, str]) -> dict[str, str]:
    try:
        found = json.loads(metadata[KEY])
    except (KeyError, ValueError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        raise UnknownFormat(
            f"{path}: holds no learned gates; give a file that lorafusion train gates wrote"
        )
    return {str(name): str(sha256) for name, sha256 in found.items()}


def _gate(path: Path, block: str, tensors: Mapping[str, Tensor]) -> BlockGate:
    projection = tensors.get(block + _PROJECTION)
    temperature = tensors.get(block + _TEMPERATURE)
    if projection is None or temperature is None or projection.ndim != 2 or temperature.ndim:
        raise UnreadableFile(
            f"{path}: the gate of {block} lacks its matrix or its temperature; train the gates again"
        )
    return BlockGate(projection.float(), temperature.float())
