import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

from smalti.codec import Codec
from smalti.data import Latents, open_images
from smalti.diffusion import (
    CategoricalSettings,
    Continuous,
    ContinuousSettings,
    MaskedSettings,
    MultinomialSettings,
    ProcessSettings,
)
from smalti.encoding import encode_images
from smalti.errors import SmaltiError
from smalti.files import read_json, write_json
from smalti.metrics import psnr
from smalti.nets import DiTSettings, NetSettings, UNetSettings
from smalti.pipeline import SmaltiPipeline
from smalti.records import from_record, to_record
from smalti.training import GeneratorSettings, TrainSettings, generator_losses, train_generator
from smalti.training.generator import LatentBatches

MODEL = GeneratorSettings(process=CategoricalSettings(k=2), net=UNetSettings(width=32))
TRAINING = TrainSettings(images=16, batch_size=4, warmup=4, checkpoint_every=8, log_every=4, ema_halflife=8)


@pytest.fixture(scope="module")
def latents(photo_folder: Path, codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Latents:
    out = tmp_path_factory.mktemp("encoded") / "latents"
    return encode_images(open_images(photo_folder, size=16), codec, out, progress=False)


@pytest.fixture
def batches(latents: Latents, codec: Codec) -> LatentBatches:
    return LatentBatches(latents, Continuous.of(codec, k=2), replace(TRAINING, images=1000, label_dropout=0.5))


def test_a_batch_follows_from_the_numbers_of_its_images(batches: LatentBatches) -> None:
    """So a process asks for its own images alone, and gets what a single one would have got for them."""
    whole = batches(range(40, 48))
    for rank in (0, 1, 2):
        for name, tensor in batches(range(40 + rank, 48, 3)).items():
            assert torch.equal(tensor, whole[name][rank::3])


def test_an_epoch_shows_every_latent_once(batches: LatentBatches, latents: Latents) -> None:
    shown = torch.cat([batches(range(n, min(n + 4, len(latents))))["z"] for n in range(0, len(latents), 4)])
    every = latents[np.arange(len(latents))]
    assert sorted(map(str, shown.flatten(1).tolist())) == sorted(map(str, every.flatten(1).tolist()))


def test_times_cover_the_schedule_evenly(batches: LatentBatches) -> None:
    position = torch.cat([batches(range(n, n + 4))["position"] for n in range(0, 200, 4)])
    assert torch.histc(position, 10, 0, 1).tolist() == pytest.approx([20] * 10, abs=2)
    assert position.min() >= 0
    assert position.max() < 1


def test_labels_are_those_of_their_latents_or_dropped(batches: LatentBatches, latents: Latents) -> None:
    labels = latents.labels[:, 0].tolist()
    every = {str(latents[np.array([row])].flatten().tolist()): label for row, label in enumerate(labels)}
    dropped = 0
    for n in range(0, 400, 4):
        batch = batches(range(n, n + 4))
        for z, label in zip(batch["z"], batch["label"].tolist(), strict=True):
            dropped += label == -1
            assert label in (-1, every[str(z.flatten().tolist())])
    assert dropped == pytest.approx(200, abs=50)  # five standard deviations


def test_of_several_labels_each_is_shown_as_often(photo_folder: Path, codec: Codec, tmp_path: Path) -> None:
    photos = sorted((photo_folder / "cats").glob("*.png"))[:3]
    labels = [["red", "rose", "wild"], ["rose"], []]
    lines = [{"file_name": path.name, "labels": own} for path, own in zip(photos, labels, strict=True)]
    (tmp_path / "photos").mkdir()
    for path in photos:
        shutil.copy(path, tmp_path / "photos")
    (tmp_path / "photos" / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    latents = encode_images(open_images(tmp_path / "photos", size=16), codec, tmp_path / "latents", flips=False)
    assert latents.labels.tolist() == [[0, 1, 2], [1, -1, -1], [-1, -1, -1]]
    assert latents.of_classes(["wild", "rose", "red"]).labels.tolist() == [[2, 1, 0], [1, -1, -1], [-1, -1, -1]]
    batches = LatentBatches(latents, Continuous.of(codec, k=2), TrainSettings(batch_size=3, label_dropout=0.0))
    shown: dict[int, list[int]] = {row: [] for row in range(3)}
    rows = {str(latents[np.array([row])].tolist()): row for row in range(3)}
    for first in range(0, 900, 3):
        batch = batches(range(first, first + 3))
        for z, label in zip(batch["z"], batch["label"].tolist(), strict=True):
            shown[rows[str(z[None].tolist())]].append(label)
    assert {*shown[1]} == {1}
    assert {*shown[2]} == {-1}
    assert [shown[0].count(label) for label in (0, 1, 2)] == pytest.approx([100] * 3, abs=41)  # five deviations


def test_the_losses_are_finite_and_reach_the_network(batches: LatentBatches, codec: Codec, latents: Latents) -> None:
    process = Continuous.of(codec, k=2)
    net = torch.nn.Conv2d(process.in_channels, process.out_channels, 1)

    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
            return net(x)

    terms = generator_losses(process, codec)(Net(), batches(range(4)))
    assert all(term.shape == (4,) and term.isfinite().all() for term in terms.values())
    sum(term.mean() for term in terms.values()).backward()  # pyright: ignore
    assert net.weight.grad is not None
    assert net.weight.grad.any()


def test_a_run_leaves_a_model_that_loads_at_every_checkpoint(latents: Latents, tmp_path: Path) -> None:
    seen = {}

    def keep(image: int, pipe: SmaltiPipeline) -> None:
        loaded = SmaltiPipeline.from_pretrained(tmp_path / "run")
        seen[image] = loaded.net.state_dict()
        for name, value in pipe.net.state_dict().items():
            assert torch.equal(value, seen[image][name])

    train_generator(latents, tmp_path / "run", MODEL, TRAINING, on_model=keep, device="cpu", progress=False)
    assert list(seen) == [8, 16]
    assert not [path for path in (tmp_path / "run").iterdir() if path.name.startswith(".") and path.is_dir()]
    loaded = SmaltiPipeline.from_pretrained(tmp_path / "run")
    assert loaded.classes == ["cats", "others"]
    assert loaded.size == (16, 16)


def test_a_finished_folder_is_not_trained_over_and_other_latents_are_refused(
    latents: Latents, tmp_path: Path, photo: torch.Tensor, photo_folder: Path
) -> None:
    train_generator(latents, tmp_path / "run", MODEL, TRAINING, device="cpu", progress=False)
    with pytest.raises(SmaltiError, match="holds a model already"):
        train_generator(latents, tmp_path / "run", MODEL, TRAINING, device="cpu", progress=False)
    codec = Codec.fit([photo], "VQ-4@4-4@4-4@4/4", patches=500, progress=False)
    other = encode_images(open_images(photo_folder, size=16), codec, tmp_path / "other", progress=False)
    with pytest.raises(SmaltiError, match=r"begun otherwise.*latents"):
        train_generator(other, tmp_path / "run", MODEL, TRAINING, resume=True, device="cpu", progress=False)
    _as_if_it_had_come_to_no_checkpoint(tmp_path / "run")
    with pytest.raises(SmaltiError, match="was begun with other latents"):
        train_generator(other, tmp_path / "run", MODEL, TRAINING, resume=True, device="cpu", progress=False)


def test_a_run_that_somebody_else_trains_is_left_alone(latents: Latents, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_generator(latents, run, MODEL, TRAINING, device="cpu", progress=False)
    _as_if_it_had_come_to_no_checkpoint(run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    other = replace(MODEL, net=UNetSettings(width=64))
    with FileLock(run / ".lock"), pytest.raises(SmaltiError, match="another process is writing there"):
        train_generator(latents, run, other, TRAINING, resume=True, device="cpu", progress=False)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("process", "net"),
    [
        (CategoricalSettings(k=2, image_weight=1.0, noise_weight=1.0, self_conditioning=True), UNetSettings(width=32)),
        (CategoricalSettings(k=2, likelihood=True), DiTSettings(width=32)),
        (MaskedSettings(k=2), UNetSettings(width=32)),
        (MultinomialSettings(k=2), UNetSettings(width=32)),
        (
            ContinuousSettings(coordinates="rank", k=1, dither=True, self_conditioning=True),
            UNetSettings(width=32),
        ),
    ],
)
def test_every_process_trains_and_its_model_generates(
    latents: Latents, tmp_path: Path, process: ProcessSettings, net: NetSettings
) -> None:
    model = GeneratorSettings(process=process, net=net)
    train_generator(latents, tmp_path / "run", model, TRAINING, device="cpu", progress=False)
    pipe = SmaltiPipeline.from_pretrained(tmp_path / "run")
    pipe.set_progress_bar_config(disable=True)
    limits = torch.tensor(pipe.codec.spec.codewords)[:, None, None]
    assert (pipe(3, class_labels=[0, 1, -1], num_inference_steps=3).latents < limits).all()


def test_settings_that_do_not_go_together_are_named() -> None:
    with pytest.raises(SmaltiError, match="dither"):
        ContinuousSettings(dither=True)
    with pytest.raises(SmaltiError, match="SNR gamma"):
        CategoricalSettings(snr_gamma=0.0)
    with pytest.raises(SmaltiError, match="noise schedule"):
        ContinuousSettings(beta_schedule="cubic")
    with pytest.raises(SmaltiError, match="multiple of 32"):
        UNetSettings(width=40)
    with pytest.raises(SmaltiError, match="dropout"):
        DiTSettings(dropout=1.0)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"model": GeneratorSettings(process=CategoricalSettings(k=3), net=MODEL.net)}, "k 2, now 3"),
        ({"model": GeneratorSettings(process=MaskedSettings(k=2), net=MODEL.net)}, "process categorical, now masked"),
        ({"model": replace(MODEL, net=UNetSettings(width=64))}, "width 32, now 64"),
        ({"training": replace(TRAINING, seed=1)}, "seed 0, now 1"),
    ],
)
def test_a_run_goes_on_only_as_it_was_begun(
    latents: Latents, tmp_path: Path, changed: dict[str, GeneratorSettings | TrainSettings], says: str
) -> None:
    asked = {"model": MODEL, "training": TRAINING}
    train_generator(latents, tmp_path / "run", device="cpu", progress=False, **asked)  # pyright: ignore
    record = (tmp_path / "run" / "train.json").read_bytes()
    with pytest.raises(SmaltiError, match=says):
        train_generator(  # pyright: ignore
            latents, tmp_path / "run", resume=True, device="cpu", progress=False, **(asked | changed)
        )
    assert (tmp_path / "run" / "train.json").read_bytes() == record


def _as_if_it_had_come_to_no_checkpoint(run: Path) -> None:
    for checkpoint in (run / "checkpoints").iterdir():
        shutil.rmtree(checkpoint)
    begun = read_json(run / "train.json")
    del begun["images_trained"]
    write_json(run / "train.json", begun)


def test_to_resume_where_there_is_no_checkpoint_is_to_begin(latents: Latents, tmp_path: Path) -> None:
    """Nothing would be lost: neither before the first start, nor when that came to no checkpoint."""
    whole = train_generator(latents, tmp_path / "whole", MODEL, TRAINING, device="cpu", progress=False)
    out = tmp_path / "run"
    for model in (replace(MODEL, net=UNetSettings(width=64)), MODEL):
        if out.exists():
            _as_if_it_had_come_to_no_checkpoint(out)
        made = train_generator(latents, out, model, TRAINING, resume=True, device="cpu", progress=False)
    for gone in (*(out / "checkpoints").iterdir(), out / "metrics.jsonl", out / "checkpoints"):
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
        if not any((out / "checkpoints").glob("*")):
            with pytest.raises(SmaltiError, match="checkpoints are gone"):
                train_generator(latents, out, MODEL, TRAINING, resume=True, device="cpu", progress=False)
    for one, other in zip(whole.net.parameters(), made.net.parameters(), strict=True):
        assert torch.equal(one, other)


def test_latents_that_are_resident_train_the_same_model(latents: Latents, tmp_path: Path) -> None:
    made = [
        train_generator(latents, tmp_path / str(resident), MODEL, TRAINING, resident=resident, device="cpu")
        for resident in (False, True)
    ]
    for one, other in zip(made[0].net.parameters(), made[1].net.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_first_weights_follow_from_the_seed(latents: Latents, tmp_path: Path) -> None:
    weights = []
    for number, seed in enumerate((3, 3, 4)):
        torch.manual_seed(number)
        training = replace(TRAINING, seed=seed, images=8)
        pipe = train_generator(latents, tmp_path / str(number), MODEL, training, device="cpu", progress=False)
        weights.append(torch.cat([p.flatten() for p in pipe.net.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_one_repeated_image_is_what_is_generated(codec: Codec, photo: torch.Tensor, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    crop = photo[:, 100:116, 100:116]
    Image.fromarray(crop.permute(1, 2, 0).numpy()).save(tmp_path / "photos" / "one.png")
    latents = encode_images(open_images(tmp_path / "photos"), codec, tmp_path / "latents", flips=False, progress=False)
    training = TrainSettings(
        images=3_200, batch_size=16, learning_rate=2e-3, warmup=160, checkpoint_every=3_200, ema_halflife=160
    )
    pipe = train_generator(latents, tmp_path / "run", MODEL, training, device="cpu", progress=False)
    pipe.set_progress_bar_config(disable=True)
    output = pipe(4, num_inference_steps=20, generator=torch.manual_seed(0))
    expected = codec.encode(crop[None])
    target = codec.decode(expected).expand(4, -1, -1, -1)
    limits = torch.tensor(codec.spec.codewords)[:, None, None] - 1
    assert (output.latents == expected).float().mean() > 0.8
    # Where it errs it takes a near codeword: in all it is nearer than one step of every index.
    one_step = codec.decode((expected + 1).minimum(limits)).expand(4, -1, -1, -1)
    assert psnr(codec.decode(output.latents), target) > psnr(one_step, target)


def test_settings_round_trip_through_json() -> None:
    assert from_record(TrainSettings, json.loads(json.dumps(to_record(TRAINING))), "here") == TRAINING
    for process in (CategoricalSettings(), ContinuousSettings(dither=True, coordinates="rank", k=1), MaskedSettings()):
        model = GeneratorSettings(process=process, net=DiTSettings(width=96))
        written = json.loads(json.dumps(to_record(model)))
        assert from_record(GeneratorSettings, written, "here", ProcessSettings, NetSettings) == model


def test_the_loss_by_level_is_kept_with_the_model_and_a_resumed_run_has_the_same(
    latents: Latents, tmp_path: Path
) -> None:
    options = {"device": "cpu", "progress": False}

    def levels(out: Path) -> dict[str, list[float | None]]:
        return json.loads((out / "levels.json").read_text())

    def kill(image: int, pipe: SmaltiPipeline) -> None:
        assert sum(loss is not None for loss in levels(tmp_path / "parts")["loss"]) >= image / 2
        if image == 8:
            raise KeyboardInterrupt

    train_generator(latents, tmp_path / "whole", MODEL, TRAINING, **options)
    with pytest.raises(KeyboardInterrupt):
        train_generator(latents, tmp_path / "parts", MODEL, TRAINING, on_model=kill, **options)
    train_generator(latents, tmp_path / "parts", MODEL, TRAINING, resume=True, **options)
    assert levels(tmp_path / "whole") == levels(tmp_path / "parts")
    # All images are in it, each at its own level: their mean is that of the losses.
    lines = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        images, loss = line["images_by_level"], line["loss_by_level"]
        assert sum(images) == 4
        mean = sum(number * (each or 0.0) for number, each in zip(images, loss, strict=True)) / 4
        assert mean == pytest.approx(line["loss"], rel=1e-4)
    assert levels(tmp_path / "whole")["images"] == TRAINING.images
