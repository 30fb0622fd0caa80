"""What every test runs under: types and shapes checked, no network, caches of its own."""

import os
import tempfile

# Before anything imports datasets or huggingface_hub: they read these once.
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="smalti-tests-")
os.environ["HF_HUB_OFFLINE"] = "1"

from jaxtyping import install_import_hook

install_import_hook("smalti", "beartype.beartype")

import hypothesis  # noqa: E402

hypothesis.settings.register_profile("smalti", deadline=None, derandomize=True, max_examples=30)
hypothesis.settings.load_profile("smalti")

from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from skimage import data as skimage_data  # noqa: E402

from smalti.codec import Codec  # noqa: E402


@pytest.fixture(scope="session")
def photo() -> torch.Tensor:
    """A photo of a cat, uint8 (3, 300, 451): neither side is a multiple of 8."""
    return torch.from_numpy(skimage_data.chelsea().copy()).permute(2, 0, 1).contiguous()


@pytest.fixture(scope="session")
def photos(photo: torch.Tensor) -> list[torch.Tensor]:
    """Three photos of different sizes."""
    others = (skimage_data.astronaut(), skimage_data.coffee())
    return [photo, *(torch.from_numpy(image.copy()).permute(2, 0, 1).contiguous() for image in others)]


@pytest.fixture(scope="session")
def codec(photos: list[torch.Tensor]) -> Codec:
    """A small colour codec with codebooks of different sizes."""
    return Codec.fit(photos, "OPQ-12@6-5@5-4@4/4", patches=4_000, progress=False)


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory, photos: list[torch.Tensor]) -> Path:
    """24 crops of 48x40 pixels in two sub-folders, which are their classes."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(24):
        image = photos[number % 3].permute(1, 2, 0).numpy()
        top, left = random.integers(0, 200, 2)
        place = folder / ("cats" if number % 3 == 0 else "others")
        place.mkdir(exist_ok=True)
        Image.fromarray(image[top : top + 48, left : left + 40]).save(place / f"{number:02d}.png")
    return folder


class Means(torch.nn.Module):
    """A feature network for tests: mean and spread of each channel in each quarter, of 299x299 pictures."""

    def forward(self, img: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        assert img.dtype == torch.uint8
        assert img.size(2) == 299
        assert return_features
        x = img[:, :, :298, :298].to(torch.float32).reshape(img.size(0), 3, 2, 149, 2, 149)
        return torch.cat([x.mean([3, 5]).flatten(1), x.std([3, 5]).flatten(1)], 1)


@pytest.fixture(scope="session")
def feature_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TorchScript file called as those of FID are; 24 features."""
    path = tmp_path_factory.mktemp("features") / "means.pt"
    torch.jit.script(Means()).save(str(path))
    return path
