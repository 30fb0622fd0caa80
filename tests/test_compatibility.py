"""Models of earlier versions load and mean the same (docs/compatibility.md); `tools/stored_model.py` stores them."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

from smalti import (
    Codec,
    GeneratorSettings,
    Latents,
    ProcessSettings,
    SampleSettings,
    SmaltiPipeline,
    read_compressed,
)
from smalti.nets import NetSettings
from smalti.records import from_record, to_record
from smalti.training import Origin, begin_generator

STORED = sorted(path for path in (Path(__file__).parent / "stored").iterdir() if path.is_dir())
EACH_VERSION = pytest.mark.parametrize("stored", STORED, ids=lambda path: path.name)
SAMPLED = SampleSettings(steps=4, seed=1, extrapolation=0.0)  # as was the default when they were stored
NEAR = 1  # grey level: sums of floats are rounded otherwise on other processors


def _expected(stored: Path) -> dict[str, torch.Tensor]:
    with np.load(stored / "expected.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def test_this_version_has_stored_a_model() -> None:
    assert version("smalti") in {path.name for path in STORED}


@EACH_VERSION
def test_a_codec_reads_its_codes_and_files_as_it_did(stored: Path) -> None:
    codec, expected = Codec.from_pretrained(stored / "model" / "codec"), _expected(stored)
    decoded = codec.decode(expected["codes"])
    assert (decoded.int() - expected["decoded"].int()).abs().max() <= NEAR
    assert torch.equal(read_compressed(stored / "photo.smalti", codec), decoded[0])
    assert torch.equal(codec.encode(expected["photos"]), expected["codes"])


@EACH_VERSION
def test_latents_are_read_as_they_were(stored: Path) -> None:
    latents = Latents(stored / "model" / "latents")
    expected = _expected(stored)["codes"]
    assert torch.equal(latents[np.arange(0, len(latents), 2)], expected)  # each mirrored one follows its own
    assert latents.size == (16, 16)


@EACH_VERSION
def test_a_model_generates_what_it_did(stored: Path) -> None:
    pipe, expected = SmaltiPipeline.from_pretrained(stored / "model"), _expected(stored)["sampled"]
    assert pipe.refiner is not None
    pipe.set_progress_bar_config(disable=True)
    found = torch.cat(list(pipe.stream(len(expected), SAMPLED)))
    # Where rounding decides between two codewords, a patch is another; most are the same on any processor.
    near = (found.int() - expected.int()).abs() <= NEAR
    assert near.float().mean() > 0.9


@EACH_VERSION
def test_another_training_goes_on_from_a_model(stored: Path) -> None:
    origin = Origin.find(stored / "model")
    settings = from_record(GeneratorSettings, origin.model, stored, ProcessSettings, NetSettings)
    latents = Latents(stored / "model" / "latents")
    origin.require_like(latents, to_record(settings))
    origin.begin(begin_generator(latents, settings))
