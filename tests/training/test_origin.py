import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from smalti.codec import Codec
from smalti.data import Latents, open_images
from smalti.diffusion import CategoricalSettings, MaskedSettings
from smalti.encoding import encode_images
from smalti.errors import SmaltiError
from smalti.files import read_json
from smalti.model_folder import ModelFolder
from smalti.nets import UNetSettings
from smalti.pipeline import SmaltiPipeline
from smalti.training import GeneratorSettings, Origin, TrainSettings, train_generator
from smalti.training.generator import begin_generator

MODEL = GeneratorSettings(process=CategoricalSettings(k=2), net=UNetSettings(width=32))
TRAINING = TrainSettings(images=8, batch_size=4, warmup=4, checkpoint_every=8, ema_halflife=8)
OPTIONS = {"device": "cpu", "progress": False}


@pytest.fixture(scope="module")
def latents(photo_folder: Path, codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Latents:
    out = tmp_path_factory.mktemp("encoded") / "latents"
    return encode_images(open_images(photo_folder, size=16), codec, out, progress=False)


@pytest.fixture(scope="module")
def others(photo: torch.Tensor, codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Latents:
    """Photos of which some are of a class that is known, and some of one that is not and comes before it."""
    folder = tmp_path_factory.mktemp("others")
    for number in range(6):
        place = folder / "photos" / ("cats" if number % 2 else "apes")
        place.mkdir(parents=True, exist_ok=True)
        pixels = photo[:, 20 * number : 20 * number + 16, :16].permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(place / f"{number}.png")
    return encode_images(open_images(folder / "photos"), codec, folder / "latents", progress=False)


@pytest.fixture(scope="module")
def origin(latents: Latents, tmp_path_factory: pytest.TempPathFactory) -> Origin:
    out = tmp_path_factory.mktemp("origin") / "model"
    train_generator(latents, out, MODEL, TRAINING, **OPTIONS)
    return Origin.find(out)


def test_known_classes_keep_their_rows_and_new_ones_begin_as_no_label(origin: Origin, others: Latents) -> None:
    classes = origin.classes_with(others.classes)
    assert classes == ["cats", "others", "apes"]
    latents = others.of_classes(classes)
    assert sorted(set(latents.labels[:, 0].tolist())) == [0, 2]
    for own, theirs in zip(latents.labels[:, 0], others.labels[:, 0], strict=True):
        assert classes[own] == others.classes[theirs]
    pipe = begin_generator(latents, MODEL, seed=5)
    origin.begin(pipe)
    x, t = torch.randn(2, origin.pipe.process.in_channels, 4, 4), torch.zeros(2)
    with torch.no_grad():
        for old, new in (([0, 1], [0, 1]), ([-1, -1], [-1, 2])):
            one = origin.pipe.net.eval()(x, t, torch.tensor(old))
            assert torch.equal(pipe.net.eval()(x, t, torch.tensor(new)), one)
    assert pipe.process is origin.pipe.process  # its coordinates are scaled as the weights know them


def test_a_model_without_classes_is_given_some_and_is_at_first_what_it_was(latents: Latents, others: Latents) -> None:
    plain = begin_generator(others.of_classes(others.classes), MODEL)
    bare = replace(MODEL, net=UNetSettings(width=32))
    without = SmaltiPipeline(
        plain.codec,
        plain.process,
        bare.net.build(plain.process.in_channels, plain.process.out_channels, others.grid, 0),
        plain.scheduler,
        list(others.size),
    )
    target = SmaltiPipeline(
        plain.codec,
        plain.process,
        bare.net.build(plain.process.in_channels, plain.process.out_channels, others.grid, 2),
        plain.scheduler,
        list(others.size),
        ["apes", "cats"],
    )
    Origin("bare", without, {}, 0).begin(target)
    x, t = torch.randn(1, plain.process.in_channels, 4, 4), torch.zeros(1)
    with torch.no_grad():
        for label in (-1, 0, 1):
            assert torch.equal(target.net.eval()(x, t, torch.tensor([label])), without.net.eval()(x, t))


def test_a_training_goes_on_from_a_model_and_says_from_which(origin: Origin, others: Latents, tmp_path: Path) -> None:
    options = {"origin": origin, **OPTIONS}
    made = train_generator(others, tmp_path / "run", MODEL, TRAINING, **options)
    assert made.classes == ["cats", "others", "apes"]
    begun = read_json(tmp_path / "run" / "train.json")["from"]
    assert begun == {"model": origin.name, "weights": origin.fingerprint, "images_trained": 8}
    # A step of a small rate leaves weights near those that they began with.
    untouched = train_generator(others, tmp_path / "nothing", MODEL, replace(TRAINING, learning_rate=1e-9), **options)
    for name, weight in origin.pipe.net.state_dict().items():
        if "class_embedding" not in name:
            assert torch.allclose(untouched.net.state_dict()[name], weight, atol=1e-5)
    longer = replace(TRAINING, images=16)
    with pytest.raises(SmaltiError, match=r"weights begun with .*, now None\); resume with the same"):
        train_generator(others, tmp_path / "run", MODEL, longer, resume=True, **OPTIONS)
    train_generator(others, tmp_path / "run", MODEL, longer, resume=True, **options)
    assert read_json(tmp_path / "run" / "train.json")["parts"] == [8, 16]
    assert SmaltiPipeline.from_pretrained(tmp_path / "run").classes == ["cats", "others", "apes"]


def test_latents_that_are_resident_keep_the_labels_of_the_model(
    origin: Origin, others: Latents, tmp_path: Path
) -> None:
    one, two = (
        train_generator(others, tmp_path / str(kept), MODEL, TRAINING, origin=origin, resident=kept, **OPTIONS)
        for kept in (False, True)
    )
    for first, second in zip(one.net.parameters(), two.net.parameters(), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (replace(MODEL, net=UNetSettings(width=64)), "width 32, now 64"),
        (replace(MODEL, process=MaskedSettings(k=2)), "process categorical, now masked"),
        (replace(MODEL, process=CategoricalSettings(k=3)), "k 2, now 3"),
    ],
)
def test_what_a_model_is_not_it_does_not_go_on_as(
    origin: Origin, others: Latents, tmp_path: Path, model: GeneratorSettings, says: str
) -> None:
    with pytest.raises(SmaltiError, match=says):
        train_generator(others, tmp_path / "run", model, TRAINING, origin=origin, **OPTIONS)
    assert not (tmp_path / "run").exists()


def test_dropout_may_be_another(origin: Origin, others: Latents) -> None:
    origin.require_like(others, {**origin.model, "net": {**origin.model["net"], "dropout": 0.5}})


def test_latents_of_another_codec_are_refused(
    origin: Origin, photo: torch.Tensor, photo_folder: Path, tmp_path: Path
) -> None:
    codec = Codec.fit([photo], "VQ-4@4-4@4-4@4/4", patches=500, progress=False)
    latents = encode_images(open_images(photo_folder, size=16), codec, tmp_path / "latents", progress=False)
    with pytest.raises(SmaltiError, match=r"another codec \(.*--codec .*/codec"):
        origin.require_like(latents, origin.model)


def test_a_network_for_pictures_of_another_size_may_be_of_another_depth(
    origin: Origin, codec: Codec, photo_folder: Path, tmp_path: Path
) -> None:
    latents = encode_images(open_images(photo_folder, size=32), codec, tmp_path / "latents", progress=False)
    with pytest.raises(SmaltiError, match=r"cannot be gone on from.*different depth"):
        origin.begin(begin_generator(latents, MODEL))


def test_a_model_that_does_not_say_what_it_is_is_refused(origin: Origin, tmp_path: Path) -> None:
    copy = shutil.copytree(origin.name, tmp_path / "model")
    ModelFolder(copy).generator.record.unlink()
    with pytest.raises(SmaltiError, match="does not say how it was trained"):
        Origin.find(copy)
