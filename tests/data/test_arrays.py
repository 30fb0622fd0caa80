"""Pictures in arrays: which are taken, of what shape, and their labels."""

from pathlib import Path

import cloudpickle
import numpy as np
import pytest
import torch
from PIL import Image

from smalti.data import open_images
from smalti.errors import SmaltiError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("pixels", "mode"),
    [(PIXELS, "RGB"), (PIXELS.transpose(0, 3, 1, 2), "RGB"), (PIXELS[..., 0], "L"), (PIXELS[..., :1], "L")],
)
def test_arrays_of_every_shape_are_pictures_as_they_are(pixels: np.ndarray, mode: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", pixels)
    for source in (pixels, tmp_path / "a.npy"):
        images = open_images(source, mode=mode)
        expected = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)
        assert torch.equal(torch.stack(list(images)), expected if mode == "RGB" else expected[:, :1])
        assert images.told == "6 images; no classes"


def test_the_array_for_training_is_taken_with_its_labels(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "digits.npz",
        x_test=PIXELS[:2],
        y_test=np.array([9, 9]),
        x_train=PIXELS,
        y_train=np.array([[3], [1], [10], [1], [3], [1]]),
    )
    images = open_images(tmp_path / "digits.npz")
    assert images.told == (
        "6 images; 3 classes (1 3, 3 2, 10 1); left aside: 1 arrays of pictures beside the one that is taken (x_test)"
    )
    assert [picture.labels for picture in images.pictures()] == [(1,), (0,), (2,), (0,), (1,), (0,)]


def test_samples_that_others_keep_are_read_and_words_are_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "samples.npz", PIXELS)
    assert len(open_images(tmp_path / "samples.npz")) == 6
    np.savez_compressed(tmp_path / "words.npz", images=PIXELS[:3], labels=np.array(["b", "a", "b"]))
    assert open_images(tmp_path / "words.npz").classes == ["a", "b"]


def test_other_pixels_are_another_source(tmp_path: Path) -> None:
    assert open_images(PIXELS).fingerprint == open_images(PIXELS.copy()).fingerprint
    assert open_images(PIXELS).fingerprint != open_images(PIXELS[::-1]).fingerprint


def test_what_is_no_picture_is_refused_by_its_type_and_shape(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=PIXELS.astype(np.float32))
    with pytest.raises(SmaltiError, match=r"holds no pictures \(images float32 \(6, 5, 7, 3\)\); they are uint8"):
        open_images(tmp_path / "a.npz")
    for one in (PIXELS[0], torch.from_numpy(PIXELS[0, 0])):
        with pytest.raises(SmaltiError, match="the array: holds no pictures"):
            open_images(one)
    for no_source in ("", " "):
        with pytest.raises(SmaltiError, match="an empty name is no source of images"):
            open_images(no_source)
    (tmp_path / "b.npy").write_bytes(b"\x93NUMPY")
    np.save(tmp_path / "c.npy", np.array([{"a": 1}]), allow_pickle=True)
    for name in ("b.npy", "c.npy"):
        with pytest.raises(SmaltiError, match="cannot be read as arrays of numpy"):
            open_images(tmp_path / name)


def test_arrays_beside_pictures_are_not_taken_for_them(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    np.save(folder / "a.npy", np.repeat(PIXELS, 99, axis=0))
    Image.fromarray(PIXELS[0]).save(folder / "a.png")
    assert len(open_images(folder)) == 1


def test_an_array_of_a_file_is_opened_by_the_process_that_it_is_sent_to(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (500, 16, 16, 3), dtype=np.uint8)
    np.save(tmp_path / "a.npy", pixels)
    images = open_images(tmp_path / "a.npy")
    sent = cloudpickle.dumps(images)
    assert len(sent) < pixels.nbytes / 10
    for one, two in zip(cloudpickle.loads(sent), images, strict=True):
        assert torch.equal(one, two)
    in_memory = open_images(pixels[:3])
    assert len(list(cloudpickle.loads(cloudpickle.dumps(in_memory)))) == 3
