"""Data-parallel training on one machine: processes of one thread that share memory.

Steps of so small a model use several processes far better than several threads. Every process has
the same weights, in shared memory, and gradients of its own part of the batch. The optimiser's work
is divided by parameter, as in ZeRO (Rajbhandari et al. 2020, stage 2): each parameter has one
owner, who averages its gradients, updates it, and so updates it for all. Sums are always in the
order of the ranks, so equal seeds give equal weights.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

import torch
from torch import Tensor, nn

_PATIENCE = 600.0
"""Seconds to wait for another process, longer than any step; after that it is taken for dead."""


@dataclass
class Team:
    """The processes' common memory, as one of them sees it.

    Attributes:
        rank: which process this is.
        gradients: per process, one tensor for every parameter, shaped like it.
        squares: [size] sums of squared averaged gradients, one per owner.
        losses: [size] each process's loss of this step.
        barrier: where the processes meet; none for a team of one.
    """

    rank: int
    gradients: list[list[Tensor]]
    squares: Tensor
    losses: Tensor
    barrier: Barrier | None

    @classmethod
    def of(cls, size: int, weights: Sequence[Tensor]) -> "Team":
        """A new team of `size` processes that train these weights, seen from rank 0."""
        context = get_context("spawn")
        gradients = [[torch.zeros_like(one) for one in weights] for _ in range(size)]
        return cls(0, gradients, torch.zeros(size, dtype=torch.float64),
                   torch.zeros(size, dtype=torch.float64),
                   context.Barrier(size) if size > 1 else None)  # fmt: skip

    @property
    def size(self) -> int:
        """Number of processes."""
        return len(self.gradients)

    def meet(self) -> None:
        """Wait for the others."""
        if self.barrier is not None:
            self.barrier.wait(_PATIENCE)

    def begin(self, weights: Sequence[Tensor]) -> None:
        """Start a step: backward passes of this process add to its shared gradients, now zero."""
        for weight, gradient in zip(weights, self.gradients[self.rank], strict=True):
            weight.grad = gradient.zero_()

    @torch.no_grad()
    def average(self, owned: Sequence[int], loss: float) -> tuple[float, float]:
        """Put the mean of all processes' gradients in place of the own ones.

        Args:
            owned: positions of the parameters that this process updates.
            loss: this process's loss.
        Returns:
            The norm of all parameters' averaged gradients, those of the other owners included,
            and the mean loss.
        """
        self.losses[self.rank] = loss
        self.meet()
        for place in owned:
            rows = [gradients[place] for gradients in self.gradients]
            total = rows[0].clone()
            for row in rows[1:]:
                total += row
            rows[self.rank].copy_(total.div_(self.size))
        mine = [self.gradients[self.rank][place] for place in owned]
        self.squares[self.rank] = nn.utils.get_total_norm(mine).double().square()
        self.meet()
        return float(self.squares.sum().sqrt()), float(self.losses.mean())


@contextmanager
def helped(team: Team, target: Callable[..., None], *given: object) -> Iterator[None]:
    """Run `target(*given, team)` in the other processes of a team meanwhile.

    What a process is given, torch moves to memory that both share, and leaves it there.

    Args:
        team: as rank 0 sees it.
        target: a function of a module, with the team as its last argument.
        given: its other arguments.
    """
    context, threads = get_context("spawn"), torch.get_num_threads()
    helpers = [
        context.Process(target=_alone, args=(target, *given, replace(team, rank=rank)), daemon=True)
        for rank in range(1, team.size)
    ]
    for helper in helpers:
        helper.start()
    if helpers:
        torch.set_num_threads(1)
    try:
        yield
    except BaseException:
        for helper in helpers:
            helper.terminate()
        raise
    finally:
        for helper in helpers:
            helper.join()
        torch.set_num_threads(threads)


def _alone(target: Callable[..., None], *given: object) -> None:
    """One helping process: one thread."""
    torch.set_num_threads(1)
    target(*given)
