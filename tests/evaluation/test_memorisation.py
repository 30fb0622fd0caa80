from pathlib import Path

import pytest
import torch

from smalti.codec import Codec
from smalti.data import Latents, encode_images, open_images
from smalti.evaluation.memorisation import find_copies, training_pictures


def _noise(count: int, seed: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 16, 16), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def test_copies_are_found_and_told_from_new_pictures() -> None:
    training = _noise(40, 0)
    image = torch.arange(40)
    copied = find_copies(training[[7, 3, 9]], training, image, "")
    assert copied.generated == pytest.approx(0, abs=1e-4)
    assert copied.distances == pytest.approx([0, 0, 0], abs=1e-4)
    assert all(torch.equal(row[0], row[1]) for row in copied.rows)
    new = find_copies(_noise(30, 1), training, image, "")
    assert new.generated == pytest.approx(new.training, rel=0.05)


def test_a_flipped_copy_of_itself_is_no_neighbour_of_a_training_picture() -> None:
    twice = _noise(20, 0).repeat_interleave(2, dim=0)
    found = find_copies(_noise(5, 1), twice, torch.arange(40) // 2, "")
    assert found.training > 50


def test_distances_are_root_mean_squares_in_grey_levels() -> None:
    flat = torch.full((2, 3, 20, 20), 100, dtype=torch.uint8)
    flat[1] = 130
    found = find_copies(flat + 7, flat, torch.arange(2), "")
    assert found.generated == pytest.approx(7, abs=1e-3)
    assert found.training == pytest.approx(30, abs=1e-3)


def test_the_latents_that_a_model_was_trained_on_are_preferred(
    photo_folder: Path, codec: Codec, tmp_path: Path
) -> None:
    images = open_images(photo_folder, size=16, crop="random")
    encode_images(images, codec, tmp_path / "latents", views=2, progress=False)
    pictures, image, source = training_pictures(tmp_path, codec, images)
    assert source.startswith("the latents")
    assert pictures.shape == (24 * 2 * 2, 3, 16, 16)
    assert torch.equal(image[:4], torch.tensor([0, 0, 1, 1]))
    assert torch.equal(image[48:], image[:48])
    assert torch.equal(Latents(tmp_path / "latents").image_of(torch.arange(96)), image)
    pictures, image, source = training_pictures(tmp_path / "elsewhere", codec, images)
    assert source.startswith("the reference photos")
    assert len(pictures) == len(image) == 24
