"""What is the U-Net's alone: patches unfolded into places."""

import pytest
import torch

from smalti.nets import UNet


@pytest.mark.parametrize("unfold", [2, 4])
@pytest.mark.parametrize("grid", [(1, 1), (5, 7), (16, 16)])
def test_patches_of_any_grid_are_unfolded_and_folded_again(unfold: int, grid: tuple[int, int]) -> None:
    net = UNet(3, 5, grid, width=32, unfold=unfold)
    assert net(torch.randn(2, 3, *grid), torch.tensor([0, 999])).shape == (2, 5, *grid)


def test_places_in_a_patch_share_their_kernels() -> None:
    whole = UNet(3, 5, (4, 4), width=32)
    unfolded = UNet(3, 5, (4, 4), width=32, unfold=2)
    assert len(unfolded.body.down_blocks) == len(whole.body.down_blocks) + 1
    assert unfolded.body.conv_in.weight.shape == whole.body.conv_in.weight.shape


def test_a_patch_is_unfolded_into_a_power_of_two() -> None:
    with pytest.raises(ValueError, match="power of 2"):
        UNet(3, 5, (4, 4), width=32, unfold=3)
