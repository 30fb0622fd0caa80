import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from smalti.codec import Codec
from smalti.data import open_images
from smalti.diffusion import CategoricalSettings
from smalti.encoding import encode_images
from smalti.errors import SmaltiError
from smalti.evaluation import EvaluateSettings
from smalti.metrics import Moments
from smalti.nets import UNetSettings
from smalti.pipeline import SampleSettings
from smalti.pixels import to_image
from smalti.recipes import evaluate, refine
from smalti.training import GeneratorSettings, RefinerSettings, TrainSettings, train_generator, train_refiner

SAMPLING = SampleSettings(steps=2)
SETTINGS = EvaluateSettings(count=24, sampling=SAMPLING)


@pytest.fixture(scope="module")
def model(photo_folder: Path, codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "model"
    images = open_images(photo_folder, size=16)
    latents = encode_images(images, codec, out / "latents", progress=False)
    training = TrainSettings(images=64, batch_size=8, checkpoint_every=64, warmup=0)
    settings = GeneratorSettings(process=CategoricalSettings(k=2), net=UNetSettings(width=32))
    train_generator(latents, out, settings, training, device="cpu", progress=False)
    return out


def test_an_evaluation_holds_figures_floors_and_pictures(
    model: Path, photo_folder: Path, feature_network: Path, tmp_path: Path
) -> None:
    found = evaluate(model, photo_folder, feature_network, tmp_path / "out", SETTINGS, device="cpu")
    generated, real, through = found.comparisons
    assert generated.frechet.value > real.frechet.value
    assert through.pictures == real.pictures == 12
    assert found.reference_photos == 12
    assert len(found.samples) == 24
    page = (tmp_path / "out" / "report.html").read_text()
    for part in ("FD-means", "KID-means x 1000", "Nearest training pictures", "The codec", "Training", "are few"):
        assert part in page
    assert "http" not in page.replace("http-equiv", "")  # nothing is fetched
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert written["comparisons"][0]["frechet"]["value"] == generated.frechet.value
    assert written["nearest_training"]["source"].startswith("the latents")
    assert any("those that the model was trained on" in warning for warning in found.warnings)


def test_photos_go_through_the_refiner_as_samples_do(
    model: Path, photo_folder: Path, feature_network: Path, tmp_path: Path
) -> None:
    refined = tmp_path / "refined"
    shutil.copytree(model, refined)
    quick = RefinerSettings(network_width=16, network_blocks=1, pairs=400, pairs_a_step=8, learning_rate=1e-2)
    train_refiner(refined, open_images(photo_folder, size=16), quick, device="cpu", progress=False)
    with_it, without = (
        evaluate(refined, photo_folder, feature_network, tmp_path / str(refine), settings, device="cpu").comparisons
        for refine, settings in ((True, SETTINGS), (False, replace(SETTINGS, sampling=replace(SAMPLING, refine=False))))
    )
    plain = evaluate(model, photo_folder, feature_network, tmp_path / "plain", SETTINGS, device="cpu").comparisons
    assert plain == without
    assert with_it[2].name == "the same, through codec and refiner"
    assert with_it[1] == without[1]
    for one, other in ((with_it[0], without[0]), (with_it[2], without[2])):
        assert one.frechet.value != other.frechet.value


def test_a_model_of_photos_that_were_encoded_as_they_are_is_refined_and_measured_at_its_size(
    codec: Codec, photo_folder: Path, feature_network: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    for number, pixels in enumerate(open_images(photo_folder, size=16)):
        to_image(pixels).save(tmp_path / "photos" / f"{number:02}.png")
    out = tmp_path / "model"
    latents = encode_images(open_images(tmp_path / "photos"), codec, out / "latents", progress=False)
    assert latents.manifest.crop.size is None
    training = TrainSettings(images=16, batch_size=8, checkpoint_every=16, warmup=0)
    settings = GeneratorSettings(process=CategoricalSettings(k=2), net=UNetSettings(width=32))
    train_generator(latents, out, settings, training, device="cpu", progress=False)
    refine(str(photo_folder), out, RefinerSettings(network_width=16, pairs=16, pairs_a_step=8), device="cpu")
    found = evaluate(out, photo_folder, feature_network, tmp_path / "large", SETTINGS, device="cpu")
    assert found.quality.rows[0][0].pixels.shape == (3, 16, 16)
    shutil.rmtree(out / "latents")
    (out / "latents").mkdir()
    again = evaluate(out, photo_folder, feature_network, tmp_path / "again", SETTINGS, device="cpu")
    assert again.memorisation.source.startswith("the reference photos")


def test_saved_statistics_give_the_same_distance(
    model: Path, photo_folder: Path, feature_network: Path, tmp_path: Path
) -> None:
    first = evaluate(model, photo_folder, feature_network, tmp_path / "one", SETTINGS, device="cpu")
    saved = tmp_path / "one" / "statistics.npz"
    second = evaluate(model, photo_folder, feature_network, tmp_path / "two", SETTINGS, statistics=saved, device="cpu")
    assert first.comparisons[0] == second.comparisons[0]
    other = tmp_path / "other.npz"
    Moments(torch.zeros(5), torch.eye(5)).save(other)
    with pytest.raises(SmaltiError, match="5 features"):
        evaluate(model, photo_folder, feature_network, tmp_path / "three", SETTINGS, statistics=other, device="cpu")
    assert not (tmp_path / "three").exists()


def test_photos_smaller_than_the_pictures_are_warned_of(model: Path, feature_network: Path, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    for number in range(40):
        pixels = np.random.default_rng(number).integers(0, 256, (12, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "small" / f"{number}.png")
    found = evaluate(model, tmp_path / "small", feature_network, tmp_path / "out", SETTINGS, device="cpu")
    assert any("smaller than" in warning for warning in found.warnings)
    assert not any("trained on" in warning for warning in found.warnings)


def test_too_few_photos_are_refused(model: Path, feature_network: Path, tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "one.png")
    with pytest.raises(SmaltiError, match="too few"):
        evaluate(model, tmp_path / "one.png", feature_network, tmp_path / "out", SETTINGS, device="cpu")
