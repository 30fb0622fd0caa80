import torch
from hypothesis import given
from hypothesis import strategies as st

from smalti.codec import CodecSpec
from smalti.codec.patches import from_grid, from_patches, on_grid, pad_to_patches, to_patches


@given(st.integers(1, 12), st.integers(1, 40), st.integers(1, 40), st.integers(1, 4))
def test_patches_of_any_image_come_back_and_padding_repeats_the_edge(patch: int, h: int, w: int, planes: int) -> None:
    x = torch.randint(0, 256, (2, planes, h, w), dtype=torch.uint8)
    padded = pad_to_patches(x, patch)
    rows, columns = padded.shape[2] // patch, padded.shape[3] // patch
    assert (rows, columns) == CodecSpec.parse(f"RQ-8/{patch}").grid(h, w)
    assert torch.equal(padded[..., :h, :w], x)
    assert (padded[..., h:, :w] == x[..., -1:, :]).all()
    assert (padded[..., :h, w:] == x[..., -1:]).all()
    patches = to_patches(padded.float(), patch)
    assert patches.shape == (planes, 2 * rows * columns, patch * patch)
    assert torch.equal(from_patches(patches, (rows, columns), patch), padded.float())


def test_on_a_grid_every_patch_has_its_neighbours_beside_it_and_comes_back() -> None:
    planes, rows, columns, patch = 2, 3, 5, 2
    x = torch.arange(2 * planes * 6 * 10).reshape(2, planes, 6, 10).float()
    patches = to_patches(x, patch)
    grid = on_grid(patches, (rows, columns))
    assert grid.shape == (2, planes * patch**2, rows, columns)
    for plane in range(planes):
        cut = x[1, plane, 2:4, 6:8].flatten()  # the patch in row 1 and column 3 of the second image
        assert torch.equal(grid[1, 4 * plane : 4 * plane + 4, 1, 3], cut)
    assert torch.equal(from_grid(grid, planes), patches)
