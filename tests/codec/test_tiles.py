"""Large pictures are coded in tiles, and come out as if they had not been."""

import pytest
import torch

from smalti.codec import Codec, tiles
from smalti.codec.deblocking import Deblock


@pytest.fixture(scope="module")
def large(photo: torch.Tensor) -> torch.Tensor:
    """Two pictures of sides that are no multiples of a patch."""
    return torch.stack([photo, photo.flip(2)])[:, :, :157, :203].contiguous()


@pytest.mark.parametrize("deblock", ["none", "linear", "convolutional"])
@pytest.mark.parametrize("patch", [4, 5])
def test_tiles_do_not_show(
    photos: list[torch.Tensor], large: torch.Tensor, deblock: Deblock, patch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = "PQ-16-8-8/4" if patch == 4 else "VQ-6@6-4@4-4@4/5"
    codec = Codec.fit(photos, spec, patches=3_000, deblock=deblock if deblock == "linear" else "none", progress=False)
    if deblock == "convolutional":
        codec.add_deblocker("convolutional", width=16, blocks=1)
        with torch.no_grad():
            for number, parameter in enumerate(codec.deblocker.parameters()):
                parameter.normal_(0, 0.05, generator=torch.Generator().manual_seed(number))
    whole = codec.encode(large)
    decoded = codec.decode(whole, (157, 203))
    chosen = codec.encode(large, rounds=1)

    seen = []
    coded = Codec.decode_float
    monkeypatch.setattr(tiles, "_LARGE", 40 * 40)
    monkeypatch.setattr(tiles, "_PIXELS_OF_A_TILE", 40 * 40)
    monkeypatch.setattr(Codec, "decode_float", lambda self, z, *size: seen.append(z.shape) or coded(self, z, *size))
    assert torch.equal(codec.encode(large), whole)
    again = codec.decode(whole, (157, 203))
    assert len(seen) > 8
    assert all(shape[2] < whole.shape[2] and shape[3] < whole.shape[3] for shape in seen)
    assert again.shape == decoded.shape
    assert (again.int() - decoded.int()).abs().max() <= (deblock == "convolutional")  # sums in another order
    # Which codes are chosen again may depend on the tile, since all of a picture has to gain.
    other = codec.encode(large, rounds=1)
    error = [(codec.decode(z, (157, 203)).float() - large).square().mean() for z in (whole, chosen, other)]
    assert error[2] <= error[0]
    assert error[2] <= 1.02 * error[1]
