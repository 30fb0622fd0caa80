import pytest
import torch

from smalti.nets import PixelNetwork


@pytest.mark.parametrize(("height", "width", "patch"), [(32, 48, 8), (33, 7, 8), (5, 6, 5), (16, 16, 4)])
def test_untrained_it_returns_pictures_of_any_size_as_they_are(height: int, width: int, patch: int) -> None:
    pixels = 255 * torch.rand(2, 3, height, width)
    assert torch.equal(PixelNetwork(3, patch, width=8, blocks=1)(pixels), pixels)


def _shaken() -> PixelNetwork:
    torch.manual_seed(0)
    net = PixelNetwork(channels=1, patch=4, width=8, blocks=1)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return net


def test_it_knows_where_in_a_patch_a_pixel_lies() -> None:
    flat = _shaken()(torch.full((1, 1, 40, 40), 100.0))[0, 0]
    inner = flat[12:28, 12:28]
    torch.testing.assert_close(inner[4:], inner[:-4])  # the same in every patch
    assert inner[:4, :4].std() > 1e-3  # and not the same within one


def test_it_moves_with_the_patches() -> None:
    net, pixels = _shaken(), 255 * torch.rand(1, 1, 64, 64)
    moved = net(pixels.roll(4, 3))
    torch.testing.assert_close(moved[..., 20:44], net(pixels).roll(4, 3)[..., 20:44], atol=1e-3, rtol=0)
