from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from smalti.codec import Codec
from smalti.data import open_images
from smalti.diffusion import TRAINING_TIMESTEPS, Categorical, Continuous, Masked, Process
from smalti.encoding import encode_images
from smalti.errors import SmaltiError
from smalti.files import read_json
from smalti.nets import DiT, Refiner
from smalti.pipeline import SmaltiPipeline
from smalti.recipes import as_held, unrefined_and_refined
from smalti.schedulers import make_scheduler
from smalti.training import RefinerSettings, TrainSettings, train_refiner
from smalti.training.refiner import PairBatches, refiner_losses

SMALL = RefinerSettings(network_width=16, network_blocks=1, pairs=1_600, pairs_a_step=8, learning_rate=3e-3)
SHORT = RefinerSettings(network_width=16, network_blocks=1, pairs=16, pairs_a_step=8)
SIDE = 32


def _model(process: Process, codec: Codec, size: tuple[int, int] = (SIDE, SIDE)) -> SmaltiPipeline:
    torch.manual_seed(0)
    net = DiT(process.in_channels, process.out_channels, codec.spec.grid(*size), width=32, layers=1)
    return SmaltiPipeline(codec, process, net.eval(), make_scheduler(process.default_scheduler, process), list(size))


def _same(one: Refiner | None, other: Refiner | None) -> bool:
    assert one is not None
    assert other is not None
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.fixture
def folder(codec: Codec, tmp_path: Path) -> Path:
    _model(Continuous.of(codec, k=2), codec).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture(scope="module")
def crops(photos: list[torch.Tensor]) -> list[torch.Tensor]:
    """Crops of 32x32 pixels, from the left halves of photos."""
    return [
        photo[:, y : y + SIDE, x : x + SIDE] for photo in photos for y in range(0, 256, 32) for x in range(0, 128, 32)
    ]


def test_a_trained_refiner_brings_decoded_photos_nearer(
    folder: Path, crops: list[torch.Tensor], photo: torch.Tensor
) -> None:
    pipe = train_refiner(folder, crops, SMALL, device="cpu", progress=False)
    others = torch.stack([photo[:, y : y + SIDE, 300 : 300 + SIDE] for y in range(0, 256, 32)])
    z = pipe.codec.encode(others)
    plain, refined = pipe.decode(z, refine=False), pipe.decode(z)
    assert torch.equal(plain, pipe.codec.decode(z))
    error, before = ((each.float() - others.float()).abs().mean() for each in (refined, plain))
    assert error < 0.96 * before
    loaded = SmaltiPipeline.from_pretrained(folder)
    assert isinstance(loaded.refiner, Refiner)
    assert torch.equal(loaded.decode(z), refined)
    taller = photo[None, :, :43, :29]
    remade = loaded.decode(loaded.codec.encode(taller), (43, 29))
    assert remade.shape == taller.shape
    assert not torch.equal(remade, loaded.codec.decode(loaded.codec.encode(taller), (43, 29)))
    loaded.set_progress_bar_config(disable=True)
    drawn = [
        loaded(2, num_inference_steps=2, generator=torch.Generator().manual_seed(0), output_type="pt", refine=each)
        for each in (True, False)
    ]
    assert torch.equal(drawn[0].latents, drawn[1].latents)
    assert torch.equal(drawn[0].images, loaded.decode(drawn[0].latents) / 255)  # pyright: ignore
    assert torch.equal(drawn[1].images, loaded.codec.decode(drawn[1].latents) / 255)  # pyright: ignore
    shown = unrefined_and_refined(loaded, 2)
    assert shown.shape == (4, 3, SIDE, SIDE)
    assert not torch.equal(shown[:2], shown[2:])


def test_another_refiner_takes_the_place_of_the_first(folder: Path, crops: list[torch.Tensor]) -> None:
    train_refiner(folder, crops, SHORT, device="cpu", progress=False)
    made = train_refiner(folder, crops, replace(SHORT, network_width=32), device="cpu", progress=False)
    loaded = SmaltiPipeline.from_pretrained(folder).refiner
    assert made.refiner is not None
    assert loaded is not None
    assert loaded.config["width"] == 32
    assert _same(made.refiner, loaded)


def test_a_refiner_is_trained_further_without_a_quarrel_about_what_follows_from_how_long(
    folder: Path, crops: list[torch.Tensor]
) -> None:
    first = train_refiner(folder, crops, SHORT, device="cpu", progress=False).refiner
    more = replace(SHORT, pairs=32)
    with pytest.raises(SmaltiError, match="seed 0, now 1"):
        train_refiner(folder, crops, more, seed=1, resume=True, device="cpu", progress=False)
    longer = train_refiner(folder, crops, more, resume=True, device="cpu", progress=False).refiner
    record = read_json(folder / "refining" / "refine.json")
    assert (record["parts"], record["pairs_trained"]) == ([16, 32], 32)
    assert not _same(first, longer)
    with pytest.raises(SmaltiError, match="begun for 32 images, and trained on 32"):
        train_refiner(folder, crops, SHORT, resume=True, device="cpu", progress=False)


def test_a_kill_while_a_refiner_is_replaced_leaves_the_old_one(
    folder: Path, crops: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = train_refiner(folder, crops, SHORT, device="cpu", progress=False).refiner
    assert old is not None

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Refiner, "save_pretrained", killed)
    with pytest.raises(KeyboardInterrupt):
        train_refiner(folder, crops, SHORT, seed=1, device="cpu", progress=False)
    assert _same(SmaltiPipeline.from_pretrained(folder).refiner, old)
    # What was trained is not lost either.
    monkeypatch.undo()
    with pytest.raises(SmaltiError, match="latest 0, now 5"):
        train_refiner(folder, crops, replace(SHORT, latest=5), resume=True, seed=1, device="cpu", progress=False)
    new = train_refiner(folder, crops, SHORT, resume=True, seed=1, device="cpu", progress=False).refiner
    assert _same(SmaltiPipeline.from_pretrained(folder).refiner, new)
    assert not _same(new, old)


@pytest.mark.parametrize(("kind", "settings"), [(Continuous, {}), (Categorical, {"likelihood": True}), (Masked, {})])
def test_later_times_show_what_is_further_from_the_photo(
    kind: type[Process], settings: dict[str, bool], codec: Codec, crops: list[torch.Tensor]
) -> None:
    """At time 0 the state tells nearly all; a network that knows nothing leaves what the state alone says."""
    pipe = _model(kind.of(codec, k=2, **settings), codec)
    photos = torch.stack(crops[:16])
    plain = pipe.decode(pipe.codec.encode(photos)).float()
    losses = refiner_losses(pipe)
    shown: list[torch.Tensor] = []

    class Watch(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            shown.append(pixels)
            return pixels

    torch.manual_seed(0)
    noise = torch.randn(16, pipe.process.noise_channels, 8, 8)
    for time in (0, 600):
        batch = {"pixels": photos, "position": torch.full((16,), (time + 0.5) / TRAINING_TIMESTEPS), "noise": noise}
        found = losses(Watch(), batch)["pixels"]
        torch.testing.assert_close(found, (shown[-1] - photos.float()).abs().mean((1, 2, 3)) / 16)
    early, late = ((each - plain).abs().mean() for each in shown)
    assert late > early


def test_features_are_compared_beside_pixels(codec: Codec, crops: list[torch.Tensor]) -> None:
    pipe = _model(Continuous.of(codec, k=2), codec)
    photos = torch.stack(crops[:4])
    noise = torch.zeros(4, pipe.process.noise_channels, 8, 8)
    batch = {"pixels": photos, "position": torch.zeros(4), "noise": noise}
    terms = refiner_losses(pipe, lambda pixels: pixels.mean((2, 3)), 3.0)(torch.nn.Identity(), batch)
    decoded = pipe.decode(codec.encode(photos)).float()
    undisturbed = refiner_losses(pipe)(torch.nn.Identity(), {"pixels": photos})
    torch.testing.assert_close(undisturbed["pixels"], (decoded - photos.float()).abs().mean((1, 2, 3)) / 16)
    expected = 3 * (decoded.mean((2, 3)) - photos.float().mean((2, 3))).abs().mean(1)
    torch.testing.assert_close(terms["features"], expected)


def test_a_pair_follows_from_its_number(codec: Codec, crops: list[torch.Tensor]) -> None:
    pipe = _model(Continuous.of(codec, k=2), codec)
    batches = PairBatches(crops, pipe, 300, TrainSettings(batch_size=4))
    once, again = batches(range(4, 12)), batches(range(6, 10))
    assert once.keys() == {"pixels", "position", "noise"}
    assert all(torch.equal(once[name][2:6], again[name]) for name in once)
    times = (torch.cat([batches(range(n, n + 4))["position"] for n in range(0, 400, 4)]) * TRAINING_TIMESTEPS).floor()
    assert times.min() >= 0
    assert 250 < times.max() <= 300
    undisturbed = PairBatches(crops, pipe, 0, TrainSettings(batch_size=4))(range(6, 10))
    assert undisturbed.keys() == {"pixels"}
    assert torch.equal(undisturbed["pixels"], again["pixels"])


def test_photos_are_cropped_again_as_they_were_encoded(codec: Codec, photo_folder: Path, tmp_path: Path) -> None:
    images = open_images(photo_folder, size=SIDE, crop="random", seed=3)
    latents = encode_images(images, codec, tmp_path / "latents", views=2, flips=False, progress=False)
    again = torch.stack(list(as_held(open_images(photo_folder), latents.manifest.crop).views(2)))
    assert torch.equal(codec.encode(again), latents[np.arange(len(latents))])
    assert not torch.equal(again[:24], again[24:])


def test_a_run_goes_on_only_as_it_was_begun(folder: Path, crops: list[torch.Tensor]) -> None:
    train_refiner(folder, crops, SHORT, device="cpu", progress=False)
    with pytest.raises(SmaltiError, match="features False, now True"):
        train_refiner(folder, crops, SHORT, features=lambda pixels: pixels, resume=True, device="cpu", progress=False)
    with pytest.raises(SmaltiError, match="photos"):
        train_refiner(folder, crops[1:], SHORT, resume=True, device="cpu", progress=False)


def test_what_cannot_be_refined_is_named(folder: Path, codec: Codec, tmp_path: Path) -> None:
    with pytest.raises(SmaltiError, match="holds no model"):
        train_refiner(tmp_path, [], SMALL)
    with pytest.raises(SmaltiError, match="no such folder"):
        train_refiner("owner/name", [], SMALL)
    with pytest.raises(SmaltiError, match="no gradient"):
        train_refiner(folder, [], SMALL, features=lambda pixels: pixels.detach(), device="cpu")
    with pytest.raises(SmaltiError, match="planes"):
        train_refiner(folder, [torch.zeros(1, 80, 80, dtype=torch.uint8)], SMALL, device="cpu", progress=False)
    _model(Continuous.of(codec, k=2), codec, (16, 24)).save_pretrained(tmp_path / "oblong")
    with pytest.raises(SmaltiError, match="as large as a crop of 16x24"):
        train_refiner(tmp_path / "oblong", [], SMALL)
    with pytest.raises(SmaltiError, match="latest is 1000"):
        RefinerSettings(latest=1000)
    with pytest.raises(SmaltiError, match="pairs is 0"):
        RefinerSettings(pairs=0)
