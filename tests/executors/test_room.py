"""Room: every tensor in a place of its own, aligned, in one piece of memory."""

from __future__ import annotations

import torch

from lorafusion.executors.room import Room

CPU = torch.device("cpu")


def test_tensors_lie_beside_each_other_and_not_in_each_other() -> None:
    shapes = [(3, 5), (7,), (2, 3, 1, 1), (0, 4), (300_000,)]
    kinds = [(CPU, torch.float32), (CPU, torch.float16)]
    wanted = [(kind, shape) for shape in shapes for kind in kinds]
    room = Room(wanted)
    taken = [room.take(*each) for each in wanted]
    for number, tensor in enumerate(taken):
        tensor.fill_(number)
    for number, ((kind, shape), tensor) in enumerate(zip(wanted, taken, strict=True)):
        assert (tensor.device, tensor.dtype) == kind
        assert tensor.shape == shape
        assert tensor.is_contiguous()
        assert (tensor == number).all()
        assert tensor.numel() == 0 or tensor.data_ptr() % 64 == 0
    assert len({tensor.untyped_storage().data_ptr() for tensor in taken if tensor.numel()}) == 2


def test_other_devices_have_room_too() -> None:
    kind = (torch.device("meta"), torch.float16)
    assert Room([(kind, (2, 2))]).take(kind, (2, 2)).is_meta
