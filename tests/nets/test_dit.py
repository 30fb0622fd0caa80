import pytest
import torch

from smalti.nets import DiT
from smalti.nets.dit import _angles, _turned


def _awake() -> DiT:
    torch.manual_seed(0)
    net = DiT(4, 4, (6, 7), width=64, layers=2).eval()
    for parameter in net.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return net


@pytest.mark.parametrize("width", [0, 16, 100])
def test_a_width_that_does_not_divide_into_heads_is_refused(width: int) -> None:
    with pytest.raises(ValueError, match=f"width is {width}"):
        DiT(4, 4, (8, 8), width=width)


def test_it_knows_where_in_the_grid_a_patch_lies() -> None:
    flat = _awake()(torch.ones(1, 4, 6, 7), torch.tensor([500]))[0].flatten(1)
    apart = torch.cdist(flat.T, flat.T) + torch.eye(6 * 7)
    assert apart.min() > 1e-3  # no two patches of a flat picture are answered alike


@pytest.mark.parametrize("order", ["mirrored", "transposed", "shuffled"])
def test_it_knows_how_patches_lie_to_each_other(order: str) -> None:
    net, t = _awake(), torch.tensor([500])
    torch.nn.init.zeros_(net.place.weight)  # what is left are the turned queries and keys
    numbers = torch.arange(36).view(6, 6)
    orders = {"mirrored": numbers.flip(1), "transposed": numbers.T, "shuffled": torch.randperm(36)}
    x, moved = torch.randn(1, 4, 6, 6), orders[order].flatten()

    def move(y: torch.Tensor) -> torch.Tensor:
        return y.flatten(2)[..., moved].view(y.shape)

    assert (net(move(x), t) - move(net(x, t))).abs().max() > 1e-3


def test_attention_scores_depend_on_how_far_patches_lie_apart_alone() -> None:
    torch.manual_seed(0)
    query, key = torch.randn(2, 1, 1, 1, 32).expand(2, 1, 1, 30, 32)
    angles = _angles(5, 6, query.device)
    query, key = (_turned(x, angles.cos(), angles.sin()) for x in (query, key))
    scores = (query @ key.mT).view(5, 6, 5, 6)  # row and column of the query, then of the key
    torch.testing.assert_close(scores[1:, 2:, 1:, 2:], scores[:-1, :-2, :-1, :-2])
    first = scores[0, 0].flatten()
    assert (torch.cdist(first[:, None], first[:, None]) + torch.eye(30)).min() > 1e-5  # and no two distances are alike
