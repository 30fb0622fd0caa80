"""The verb `edit`, and models of pictures that are no squares from end to end."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from smalti.cli import main
from smalti.codec import Codec
from smalti.data import CropSettings, open_images
from smalti.diffusion import CategoricalSettings
from smalti.encoding import encode_images
from smalti.errors import SmaltiError
from smalti.evaluation import EvaluateSettings
from smalti.nets import UNetSettings
from smalti.pipeline import SampleSettings, SmaltiPipeline
from smalti.recipes import CreateSettings, EditSettings, edit, evaluate, sample
from smalti.training import GeneratorSettings, RefinerSettings, TrainSettings, train_generator, train_refiner

SIZE = (24, 16)
FEW = SampleSettings(steps=2)


@pytest.fixture(scope="module")
def model(photo_folder: Path, codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model of pictures of 24x16 pixels, trained on hardly anything, and refined."""
    folder = tmp_path_factory.mktemp("model") / "model"
    images = open_images(photo_folder, size=SIZE)
    latents = encode_images(images, codec, folder.parent / "latents", progress=False)
    settings = GeneratorSettings(process=CategoricalSettings(k=2), net=UNetSettings(width=32))
    training = TrainSettings(images=8, batch_size=4, checkpoint_every=8)
    train_generator(latents, folder, settings, training, device="cpu", progress=False)
    short = RefinerSettings(pairs=8, pairs_a_step=4, network_width=8, network_blocks=1, latest=100)
    train_refiner(folder, images, short, device="cpu", progress=False)
    return str(folder)


@pytest.fixture(scope="module")
def photo_file(photo_folder: Path) -> Path:
    """One of 48x40 pixels, height x width."""
    return next(iter(sorted((photo_folder / "cats").iterdir())))


def _mask(path: Path, height: int = 48, width: int = 40) -> Path:
    pixels = np.zeros((height, width), dtype=np.uint8)
    pixels[height // 4 : height // 2, width // 4 : width // 2] = 255
    Image.fromarray(pixels).save(path)
    return path


def _read(path: Path) -> torch.Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.atleast_3d(np.array(image))).permute(2, 0, 1)


def test_pictures_that_are_no_squares_are_encoded_trained_on_refined_and_sampled(model: str, tmp_path: Path) -> None:
    pipe = SmaltiPipeline.from_pretrained(model)
    assert (pipe.size, tuple(pipe.net.config["grid"])) == (SIZE, (6, 4))
    assert pipe.refiner is not None
    sample(model, tmp_path / "own", FEW, count=1, device="cpu")
    assert _read(tmp_path / "own" / "00000.png").shape == (3, *SIZE)
    assert json.loads((Path(model) / "train.json").read_text())["latents"]["crop"]["size"] == list(SIZE)


def test_samples_of_another_size_come_with_a_word_and_are_gone_on_with_alike(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", model, "--out", str(tmp_path / "a"), "--count", "1", "--steps", "2", "--size", "16x32"]) == 0
    assert "trained on pictures of 24x16 pixels (height x width)" in capsys.readouterr().out
    assert _read(tmp_path / "a" / "00000.png").shape == (3, 16, 32)
    assert sample(model, tmp_path / "a", FEW, count=2, size=(16, 32), resume=True) == 1
    with pytest.raises(SmaltiError, match=r"was begun otherwise \(size \[16, 32\], now None\)"):
        sample(model, tmp_path / "a", FEW, count=2, resume=True)


@pytest.mark.soak
def test_models_of_no_squares_are_evaluated(
    model: str, photo_folder: Path, feature_network: Path, tmp_path: Path
) -> None:
    settings = EvaluateSettings(count=20, sampling=FEW)
    found = evaluate(model, photo_folder, feature_network, tmp_path / "out", settings, device="cpu")
    assert found.samples.shape[2:] == SIZE
    assert not any("enlarged" in warning or "shape" in warning for warning in found.warnings)


def test_a_mask_is_filled_in_and_all_else_stays(
    model: str, photo_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    mask = _mask(tmp_path / "mask.png")
    arguments = [model, str(photo_file), "--mask", str(mask), "--out", str(out), "--count", "2", "--steps", "2"]
    assert main(["edit", *arguments, "--label", "cats", "--device", "cpu"]) == 0
    assert "cropped to its middle and resized, from 48x40 to 24x16 pixels" in capsys.readouterr().out
    crop = next(iter(open_images(photo_file, size=SIZE)))
    assert torch.equal(_read(out / "photo.png"), crop)
    made, white = [_read(out / f"0000{number}.png") for number in range(2)], _read(out / "mask.png")[0] > 0
    assert 0 < white.sum() < white.numel() / 3
    for each in made:
        assert torch.equal(each[:, ~white], crop[:, ~white])
    assert not torch.equal(*made)
    with Image.open(out / "grid.png") as grid:
        assert grid.size == (3 * 18 + 2, 24 + 4)
    said = json.loads((out / "edit.json").read_text())["settings"]
    assert (said["mask"], said["label"], said["size"], said["steps"]) == (str(mask), "cats", list(SIZE), 2)


def test_an_edit_is_made_again_from_its_record(model: str, photo_file: Path, tmp_path: Path) -> None:
    words = [model, str(photo_file), "--outpaint", "0x4", "--size", "32x20", "--count", "1", "--steps", "2"]
    assert main(["edit", *words, "--out", str(tmp_path / "one")]) == 0
    assert main(["edit", "--config", str(tmp_path / "one" / "edit.json"), "--out", str(tmp_path / "two")]) == 0
    one, two = (_read(tmp_path / name / "00000.png") for name in ("one", "two"))
    assert one.shape == (3, 32, 28)
    assert torch.equal(one, two)


def test_a_photo_is_extended_varied_and_led_over(model: str, photo_file: Path, tmp_path: Path) -> None:
    edit(model, photo_file, tmp_path / "wide", EditSettings(outpaint=(0, 4), count=1), FEW, device="cpu")
    assert torch.equal(_read(tmp_path / "wide" / "00000.png")[:, :, 4:-4], _read(tmp_path / "wide" / "photo.png"))
    edit(model, photo_file, tmp_path / "kept", EditSettings(strength=0.0, count=1), FEW, device="cpu")
    edit(model, photo_file, tmp_path / "strip", EditSettings(to=photo_file, count=3), FEW, device="cpu")
    pipe = SmaltiPipeline.from_pretrained(model)
    kept = pipe.decode(pipe.codec.encode(_read(tmp_path / "kept" / "photo.png")[None]))[0]
    for path in ("kept/00000.png", "strip/00000.png", "strip/00002.png"):
        assert torch.equal(_read(tmp_path / path), kept)
    edit(model, photo_file, tmp_path / "large", EditSettings(strength=0.5, count=1), FEW, size=(32, 20), device="cpu")
    assert _read(tmp_path / "large" / "00000.png").shape == (3, 32, 20)


def test_between_two_seeds_the_ends_are_their_samples(model: str, tmp_path: Path) -> None:
    edit(model, None, tmp_path / "strip", EditSettings(seeds=(3, 4), count=3), FEW, label="cats", device="cpu")
    for number, seed in ((0, 3), (2, 4)):
        plain = tmp_path / f"plain-{seed}"
        sample(model, plain, SampleSettings(steps=2, seed=seed), count=1, label="cats", device="cpu")
        assert (plain / "00000.png").read_bytes() == (tmp_path / "strip" / f"0000{number}.png").read_bytes()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"mask": Path("m"), "outpaint": 8}, "--mask and --outpaint are two things"),
        ({"outpaint": 8, "strength": 0.5}, "beside a photo nothing is"),
        ({"strength": 1.5}, "strength is 1.5; it must be from 0 to 1"),
        ({"mask": Path("m"), "strength": 0.0}, "it must be more than 0 to 1"),
        ({"strength": 0.5, "jumps": 1}, "they go with --mask or --outpaint"),
        ({"to": Path("t"), "count": 1}, "count is 1; it must be at least 2"),
        ({"seeds": (0, -1)}, "seed is -1"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is(asked: dict[str, object], said: str) -> None:
    with pytest.raises(SmaltiError, match=said):
        EditSettings(**asked)  # pyright: ignore[reportArgumentType]


def test_bad_input_is_a_sentence_and_leaves_nothing(
    model: str, photo_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, black, clear = (tmp_path / f"{name}.png" for name in ("broken", "black", "clear"))
    broken.write_bytes(photo_file.read_bytes()[:200])
    Image.new("L", (40, 48)).save(black)
    Image.new("RGBA", (40, 48), (255, 255, 255, 0)).save(clear)
    other = _mask(tmp_path / "other.png", 40, 48)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").touch()
    for words, said in (
        ([photo_file, "--mask", other], "a mask of 40x48 pixels (height x width), and"),
        ([photo_file, "--mask", black], "nothing is white"),
        ([photo_file, "--mask", clear], "this is transparent in parts; fill these black"),
        ([photo_file, "--mask", broken], "cannot be read as an image"),
        ([broken, "--strength", "0.5"], "cannot be read as an image"),
        ([tmp_path / "none.png", "--strength", "0.5"], "there is no such file"),
        ([photo_file.parent, "--strength", "0.5"], "images; name one"),
        ([photo_file, "--seeds", "1", "2"], "give a photo, or --seeds and no photo"),
        ([photo_file], "nothing is to be done"),
        (["--strength", "0.5"], "no photo: give a photo"),
        ([photo_file, "--strength", "0.5", "--label", "dogs"], "no class 'dogs'"),
        ([photo_file, "--strength", "0.5", "--size", "8192x2"], "a size of 2 pixels is out of range"),
        ([photo_file, "--strength", "0.5", "--out", taken], "the output folder is not empty"),
    ):
        out = [] if taken in words else ["--out", tmp_path / "out"]
        assert main(["edit", model, *map(str, [*words, *out]), "--device", "cpu"]) == 2
        shown = capsys.readouterr().err.strip().splitlines()
        assert said in shown[-1]
        assert shown[-1].startswith("smalti edit: ")
        assert not (tmp_path / "out").exists()


def test_sizes_are_squares_or_height_and_width_and_bad_ones_a_sentence() -> None:
    assert CreateSettings(size=(64, 64)).size == 64
    assert str(CreateSettings(size=(192, 96)).choose_codec()) == "OPQ-32-8-8/4"
    with pytest.raises(SmaltiError, match="a size of 9000 pixels is out of range"):
        CreateSettings(size=(9000, 64))
    assert CropSettings(size=SIZE).sides == SIZE
