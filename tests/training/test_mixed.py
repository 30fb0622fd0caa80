"""Generators of latents of several sizes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from smalti.codec import Codec
from smalti.data import MixedLatents, open_images
from smalti.diffusion import CategoricalSettings
from smalti.encoding import encode_images
from smalti.errors import SmaltiError
from smalti.nets import DiTSettings, UNetSettings
from smalti.pipeline import SampleSettings, SmaltiPipeline
from smalti.training import GeneratorSettings, Origin, TrainSettings, on_held_out, train_generator
from smalti.training.generator import LatentBatches, begin_generator

MODEL = GeneratorSettings(process=CategoricalSettings(k=2), net=UNetSettings(width=32))
TRAINING = TrainSettings(images=16, batch_size=4, warmup=0, checkpoint_every=8, log_every=4, ema_halflife=8, seed=1)


@pytest.fixture(scope="module")
def latents(codec: Codec, photos: list[torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> MixedLatents:
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "photos").mkdir()
    for number, (height, width) in enumerate([(24, 16)] * 4 + [(16, 24)] * 4):
        crop = photos[number % 3][:, 50 + 9 * number : 50 + 9 * number + height, 100 : 100 + width]
        Image.fromarray(crop.permute(1, 2, 0).numpy()).save(folder / "photos" / f"{number}.png")
    images = open_images(folder / "photos", size=16).keeping_shapes(4)
    encoded = encode_images(images, codec, folder / "latents", progress=False)
    assert isinstance(encoded, MixedLatents)
    return encoded


def test_every_part_of_a_batch_is_of_one_size_and_what_the_whole_has(latents: MixedLatents) -> None:
    """So processes, and parts that are learned from at once, agree without a word."""
    batches = LatentBatches(latents, begin_generator(latents, MODEL).process, TRAINING)
    grids = set()
    for first in range(0, 64, 4):
        whole = batches(range(first, first + 4))
        grids.add(tuple(whole["z"].shape[2:]))
        for rank in range(2):
            for name, tensor in batches(range(first + rank, first + 4, 2)).items():
                assert torch.equal(tensor, whole[name][rank::2])
    assert grids == {part.grid for part in latents.parts}


def test_a_resumed_run_is_the_same_to_the_bit_and_its_model_makes_both_sizes(
    latents: MixedLatents, tmp_path: Path
) -> None:
    def trained(name: str, *images: int) -> SmaltiPipeline:
        for more, each in enumerate(images):
            settings = replace(TRAINING, images=each, decay=0.0)
            pipe = train_generator(
                latents,
                tmp_path / name,
                MODEL,
                settings,
                held_out=on_held_out(latents),
                resume=more > 0,
                device="cpu",
                progress=False,
            )
        return pipe

    whole, resumed = trained("whole", 16), trained("resumed", 8, 16)
    for one, other in zip(whole.net.parameters(), resumed.net.parameters(), strict=True):
        assert torch.equal(one, other)
    loaded = SmaltiPipeline.from_pretrained(tmp_path / "whole")
    assert loaded.sizes == {part.size: part.images for part in latents.parts}
    pictures = list(loaded.stream(12, SampleSettings(steps=2)))
    assert {tuple(picture.shape[2:]) for picture in pictures} == set(loaded.sizes)


def test_a_model_of_several_sizes_is_gone_on_from_with_several_and_with_one(
    latents: MixedLatents, tmp_path: Path
) -> None:
    settings, options = replace(TRAINING, images=8), {"device": "cpu", "progress": False}
    train_generator(latents, tmp_path / "first", MODEL, settings, **options)
    origin = Origin.find(tmp_path / "first")
    for name, more, sizes in (("mixed", latents, 2), ("one", latents.parts[0], 0)):
        pipe = train_generator(more, tmp_path / name, MODEL, settings, origin=origin, **options)
        assert len(pipe.sizes) == sizes
        assert pipe.size == more.size
        assert sum(map(len, pipe.stream(2, SampleSettings(steps=2)))) == 2


def test_a_network_that_is_bound_to_a_grid_is_refused(latents: MixedLatents) -> None:
    with pytest.raises(SmaltiError, match="a DiT is bound to one grid of places"):
        begin_generator(latents, replace(MODEL, net=DiTSettings(width=32)))


def test_latents_of_one_size_are_trained_on_as_ever(latents: MixedLatents) -> None:
    part = latents.parts[0]
    pipe = begin_generator(part, MODEL)
    assert pipe.sizes == {}
    assert "sizes" not in pipe.config
    z = LatentBatches(part, pipe.process, TRAINING)(range(3, 9))["z"]  # of two batches
    assert np.array_equal(z.shape[2:], part.grid)
