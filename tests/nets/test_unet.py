"""What is the U-Net's alone: patches unfolded into places."""

from typing import Literal

import pytest
import torch
from diffusers.models.attention_processor import Attention

from smalti.errors import SmaltiError
from smalti.nets import UNet, UNetSettings


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


@pytest.mark.parametrize(
    ("width", "conditioning", "knows"), [(32, "add", False), (64, "add", True), (32, "scale", True)]
)
def test_what_is_added_before_a_channel_is_normalised_by_itself_is_lost(
    width: int, conditioning: str, knows: bool
) -> None:
    torch.manual_seed(0)
    net = UNet(3, 5, (8, 8), 2, width, conditioning=conditioning, unfold=2).eval()
    torch.nn.init.normal_(net.body.conv_out.weight)  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]
    x = torch.randn(1, 3, 8, 8)
    early, late = (net(x, torch.tensor([t])) for t in (10, 900))
    rose, tulip = (net(x, torch.tensor([10]), torch.tensor([label])) for label in (0, 1))
    assert torch.allclose(early, late, atol=1e-4) != knows
    assert torch.allclose(rose, tulip, atol=1e-4) != knows


def test_an_unknown_conditioning_is_refused() -> None:
    with pytest.raises(ValueError, match="scale, add"):
        UNet(3, 5, (4, 4), width=32, conditioning="film")


@pytest.mark.parametrize("conditioning", ["scale", "add"])
def test_all_attention_normalises_what_it_reads(conditioning: Literal["scale", "add"]) -> None:
    net = UNetSettings(width=32, conditioning=conditioning).build(3, 5, (8, 8), 0)
    attention = [module for module in net.modules() if isinstance(module, Attention)]
    assert len(attention) > 1
    assert all(module.group_norm is not None for module in attention)


def test_a_network_of_before_has_a_bare_middle() -> None:
    before = UNet(3, 5, (8, 8), width=32, conditioning="scale")
    assert before.body.mid_block.attentions[0].group_norm is None  # pyright: ignore[reportOptionalMemberAccess]
    assert before.config["bare_middle"]
    assert not UNet(3, 5, (8, 8), width=32).config["bare_middle"]
    with pytest.raises(SmaltiError, match="never bare"):
        UNetSettings(conditioning="add", bare_middle=True)
