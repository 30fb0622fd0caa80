from pathlib import Path

import numpy as np
import pytest
import torch

from smalti.errors import SmaltiError
from smalti.metrics import FeatureNetwork, resize

MOBILENET = Path(__file__).parents[3] / "shared" / "features" / "mobilenet_v2_imagenet.pt"


class Unflat(torch.nn.Module):
    """Features that keep their place in the picture."""

    def forward(self, img: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        assert return_features
        return img[:, :, :1, :1].float()


def bicubic(side: int, size: int) -> np.ndarray:
    """Weights (size, side) of the antialiased cubic filter (Keys 1981, a = -1/2), written out."""
    scale = side / size
    stretch = max(scale, 1.0)
    centres = (np.arange(size) + 0.5) * scale
    x = np.abs((np.arange(side) + 0.5 - centres[:, None]) / stretch)
    a = -0.5
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    weights = np.where(x < 1, near, np.where(x < 2, far, 0))
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize(("height", "width"), [(40, 64), (7, 5), (400, 301)])
def test_resizing_is_the_antialiased_cubic_filter_on_floats(height: int, width: int) -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, height, width), dtype=np.uint8))
    expected = np.einsum("yh,chw,xw->cyx", bicubic(height, 32), pixels.double().numpy(), bicubic(width, 32))
    assert np.abs(resize(pixels, 32).numpy() - expected.clip(0, 255)).max() < 0.01


def test_resizing_gives_the_stored_values() -> None:
    pixels = (torch.arange(3 * 40 * 40).reshape(3, 40, 40) * 7 % 256).to(torch.uint8)
    got = resize(pixels, 8)
    stored = [
        [165.750, 169.125, 147.830, 110.819],
        [103.188, 137.773, 167.922, 173.308],
        [87.353, 82.655, 106.668, 144.359],
    ]
    assert torch.allclose(got[:, 3, :4], torch.tensor(stored), atol=1e-3)


def test_figures_are_fid_only_with_the_network_of_fid(feature_network: Path, tmp_path: Path) -> None:
    inception = tmp_path / "inception-2015-12-05.pt"
    inception.write_bytes(feature_network.read_bytes())
    assert (FeatureNetwork(inception).frechet_name, FeatureNetwork(inception).kernel_name) == ("FID", "KID")
    assert (FeatureNetwork(feature_network).frechet_name, FeatureNetwork(feature_network).kernel_name) == (
        "FD-means",
        "KID-means",
    )


def test_features_do_not_depend_on_the_size_or_the_batch(feature_network: Path, photo: torch.Tensor) -> None:
    network = FeatureNetwork(feature_network)
    crops = [photo[:, :size, : size + 9] for size in (299, 120, 50)]
    together = network(crops * 20)
    assert together.shape == (60, 24)
    assert torch.equal(together[:3], network(crops))
    quarter = crops[0][:, :149, :149].double().mean((1, 2)).float()
    assert torch.allclose(together[0, [0, 4, 8]], quarter, atol=1.5)


def test_grey_pictures_are_shown_as_three_equal_channels(feature_network: Path, photo: torch.Tensor) -> None:
    found = FeatureNetwork(feature_network)([photo[:1]])
    assert found[0, 0] == found[0, 4] == found[0, 8]


def test_what_is_no_feature_network_is_refused(tmp_path: Path, photo: torch.Tensor) -> None:
    with pytest.raises(SmaltiError, match=r"missing\.pt: there is no such file"):
        FeatureNetwork(tmp_path / "missing.pt")
    (tmp_path / "text.pt").write_text("no network")
    with pytest.raises(SmaltiError, match=r"text\.pt: cannot be loaded"):
        FeatureNetwork(tmp_path / "text.pt")
    torch.jit.script(torch.nn.ReLU()).save(str(tmp_path / "relu.pt"))
    with pytest.raises(SmaltiError, match=r"relu\.pt: cannot be called"):
        FeatureNetwork(tmp_path / "relu.pt")([photo])
    torch.jit.script(Unflat()).save(str(tmp_path / "unflat.pt"))
    with pytest.raises(SmaltiError, match=r"unflat\.pt: cannot be called.*no features"):
        FeatureNetwork(tmp_path / "unflat.pt")([photo])


class Nothing(torch.nn.Module):
    def forward(self, img: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        return img.float().mean([2, 3]) * float("nan")


def test_features_that_are_no_numbers_are_refused(tmp_path: Path, photo: torch.Tensor) -> None:
    torch.jit.script(Nothing()).save(str(tmp_path / "nothing.pt"))
    with pytest.raises(SmaltiError, match=r"nothing\.pt: gives features that are no finite numbers"):
        FeatureNetwork(tmp_path / "nothing.pt")([photo])


def test_no_pictures_have_no_features(feature_network: Path) -> None:
    with pytest.raises(SmaltiError, match="no pictures"):
        FeatureNetwork(feature_network)([])


@pytest.mark.skipif(not MOBILENET.exists(), reason="the feature network is not here")
def test_the_mobilenet_tells_a_photo_from_noise(photos: list[torch.Tensor]) -> None:
    network = FeatureNetwork(MOBILENET)
    assert network.frechet_name == "FD-MNv2"
    noise = torch.randint(0, 256, (3, 100, 100), dtype=torch.uint8)
    cat, crop, other = network([photos[0], photos[0][:, 10:290, 20:430], noise])
    assert (cat - crop).norm() < 0.5 * (cat - other).norm()
