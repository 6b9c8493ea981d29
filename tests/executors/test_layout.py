"""Which factor of a change takes the gates is a matter of work, never of the result."""

import pytest
import torch
from torch import Tensor

from lorafusion.executors.layout import with_gates


@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (5, 5)])
@pytest.mark.parametrize("members", [(), (3,)])
def test_either_factor_may_take_the_gates(shape: tuple[int, int], members: tuple[int, ...]) -> None:
    """One weight or many of a shape, wider or higher: up @ diag(gates) @ down, and only the smaller is new."""
    draw = torch.Generator().manual_seed(0)

    def random(*size: int) -> Tensor:
        return torch.randn(size, dtype=torch.float64, generator=draw)

    up, down, gates = random(*members, shape[0], 6), random(*members, 6, shape[1]), random(6)
    factors = with_gates(up, down, gates)
    torch.testing.assert_close(factors[0] @ factors[1], up @ torch.diag(gates) @ down)
    higher = shape[0] > shape[1]
    assert (factors[0] is up, factors[1] is down) == (higher, not higher)
