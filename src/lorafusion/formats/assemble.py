"""The tensors of one module, by their roles, made into a Delta of the kind that they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from lorafusion.errors import UnreadableFile
from lorafusion.lora import Delta, Dense, DoRA, LoHa, LoKr, LowRank, tucker
from lorafusion.lora.shapes import wide

Scale = Callable[[str, int], float | None]
"""(target, rank) -> the scale that the header gives, or None when it says nothing."""

_LARGEST_KERNEL = 49
_MODIFIERS = frozenset({"alpha", "dora_scale", "magnitude"})


@dataclass
class Part:
    """What the file holds for one target.

    Attributes:
        keys: role ("down", "hada_w1_a", "alpha", ...) -> the key it came from.
        tensors: role -> tensor.
    """

    keys: dict[str, str] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def seen(self, *roles: str) -> str:
        """Keys with shapes, for messages."""
        return " and ".join(f"{self.keys[r]!r} is {list(self.tensors[r].shape)}" for r in roles)


def assemble(target: str, part: Part, said: Scale) -> Delta:
    """One target's Delta.

    Args:
        target: its path.
        part: all its tensors.
        said: what the header says, for targets without an alpha of their own.

    Raises:
        UnreadableFile: a partner is missing, kinds are mixed, shapes do not fit each other, alpha is
            not one number, or it contradicts the header.
    """
    roles = part.tensors.keys() - _MODIFIERS
    for role in sorted(part.tensors.keys() - {"alpha"}):
        if not part.tensors[role].is_floating_point():
            raise UnreadableFile(f"{part.seen(role)}, of whole numbers; expected floating point")
    make = next(
        (make for mark, make in _MAKERS.items() if any(mark in r for r in roles)), _low_rank
    )
    delta, used = make(part, lambda rank: _scale(part, rank, said(target, rank)))
    if left := sorted(roles - used):
        raise UnreadableFile(
            f"{part.keys[left[0]]!r} stands beside a whole {delta.kind}; "
            "a module has one kind of change, the file was put together wrongly"
        )
    return _with_lengths(delta, part)


def _low_rank(part: Part, scale: Callable[[int], float]) -> tuple[LowRank, set[str]]:
    for role, other in (("down", "up"), ("up", "down")):
        if role not in part.tensors:
            owner = part.keys.get(other) or next(iter(part.keys.values()))
            raise UnreadableFile(
                f"{owner!r} has no {role} matrix beside it; the file is incomplete, fetch it again"
            )
    down, up = part.tensors["down"], part.tensors["up"]
    seen = part.seen("down", "up")
    if down.ndim < 2 or up.ndim < 2 or not (down.numel() and up.numel()):
        raise UnreadableFile(f"{seen}; expected matrices [rank, in] and [out, rank]")
    if "mid" in part.tensors:
        mid = part.tensors["mid"]
        if not _is_core(mid, down.shape[0]) or math.prod(down.shape[2:]) != 1:
            raise UnreadableFile(f"{part.seen('down', 'mid')}; their ranks differ")
        down = tucker(mid, down)
    if down.shape[0] != up.shape[1]:
        raise UnreadableFile(f"{seen}; their ranks {down.shape[0]} and {up.shape[1]} differ")
    if any(size != 1 for size in up.shape[2:]):
        raise UnreadableFile(f"{seen}; expected an up matrix with a kernel of one")
    return LowRank(down, up, scale(down.shape[0])), {"down", "up", "mid"}


def _loha(part: Part, scale: Callable[[int], float]) -> tuple[LoHa, set[str]]:
    cores = [part.tensors.get("hada_t1"), part.tensors.get("hada_t2")]
    roles = (("hada_w1_a", "hada_w1_b"), ("hada_w2_a", "hada_w2_b"))
    (w1_a, w1_b), (w2_a, w2_b) = (
        _product(part, pair, core) for pair, core in zip(roles, cores, strict=True)
    )
    if w1_a.shape[0] != w2_a.shape[0] or w1_b.shape[1] != w2_b.shape[1]:
        raise UnreadableFile(
            f"{part.seen('hada_w1_a', 'hada_w2_a')}; the two products differ in shape"
        )
    kernel = next((tuple(core.shape[2:]) for core in cores if core is not None), ())
    shape = _shape(w1_a.shape[0], w1_b.shape[1], kernel)
    used = {*roles[0], *roles[1], "hada_t1", "hada_t2"}
    return LoHa(w1_a, w1_b, w2_a, w2_b, scale(w1_b.shape[0]), shape), used


def _lokr(part: Part, scale: Callable[[int], float]) -> tuple[LoKr, set[str]]:
    w1, right1, _, used1 = _half(part, "1")
    w2, right2, kernel, used2 = _half(part, "2")
    columns = [
        (w if right is None else right).shape[1] for w, right in ((w1, right1), (w2, right2))
    ]
    shape = _shape(w1.shape[0] * w2.shape[0], columns[0] * columns[1], kernel)
    # LyCORIS sets alpha to the rank it does not store where nothing is decomposed.
    rank = next((right.shape[0] for right in (right2, right1) if right is not None), 0)
    return LoKr(w1, w2, scale(rank), shape, right1, right2), used1 | used2


def _half(part: Part, number: str) -> tuple[Tensor, Tensor | None, tuple[int, ...], set[str]]:
    """One of LoKr's matrices, or its two factors; the kernel; and the roles used."""
    whole, roles = f"lokr_w{number}", (f"lokr_w{number}_a", f"lokr_w{number}_b")
    if whole in part.tensors:
        matrix = part.tensors[whole]
        if matrix.ndim < 2 or not matrix.numel():
            raise UnreadableFile(f"{part.seen(whole)}; expected a matrix")
        return matrix.flatten(1), None, tuple(matrix.shape[2:]), {whole}
    core = part.tensors.get(f"lokr_t{number}")
    left, right = _product(part, roles, core)
    source = part.tensors[roles[1]] if core is None else core
    return left, right, tuple(source.shape[2:]), {*roles, f"lokr_t{number}"}


def _product(part: Part, roles: tuple[str, str], core: Tensor | None) -> tuple[Tensor, Tensor]:
    """[out, r] and [r, in · kernel]; a Tucker core is folded into the second."""
    for role in roles:
        if role not in part.tensors:
            owner = next(iter(part.keys.values()))
            raise UnreadableFile(
                f"{owner!r} has no {role} beside it; the file is incomplete, fetch it again"
            )
    left, right = part.tensors[roles[0]], part.tensors[roles[1]]
    if left.ndim < 2 or right.ndim < 2 or not (left.numel() and right.numel()):
        raise UnreadableFile(f"{part.seen(*roles)}; expected matrices")
    if core is not None:
        if not _is_core(core, right.shape[0]) or left.shape[0] != right.shape[0]:
            raise UnreadableFile(
                f"{part.seen(*roles)}; the core {list(core.shape)} does not fit them"
            )
        left, right = wide(left).flatten(1).T, tucker(core, right)
    left, right = left.flatten(1), right.flatten(1)
    if left.shape[1] != right.shape[0]:
        raise UnreadableFile(f"{part.seen(*roles)}; their ranks differ")
    return left, right


def _is_core(core: Tensor, rank: int) -> bool:
    """Whether it is a Tucker core of this rank: square, with a kernel of a size that models have.

    Folding it in makes the right factor larger by the kernel's size, so that is kept small.
    """
    kernel = core.shape[2:]
    return tuple(core.shape[:2]) == (rank, rank) and math.prod(kernel) <= _LARGEST_KERNEL


def _dense(part: Part, _scale: Callable[[int], float]) -> tuple[Dense, set[str]]:
    if extra := sorted(part.tensors.keys() & _MODIFIERS):
        raise UnreadableFile(
            f"{part.keys[extra[0]]!r} stands beside a full difference, which has none; "
            "the file was put together wrongly"
        )
    change = part.tensors["diff"]
    if not change.ndim or not change.numel():
        raise UnreadableFile(f"{part.seen('diff')}; expected the shape of a weight")
    return Dense(change), {"diff"}


_MAKERS: Mapping[str, Callable[..., tuple[LowRank | LoHa | LoKr | Dense, set[str]]]] = {
    "down": _low_rank,
    "up": _low_rank,
    "hada_": _loha,
    "lokr_": _lokr,
    "diff": _dense,
}


def _shape(out: int, columns: int, kernel: tuple[int, ...]) -> tuple[int, ...]:
    return (out, columns // math.prod(kernel), *kernel)


def _scale(part: Part, rank: int, said: float | None) -> float:
    """alpha / rank, of the module's own alpha or the header's; 1 without any, or without a rank."""
    if "alpha" not in part.tensors or not rank:
        return 1.0 if said is None else said
    alpha = part.tensors["alpha"]
    if alpha.numel() != 1:
        raise UnreadableFile(f"{part.keys['alpha']!r} is {list(alpha.shape)}; expected one number")
    own = float(alpha) / rank
    # Half-precision alphas agree with the header's only roughly.
    if said is not None and not math.isclose(own, said, rel_tol=1e-2):
        raise UnreadableFile(
            f"{part.keys['alpha']!r} makes the scale {own:g} but the header {said:g}; "
            "remove the one that is wrong"
        )
    return own


def _with_lengths(delta: LowRank | LoHa | LoKr | Dense, part: Part) -> Delta:
    """DoRA where the file has lengths: peft's are of rows, LyCORIS's say it by their shape."""
    given = [role for role in ("magnitude", "dora_scale") if role in part.tensors]
    if not given:
        return delta
    if len(given) > 1:
        raise UnreadableFile(f"{part.seen(*given)}; a module has one set of lengths")
    lengths, out = part.tensors[given[0]], delta.shape[0]
    if given[0] == "magnitude" or (
        lengths.ndim and lengths.shape[0] == out and lengths.numel() == out
    ):
        if lengths.numel() != out:
            raise UnreadableFile(f"{part.seen(given[0])}; expected {out} lengths")
        return DoRA(delta, lengths.reshape(out, 1))
    if lengths.ndim < 2 or lengths.numel() != lengths.shape[1]:
        raise UnreadableFile(f"{part.seen(given[0])}; expected [{out}, 1] or [1, in]")
    return DoRA(delta, lengths.reshape(1, -1))
