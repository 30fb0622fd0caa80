import torch

from smalti.nets import BatchDropout


def _masked(x: torch.Tensor, seed: int, ranks: int, at_once: int | None = None) -> torch.Tensor:
    dropout, found = BatchDropout(0.4), torch.empty_like(x)
    step = ranks * (at_once or len(x))
    for first in (rank + part for rank in range(ranks) for part in range(0, len(x), step)):
        rows = slice(first, first + step, ranks)
        dropout.draw(seed, rows, len(x))
        found[rows] = dropout(x[rows])
    return found


def test_processes_and_parts_that_share_a_batch_drop_the_same_of_it() -> None:
    x = torch.ones(12, 5, 3)
    alone = _masked(x, 1, 1)
    assert torch.equal(_masked(x, 1, 3), alone)
    assert torch.equal(_masked(x, 1, 1, at_once=5), alone)
    assert torch.equal(_masked(x, 1, 2, at_once=2), alone)
    assert not torch.equal(_masked(x, 2, 1), alone)
    big = _masked(torch.ones(100, 100), 0, 2)
    assert abs((big == 0).float().mean() - 0.4) < 0.02
    assert abs(big.mean() - 1) < 0.03


def test_nothing_is_dropped_when_it_does_not_train() -> None:
    x = torch.ones(4, 3)
    assert torch.equal(BatchDropout(0.4).eval()(x), x)
