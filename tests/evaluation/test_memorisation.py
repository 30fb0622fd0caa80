from pathlib import Path

import numpy as np
import pytest
import torch

from smalti.codec import Codec
from smalti.data import Latents, open_images
from smalti.encoding import encode_images
from smalti.evaluation.memorisation import TrainingPictures, find_copies
from smalti.model_folder import ModelFolder


def _noise(count: int, seed: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 16, 16), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def _training(pictures: torch.Tensor, codec: Codec, image: torch.Tensor | None = None) -> TrainingPictures:
    found = TrainingPictures(ModelFolder("nowhere"), codec, list(pictures))
    found.image = found.image if image is None else image
    return found


def test_copies_are_found_and_told_from_new_pictures(codec: Codec) -> None:
    pictures = _noise(40, 0)
    training = _training(pictures, codec)
    copied = find_copies(pictures[[7, 3, 9]], training)
    assert copied.generated == pytest.approx(0, abs=1e-4)
    assert copied.distances == pytest.approx([0, 0, 0], abs=1e-4)
    assert all(torch.equal(row[0], row[1]) for row in copied.rows)
    new = find_copies(_noise(30, 1), training)
    assert new.generated == pytest.approx(new.training, rel=0.05)


def test_samples_are_compared_with_what_was_held_out(codec: Codec) -> None:
    pictures = _noise(40, 0)
    training = _training(pictures, codec)
    assert find_copies(pictures[:5], training).held_out is None
    copied = find_copies(pictures[:5], training, _noise(9, 2))
    assert copied.held_out == pytest.approx(find_copies(_noise(9, 2), training).generated)
    assert copied.nearer == 1
    new = find_copies(_noise(200, 1), training, _noise(200, 2))
    assert new.nearer == pytest.approx(0.5, abs=0.25)  # five standard deviations: of both medians


def test_of_a_single_photo_there_is_no_other(codec: Codec) -> None:
    found = find_copies(_noise(3, 1), _training(_noise(1, 0), codec))
    assert found.training == float("inf")
    assert [len(row) for row in found.rows] == [2, 2, 2]


def test_a_flipped_copy_of_itself_is_no_neighbour_of_a_training_picture(codec: Codec) -> None:
    twice = _noise(20, 0).repeat_interleave(2, dim=0)
    found = find_copies(_noise(5, 1), _training(twice, codec, torch.arange(40) // 2))
    assert found.training > 50
    assert all(len({picture.numpy().tobytes() for picture in row[1:]}) == len(row) - 1 == 3 for row in found.rows)


def test_distances_are_root_mean_squares_in_grey_levels(codec: Codec) -> None:
    flat = torch.full((2, 3, 20, 20), 100, dtype=torch.uint8)
    flat[1] = 130
    found = find_copies(flat + 7, _training(flat, codec))
    assert found.generated == pytest.approx(7, abs=1e-3)
    assert found.training == pytest.approx(30, abs=1e-3)


def test_the_latents_that_a_model_was_trained_on_are_preferred(
    photo_folder: Path, codec: Codec, tmp_path: Path
) -> None:
    images = open_images(photo_folder, size=16, crop="random")
    encode_images(images, codec, tmp_path / "latents", views=2, progress=False)
    found = TrainingPictures(ModelFolder(tmp_path), codec, images)
    assert found.source == "the latents it was trained on"
    assert len(found.vectors) == 24 * 2 * 2
    assert torch.equal(found.image[:4], torch.tensor([0, 0, 1, 1]))
    assert torch.equal(found.image[48:], found.image[:48])
    latents = Latents(tmp_path / "latents")
    assert torch.equal(latents.image_of(torch.arange(96)), found.image)
    assert torch.equal(torch.stack(found.pictures([5, 70])), codec.decode(latents[np.array([5, 70])], (16, 16)))
    found = TrainingPictures(ModelFolder(tmp_path / "elsewhere"), codec, images)
    assert found.source.startswith("the reference photos")
    assert len(found.vectors) == len(found.image) == 24
    assert torch.equal(torch.stack(found.pictures([3, 1])), torch.stack([list(images)[n] for n in (3, 1)]))


def test_of_many_latents_some_of_every_image_are_looked_through(
    photo_folder: Path, codec: Codec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = open_images(photo_folder, size=16)
    encode_images(images, codec, tmp_path / "latents", progress=False)
    monkeypatch.setattr("smalti.evaluation.memorisation._MOST", 24)
    found = TrainingPictures(ModelFolder(tmp_path), codec, images)
    assert found.source.startswith("24 of the latents")
    assert sorted(found.image.tolist()) == list(range(24))
