"""Resident: LoRAs that are on an accelerator, as long as there is room, so that popular ones are moved once."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lorafusion.lora import LoRA
from lorafusion.lora.kinds import Delta

Key = tuple[torch.device, tuple[int, ...]]


@dataclass(frozen=True)
class _There:
    """A LoRA on a device, the deltas on the CPU that it is of, and its bytes."""

    lora: LoRA
    of: tuple[weakref.ref[Any], ...]
    size: int


class Resident:
    """The LoRAs that were used last on accelerators, up to a number of bytes.

    A LoRA is moved as it lies in its file, in one copy for all its tensors; stacks are then made of it on the
    device.

    Args:
        budget: bytes of a device that are kept; the least recently used go first.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._held: OrderedDict[Key, _There] = OrderedDict()
        self._gone: deque[Key] = deque()
        self._lock = threading.Lock()

    def get(self, lora: LoRA, device: torch.device) -> LoRA:
        """The LoRA with its tensors on this device."""
        key = (device, tuple(map(id, lora.deltas.values())))
        with self._lock:
            self._settle()
            known = self._held.get(key)
            if known and all(
                own() is delta for own, delta in zip(known.of, lora.deltas.values(), strict=True)
            ):
                self._held.move_to_end(key)
                return replace(known.lora, name=lora.name)
        mover = _Mover(device)
        there = replace(
            lora, deltas={path: mover.moved(delta) for path, delta in lora.deltas.items()}
        )
        of = tuple(weakref.ref(delta, self._forgets(key)) for delta in lora.deltas.values())
        with self._lock:
            self._held[key] = _There(there, of, mover.size)
            self._settle()
        return there

    @property
    def size(self) -> int:
        """Bytes of devices that are kept."""
        with self._lock:
            self._settle()
            return self._size()

    def _size(self) -> int:
        return sum(held.size for held in self._held.values())

    def _settle(self) -> None:
        """Let go what nobody can ask for any more, and what is over the budget."""
        while self._gone:
            self._held.pop(self._gone.popleft(), None)
        while self._held and self._size() > self.budget:
            self._held.popitem(last=False)

    def _forgets(self, key: Key) -> Callable[[object], None]:
        """What notes that a copy can go, since what it is of is gone; Python may call it in the middle of `get`."""
        gone = self._gone
        return lambda _: gone.append(key)


RESIDENT = Resident(budget=1 << 29)
"""What `apply` takes LoRAs from where the denoiser is on an accelerator: half a gigabyte; set
``RESIDENT.budget`` to another number."""


class _Mover:
    """Moves tensors to a device, all that lie in one piece of memory together."""

    def __init__(self, device: torch.device) -> None:
        self.size = 0
        self._device = device
        self._pieces: dict[tuple[int, int], Tensor] = {}

    def moved(self, delta: Delta) -> Delta:
        """The same change, whatever its kind, on the device."""
        changed: dict[str, Any] = {}
        for field in fields(delta):
            value = getattr(delta, field.name)
            if isinstance(value, Tensor):
                changed[field.name] = self._tensor(value)
            elif is_dataclass(value):
                changed[field.name] = self.moved(value)  # type: ignore[arg-type]  # DoRA's inner change
        return replace(delta, **changed)

    def _tensor(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        key = (storage.data_ptr(), storage.nbytes())
        if key not in self._pieces:
            whole = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(storage)
            self._pieces[key] = whole.to(self._device, copy=True)
            self.size += storage.nbytes()
        piece = self._pieces[key]
        usable = len(piece) // tensor.dtype.itemsize * tensor.dtype.itemsize
        typed = piece[:usable].view(tensor.dtype)
        return typed.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
