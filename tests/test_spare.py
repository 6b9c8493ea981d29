"""Spare memory: used again when nothing lies in it, never before."""

from __future__ import annotations

import threading

import numpy as np
import torch

from lorafusion.spare import Spare

MIB = 1 << 20


def place(piece: np.ndarray) -> int:
    return int(piece.__array_interface__["data"][0])


def test_a_piece_is_used_again_when_its_last_tensor_is_gone() -> None:
    spare = Spare(64 * MIB)
    piece = spare.take(4 * MIB)
    where = place(piece)
    tensor = torch.from_numpy(piece).view(torch.float32)[10:20]
    tensor.fill_(7)
    del piece
    other = spare.take(4 * MIB)
    other.fill(0)
    assert place(other) != where
    assert tensor.tolist() == [7.0] * 10
    del tensor
    assert spare.size == 4 * MIB
    assert place(spare.take(3 * MIB)) == where


def test_no_more_is_kept_than_the_budget() -> None:
    spare = Spare(5 * MIB)
    pieces = [spare.take(2 * MIB) for _ in range(4)]
    assert spare.size == 0
    last = place(pieces[-1])
    while pieces:
        pieces.pop(0)
    assert spare.size == 4 * MIB
    assert place(spare.take(2 * MIB)) == last


def test_small_pieces_and_much_larger_ones_are_made_anew() -> None:
    spare = Spare(64 * MIB)
    spare.take(1000)
    assert spare.size == 0
    assert len(spare.take(16 * MIB)) == 16 * MIB
    assert len(spare.take(2 * MIB)) == 2 * MIB
    assert spare.size == 18 * MIB


def test_threads_are_given_different_pieces() -> None:
    spare = Spare(32 * MIB)
    wrong: list[int] = []

    def work(own: int) -> None:
        for _ in range(200):
            piece = spare.take(2 * MIB)
            piece[:64] = own
            if len(piece) != 2 * MIB or (piece[:64] != own).any():
                wrong.append(own)

    threads = [threading.Thread(target=work, args=(own,)) for own in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_part_of_an_array_keeps_its_piece() -> None:
    spare = Spare(64 * MIB)
    piece = spare.take(4 * MIB)
    part = piece[100:200][10:20]
    del piece
    assert spare.size == 0
    tensor = torch.from_numpy(part)[5:]
    del part
    assert spare.size == 0
    del tensor
    assert spare.size == 4 * MIB
