"""Flipped bits and files that are cut: noticed in everything that is written, or without effect."""

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from smalti.codec import Codec
from smalti.codec.compressed import read_compressed, write_compressed
from smalti.data import Latents, open_images
from smalti.encoding import encode_images
from smalti.errors import SmaltiError
from smalti.files import fingerprint, read_json
from smalti.model_folder import ModelFolder, Run
from smalti.nets import Refiner, UNetSettings
from smalti.pipeline import SampleSettings, SmaltiPipeline
from smalti.records import to_record
from smalti.training import GeneratorSettings, TrainSettings, train_generator
from smalti.training.learner import Learner

FLIPS, CUTS = 40, 20
Damage = Callable[[bytes, np.random.Generator], bytes]
OPTIONS = {"device": "cpu", "progress": False}
NET = GeneratorSettings(net=UNetSettings(width=32))
TRAINING = TrainSettings(images=16, batch_size=8, warmup=0, checkpoint_every=16)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, codec: Codec) -> Path:
    """A codec, latents, a model with a refiner and a checkpoint, and a compressed photo."""
    folder = tmp_path_factory.mktemp("made")
    codec.save_pretrained(folder / "codec")
    images = open_images(photo_folder, size=16)
    latents = encode_images(images, codec, folder / "latents", progress=False)
    train_generator(latents, folder / "model", NET, TRAINING, **OPTIONS)
    (folder / "run").mkdir()
    shutil.move(folder / "model" / "checkpoints", folder / "run")
    pipe = SmaltiPipeline.from_pretrained(folder / "model")
    pipe.register_modules(refiner=Refiner(patch=4, width=8, blocks=1))
    pipe.save_pretrained(folder / "model")
    (folder / "photo").mkdir()
    write_compressed(folder / "photo" / "a.smalti", next(iter(images)), codec)
    return folder


def _codec(path: Path) -> str:
    codec = Codec.from_pretrained(path)
    return fingerprint(repr(codec.config), *(each.numpy() for each in codec.state_dict().values()))


def _latents(path: Path) -> str:
    latents = Latents(path)
    codes = latents[np.arange(len(latents))]
    parts = [codes, latents.labels, latents.counts]
    return fingerprint(repr(latents.manifest), latents.codec().fingerprint, *(part.numpy() for part in parts))


def _model(path: Path) -> str:
    pipe = SmaltiPipeline.from_pretrained(path)
    pipe.set_progress_bar_config(disable=True)
    pictures = next(pipe.stream(2, SampleSettings(steps=2)))
    folder = ModelFolder(path)
    return fingerprint(f"{pipe.config['classes']} {folder.trained_on()} {read_json(folder.levels)}", pictures.numpy())


def _checkpoint(path: Path) -> str:
    model = path.parent / "model"
    begun = asdict(TRAINING) | to_record(NET) | {"latents": Latents(path.parent / "latents").manifest.fingerprint}
    learner = Learner(SmaltiPipeline.from_pretrained(model).net, lambda *_: {}, TRAINING, "cpu")
    begun |= {"precision": learner.precision}
    image = learner.load(Run(path), begun)
    tensors = [*learner.parameters, *learner.ema.shadow_params, *learner.optimizer.tensors().values()]
    return fingerprint(str(image), *(each.detach().float().numpy() for each in tensors))


def _photo(path: Path) -> str:
    codec = Codec.from_pretrained(path.parent / "codec")
    return fingerprint(read_compressed(path / "a.smalti", codec).numpy())


READERS = {"codec": _codec, "latents": _latents, "model": _model, "run": _checkpoint, "photo": _photo}
# What says how a model came about, and is not asked for anything in reading it.
ASIDE = {"metrics.jsonl", "README.md", ".lock", "encode.json"}


def _damaged(path: Path, read: Callable[[Path], str], files: list[Path], count: int, damage: Damage) -> None:
    """Damage one file after the other, and read: the result is as before, or one sentence that names a file."""
    random, before = np.random.default_rng(0), read(path)
    silent: list[str] = []
    said: list[str] = []
    for _ in range(count):
        file = files[int(random.integers(len(files)))]
        whole = file.read_bytes()
        file.write_bytes(damage(whole, random))
        try:
            silent += [file.name] if read(path) != before else []
        except SmaltiError as error:
            said.append(str(error))
        finally:
            file.write_bytes(whole)
    assert not silent
    assert all(str(path) in sentence for sentence in said)
    assert len(said) >= 0.95 * count  # a flip in the name of a digest's entry has no effect
    assert read(path) == before


def _flipped(content: bytes, random: np.random.Generator) -> bytes:
    place, bit = int(random.integers(len(content))), int(random.integers(8))
    return b"".join([content[:place], bytes([content[place] ^ 1 << bit]), content[place + 1 :]])


def _cut(content: bytes, random: np.random.Generator) -> bytes:
    return content[: int(random.integers(len(content)))]


@pytest.mark.parametrize("times", [1, pytest.param(25, marks=pytest.mark.soak)])
@pytest.mark.parametrize("what", READERS)
def test_no_flipped_bit_and_no_cut_is_silent(made: Path, what: str, times: int) -> None:
    path = made / what
    files = sorted(each for each in path.rglob("*") if each.is_file() and each.name not in ASIDE)
    _damaged(path, READERS[what], files, FLIPS * times, _flipped)
    _damaged(path, READERS[what], files, CUTS * min(times, 10), _cut)


def test_weights_can_be_read_by_whoever_can_read_the_rest(made: Path) -> None:
    modes = {path.stat().st_mode for path in made.rglob("*") if path.is_file() and path.name != ".lock"}
    assert len(modes) == 1
