import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, EulerAncestralDiscreteScheduler, LCMScheduler
from diffusers.callbacks import PipelineCallback
from diffusers.configuration_utils import register_to_config
from huggingface_hub.errors import RepositoryNotFoundError
from PIL import Image
from safetensors.torch import load_file, save_file

import smalti.hub
from smalti.codec import Codec
from smalti.component import Component
from smalti.diffusion import TRAINING_TIMESTEPS, Categorical, Continuous, Gaussian, Masked, Multinomial, Process
from smalti.diffusion.level import over
from smalti.errors import SmaltiError
from smalti.nets import DiT, Refiner, UNet
from smalti.pipeline import SampleSettings, SmaltiPipeline, Start
from smalti.schedulers import SCHEDULERS, Unmasking, make_scheduler

SIZE = (18, 22)
GRID = (5, 6)


class Oracle(Component):
    """A network that knows the one latent there is, and answers with the v that leads to it; label 1 knows another."""

    @register_to_config
    def __init__(self, grid: tuple[int, int] = GRID):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))
        self.pipe: SmaltiPipeline | None = None
        self.targets: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
        assert self.pipe is not None
        level = self.pipe.process.level((t.double() + 0.5) / TRAINING_TIMESTEPS)  # pyright: ignore
        rows = torch.zeros(len(x), dtype=torch.int64) if label is None else label
        clean = torch.stack([self.targets[row] for row in rows.tolist()])
        return (over(level.alpha) * x - clean) / over(level.sigma)


@pytest.fixture
def process(codec: Codec) -> Continuous:
    return Continuous.of(codec, k=2)


@pytest.fixture
def oracle(codec: Codec, process: Continuous) -> Iterator[tuple[SmaltiPipeline, torch.Tensor]]:
    net = Oracle()
    pipe = SmaltiPipeline(codec, process, net, make_scheduler("ddim", process), list(SIZE), ["one", "other"])
    torch.manual_seed(0)
    z = torch.stack([torch.randint(size, (2, *GRID)) for size in codec.spec.codewords], dim=1)
    net.pipe, net.targets = pipe, list(process.coordinates.embed(z))
    pipe.set_progress_bar_config(disable=True)
    yield pipe, z
    net.pipe = None


@pytest.fixture
def pipe(codec: Codec, process: Continuous) -> SmaltiPipeline:
    torch.manual_seed(0)
    net = UNet(process.in_channels, process.out_channels, GRID, classes=2, width=32)
    torch.nn.init.normal_(net.body.conv_out.weight, std=0.1)
    made = SmaltiPipeline(codec, process, net.eval(), make_scheduler("ddim", process), list(SIZE), ["one", "other"])
    made.set_progress_bar_config(disable=True)
    return made


@pytest.mark.parametrize("steps", [10, 50, 61])
@pytest.mark.parametrize("name", [name for name, row in SCHEDULERS.items() if row.suits is Gaussian])
def test_every_scheduler_ends_at_the_latent_that_the_network_knows(
    oracle: tuple[SmaltiPipeline, torch.Tensor], name: str, steps: int
) -> None:
    pipe, z = oracle
    pipe.scheduler = make_scheduler(name, pipe.process)
    output = pipe(2, num_inference_steps=steps, generator=torch.manual_seed(1), output_type="pt")
    assert torch.equal(output.latents, z[:1].expand_as(output.latents))
    assert torch.equal(output.images, pipe.codec.decode(output.latents, SIZE) / 255)  # pyright: ignore


def test_guidance_goes_from_no_label_through_the_label_and_beyond(oracle: tuple[SmaltiPipeline, torch.Tensor]) -> None:
    pipe, z = oracle
    assert torch.equal(pipe(2, class_labels=[0, 1], num_inference_steps=5).latents, z)
    assert torch.equal(pipe(1, class_labels=1, guidance_scale=0.0, num_inference_steps=5).latents, z[:1])
    beyond = pipe(1, class_labels=1, guidance_scale=3.0, num_inference_steps=5).latents
    assert not torch.equal(beyond, z[1:])


def test_pictures_come_in_the_form_asked_for(pipe: SmaltiPipeline) -> None:
    def make(kind: str) -> object:
        return pipe(2, num_inference_steps=2, generator=torch.manual_seed(0), output_type=kind).images

    pictures, arrays, tensors, latents = make("pil"), make("np"), make("pt"), make("latent")
    assert isinstance(pictures, list)
    assert isinstance(pictures[0], Image.Image)
    assert pictures[0].size == (SIZE[1], SIZE[0])
    assert arrays.dtype == np.float32  # pyright: ignore
    np.testing.assert_array_equal(np.stack(pictures), arrays * 255)  # pyright: ignore
    np.testing.assert_array_equal(tensors.permute(0, 2, 3, 1).numpy(), arrays)  # pyright: ignore
    assert torch.equal(pipe.decode(latents) / 255, tensors)  # pyright: ignore


def test_a_plain_tuple_holds_pictures_and_latents(pipe: SmaltiPipeline) -> None:
    def make(**how: Any) -> Any:
        return pipe(2, num_inference_steps=2, generator=torch.manual_seed(0), output_type="pt", **how)

    images, latents = make(return_dict=False)
    assert torch.equal(images, make().images)
    assert torch.equal(latents, make().latents)


@pytest.mark.parametrize("name", ["ddim", "ddpm"])
def test_a_picture_follows_from_its_seed_and_number_whatever_the_batch(pipe: SmaltiPipeline, name: str) -> None:
    pipe.scheduler = make_scheduler(name, pipe.process)

    def stream(batch_size: int, seed: int = 0) -> torch.Tensor:
        return torch.cat(list(pipe.stream(5, SampleSettings(seed=seed, batch_size=batch_size, steps=3))))

    assert (stream(5).int() - stream(2).int()).abs().float().mean() < 0.5  # sums differ in their last bits
    assert torch.equal(stream(2), stream(2))
    assert (stream(5).int() - stream(5, seed=1).int()).abs().float().mean() > 5


def test_a_saved_model_comes_back_and_generates_the_same(pipe: SmaltiPipeline, tmp_path: Path) -> None:
    pipe.scheduler = make_scheduler("dpmsolver++", pipe.process)
    pipe.save_pretrained(tmp_path / "model")
    loaded = SmaltiPipeline.from_pretrained(tmp_path / "model")
    loaded.set_progress_bar_config(disable=True)
    one, two = (p(2, num_inference_steps=4, generator=torch.manual_seed(0)).latents for p in (pipe, loaded))
    assert torch.equal(one, two)
    assert type(loaded.scheduler) is type(pipe.scheduler)
    assert (loaded.size, loaded.classes) == (SIZE, ["one", "other"])
    index = json.loads((tmp_path / "model" / "model_index.json").read_text())
    assert index["codec"] == ["smalti", "Codec"]
    assert index["net"] == ["smalti", "UNet"]


def test_a_model_in_bfloat16_keeps_its_codewords(pipe: SmaltiPipeline, codec: Codec) -> None:
    pipe.to(torch.bfloat16)
    assert pipe.codec.fingerprint == codec.fingerprint
    assert pipe(1, num_inference_steps=2).latents.shape == (1, len(codec.spec.codewords), *GRID)


def test_a_model_is_loaded_from_the_hub_without_its_training_state(
    pipe: SmaltiPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe.save_pretrained(tmp_path / "snapshot")
    asked = {}

    def snapshot_download(name: str, **options: object) -> str:
        asked.update(name=name, **options)
        if name != "someone/cats":
            raise OSError("404")
        return str(tmp_path / "snapshot")

    monkeypatch.setattr(smalti.hub, "snapshot_download", snapshot_download)
    loaded = SmaltiPipeline.from_pretrained("someone/cats", revision="v1")
    assert loaded.codec.fingerprint == pipe.codec.fingerprint
    assert asked["name"] == "someone/cats"
    assert asked["revision"] == "v1"
    assert "checkpoints/*" in asked["ignore_patterns"]
    with pytest.raises(SmaltiError, match="someone/dogs"):
        SmaltiPipeline.from_pretrained("someone/dogs")
    assert issubclass(RepositoryNotFoundError, OSError)  # what the real one raises is among what is caught


@pytest.mark.parametrize("part", ["codec", "process", "net", "scheduler", "model_index.json"])
def test_a_model_folder_that_lacks_a_part_is_named(pipe: SmaltiPipeline, tmp_path: Path, part: str) -> None:
    pipe.save_pretrained(tmp_path / "model")
    path = tmp_path / "model" / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(SmaltiError, match=str(tmp_path / "model")) as caught:
        SmaltiPipeline.from_pretrained(tmp_path / "model")
    assert "\n" not in str(caught.value)


def test_a_process_of_another_codec_is_refused(process: Continuous, photo: torch.Tensor) -> None:
    other = Codec.fit([photo], "VQ-4@4-4@4-4@4/4", patches=500, progress=False)
    with pytest.raises(SmaltiError, match="another codec"):
        SmaltiPipeline(other, process, Oracle(), make_scheduler("ddim", process))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"class_labels": 2}, "2 classes"),
        ({"class_labels": [0]}, "1 labels for 2"),
        ({"guidance_scale": 2.0}, "guidance"),
        ({"output_type": "gif"}, "gif"),
        ({"generator": [torch.Generator()]}, "1 generators for 2 pictures"),
    ],
)
def test_wrong_calls_are_named(pipe: SmaltiPipeline, wrong: dict[str, object], says: str) -> None:
    with pytest.raises(SmaltiError, match=says):
        pipe(2, num_inference_steps=2, **wrong)  # pyright: ignore


def test_an_unknown_scheduler_is_refused(process: Continuous) -> None:
    with pytest.raises(SmaltiError, match="dpmsolver"):
        make_scheduler("magic", process)


@pytest.fixture
def categorical(codec: Codec) -> SmaltiPipeline:
    process = Categorical.of(codec, k=2)
    torch.manual_seed(0)
    net = UNet(process.in_channels, process.out_channels, GRID, width=32)
    torch.nn.init.normal_(net.body.conv_out.weight, std=0.1)
    made = SmaltiPipeline(codec, process, net.eval(), make_scheduler("ddpm", process), list(SIZE))
    made.set_progress_bar_config(disable=True)
    return made


def test_a_guide_is_what_guidance_goes_away_from(pipe: SmaltiPipeline) -> None:
    def latents(**options: Any) -> torch.Tensor:
        return pipe(2, num_inference_steps=3, generator=torch.manual_seed(0), **options).latents

    worse = UNet(pipe.process.in_channels, pipe.process.out_channels, GRID, classes=2, width=32)
    torch.nn.init.normal_(worse.body.conv_out.weight, std=0.1)
    guide = SmaltiPipeline(pipe.codec, pipe.process, worse.eval(), pipe.scheduler, list(SIZE), pipe.classes)
    alone = latents()
    assert torch.equal(latents(guide=guide, guidance_scale=1.0), alone)
    assert torch.equal(latents(guide=pipe, guidance_scale=3.0), alone)  # no way leads away from oneself
    assert not torch.equal(latents(guide=guide, guidance_scale=3.0), alone)
    own = latents(guide=guide, guidance_scale=0.0)
    assert torch.equal(own, guide(2, num_inference_steps=3, generator=torch.manual_seed(0)).latents)


def test_a_guide_of_another_kind_is_refused(pipe: SmaltiPipeline, categorical: SmaltiPipeline) -> None:
    with pytest.raises(SmaltiError, match="the guide has another"):
        pipe(1, guide=categorical, guidance_scale=2.0)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"temperature": 1.0}, "a continuous model has none"),
        ({"draws": True}, "has none"),
        ({"cooling": 1.0}, "cooling"),
        ({"extrapolation": 0.0}, "extrapolation"),
    ],
)
def test_what_is_of_distributions_is_refused_where_there_are_none(
    pipe: SmaltiPipeline, asked: dict[str, Any], why: str
) -> None:
    with pytest.raises(SmaltiError, match=why):
        pipe(1, num_inference_steps=2, **asked)


def test_draws_go_with_schedulers_of_one_estimate_alone(categorical: SmaltiPipeline) -> None:
    categorical.scheduler = make_scheduler("dpmsolver++", categorical.process)
    with pytest.raises(SmaltiError, match="draws do not suit"):
        categorical(1, num_inference_steps=2, draws=True)
    with pytest.raises(SmaltiError, match="places its steps itself"):
        categorical(1, num_inference_steps=2, spacing=2.0)
    with pytest.raises(SmaltiError, match="leave it out for a mean"):
        categorical(1, num_inference_steps=2, extrapolation=0.5)
    assert categorical(1, num_inference_steps=2, temperature=0.7).latents.shape[0] == 1


def test_logits_are_carried_on_from_those_of_the_step_before(categorical: SmaltiPipeline) -> None:
    process: Any = categorical.process
    outs, shown = [], []
    estimate = process.estimate

    def watched(out: torch.Tensor, state: torch.Tensor, level: Any, *others: Any, **more: Any) -> torch.Tensor:
        shown.append((out, float(level.alpha[0])))
        return estimate(out, state, level, *others, **more)

    def kept(module: Any, given: Any, out: Any) -> None:
        outs.append((out if isinstance(out, torch.Tensor) else out.sample).float())

    hook = categorical.net.register_forward_hook(kept)
    process.estimate = watched
    try:
        for extrapolation in (0.0, 0.7):
            outs.clear()
            shown.clear()
            generator = torch.Generator().manual_seed(0)
            categorical(2, num_inference_steps=3, generator=generator, extrapolation=extrapolation)
            torch.testing.assert_close(shown[0][0], outs[0])
            for before, now, (given, alpha) in zip(outs, outs[1:], shown[1:], strict=False):
                torch.testing.assert_close(given, now + extrapolation * alpha * (now - before))
    finally:
        del process.estimate
        hook.remove()


def test_a_temperature_falls_with_the_noise_as_it_is_cooled(categorical: SmaltiPipeline) -> None:
    process = categorical.process
    noisy, clean = (process.level(torch.tensor([position])) for position in (0.999, 0.1))
    for cooling in (0.0, 1.0, 2.0):
        assert process.cooled(0.5, noisy, cooling) == pytest.approx(0.5, abs=1e-4)
        assert process.cooled(0.5, clean, cooling) == pytest.approx(0.5 * float(clean.sigma) ** cooling)


def test_a_mean_at_no_temperature_is_the_likeliest_codeword_and_at_a_high_one_that_of_all(
    categorical: SmaltiPipeline,
) -> None:
    process: Any = categorical.process
    out = torch.randn(2, process.out_channels, *GRID)
    state, level = torch.randn(2, process.state_channels, *GRID), process.level(torch.tensor([0.5, 0.5]))
    likeliest = process.estimate(out, state, level, 0.0)
    torch.testing.assert_close(process.estimate(out, state, level, 1e-6, draws=False), likeliest, atol=1e-3, rtol=1e-3)
    there = process.logits(out, state, level).isfinite().float()  # codewords that are no padding
    uniform = process.coordinates.mean(there / there.sum(2, keepdim=True))
    torch.testing.assert_close(process.estimate(out, state, level, 1e6, draws=False), uniform, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ["ddpm", "renoise"])
def test_the_likeliest_codewords_need_no_luck_but_the_noise(categorical: SmaltiPipeline, name: str) -> None:
    categorical.scheduler = make_scheduler(name, categorical.process)

    def latents(temperature: float) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        return categorical(4, num_inference_steps=1, generator=generator, temperature=temperature).latents

    assert torch.equal(latents(0.0), latents(0.0))
    # Of two that are equally likely, in the precision that the network computes in, either may be drawn.
    assert (latents(0.0) == latents(1e-6)).float().mean() > 0.95
    assert not torch.equal(latents(0.0), latents(2.0))


def test_what_the_network_estimates_can_be_watched(categorical: SmaltiPipeline) -> None:
    seen = []

    def keep(pipe: SmaltiPipeline, step: int, time: int, tensors: dict[str, torch.Tensor]) -> None:
        assert pipe is categorical
        seen.append((step, time, {name: tensor.shape for name, tensor in tensors.items()}))

    both = ["latents", "pred_original_sample"]
    told: Any = {"callback_on_step_end": keep, "callback_on_step_end_tensor_inputs": both}
    categorical(2, num_inference_steps=4, spacing=1.0, **told)
    assert [each[:2] for each in seen] == [(0, 999), (1, 749), (2, 499), (3, 249)]
    assert all(each[2] == dict.fromkeys(both, (2, categorical.process.state_channels, *GRID)) for each in seen)


@pytest.mark.parametrize(
    ("kind", "scheduler", "setting", "value"),
    [(Masked, "unmask-halton", "unmasking", "halton"), (Multinomial, "multinomial", "codewords", None)],
)
def test_a_saved_model_of_indices_comes_back_with_its_scheduler(
    codec: Codec, tmp_path: Path, kind: type[Process], scheduler: str, setting: str, value: str | None
) -> None:
    process = kind.of(codec, k=2)
    net = DiT(process.in_channels, process.out_channels, GRID, width=32, layers=1)
    made = SmaltiPipeline(codec, process, net.eval(), make_scheduler(scheduler, process), list(SIZE))
    made.save_pretrained(tmp_path / "model")
    loaded = SmaltiPipeline.from_pretrained(tmp_path / "model")
    assert loaded.scheduler.config[setting] == (value or list(codec.spec.codewords))
    latents = []
    for each in (made, loaded):
        each.set_progress_bar_config(disable=True)
        latents.append(each(2, num_inference_steps=4, generator=torch.Generator().manual_seed(0)).latents)
    assert torch.equal(*latents)


def test_a_stream_is_sampled_as_its_settings_say_and_leaves_the_model_as_it_was(pipe: SmaltiPipeline) -> None:
    own = pipe.scheduler
    stream = pipe.stream(3, SampleSettings(scheduler="euler", steps=3, batch_size=2), labels=[0, 1, 0])
    first = next(stream)
    assert pipe.scheduler is own
    streamed = torch.cat([first, *stream])
    pipe.scheduler = make_scheduler("euler", pipe.process)
    again = torch.cat(list(pipe.stream(3, SampleSettings(steps=3, batch_size=2), labels=[0, 1, 0])))
    assert torch.equal(streamed, again)


def test_a_stream_goes_away_from_the_guide_that_its_settings_name(pipe: SmaltiPipeline, tmp_path: Path) -> None:
    worse = UNet(pipe.process.in_channels, pipe.process.out_channels, GRID, classes=2, width=32)
    torch.nn.init.normal_(worse.body.conv_out.weight, std=0.1)
    guide = SmaltiPipeline(pipe.codec, pipe.process, worse.eval(), pipe.scheduler, list(SIZE), pipe.classes)
    guide.save_pretrained(tmp_path / "guide")
    settings = SampleSettings(steps=3, guidance=3.0, guide=str(tmp_path / "guide"))
    (guided,) = pipe.stream(2, settings)
    (alone,) = pipe.stream(2, SampleSettings(steps=3))
    assert not torch.equal(guided, alone)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"steps": 1001}, "1 to 1000"),
        ({"batch_size": 0}, "batch size is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"guide": "model"}, "guide does nothing"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"guidance": float("inf")}, "guidance is inf"),
    ],
)
def test_settings_that_cannot_be_sampled_with_are_named(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(SmaltiError, match=says):
        SampleSettings(**wrong)


def test_what_is_asked_for_at_once_is_refused_before_anything_is_sampled(pipe: SmaltiPipeline) -> None:
    with pytest.raises(SmaltiError, match="magic"):
        pipe.stream(2, SampleSettings(scheduler="magic"))
    with pytest.raises(SmaltiError, match="nowhere: there is no such folder"):
        pipe.stream(2, SampleSettings(guide="nowhere", guidance=2.0))


def test_a_model_whose_process_kept_a_schedule_that_it_did_not_use_loads(codec: Codec, tmp_path: Path) -> None:
    process = Masked.of(codec, k=2)
    net = DiT(process.in_channels, process.out_channels, GRID, width=32, layers=1)
    SmaltiPipeline(codec, process, net.eval(), make_scheduler("unmask", process), list(SIZE)).save_pretrained(tmp_path)
    weights = tmp_path / "process" / "diffusion_pytorch_model.safetensors"
    (tmp_path / "process" / "digests.json").unlink()  # as such models had none
    save_file(load_file(weights) | {"alpha": torch.ones(1000), "sigma": torch.zeros(1000)}, weights, {"format": "pt"})
    loaded = SmaltiPipeline.from_pretrained(tmp_path).process
    assert torch.equal(loaded.coordinates.table, process.coordinates.table)
    assert loaded.state_dict().keys() == process.state_dict().keys()


@pytest.mark.parametrize(
    ("kind", "name"), [(Continuous, "euler"), (Masked, "unmask-halton"), (Multinomial, "multinomial")]
)
def test_a_model_that_was_sampled_or_given_another_scheduler_still_saves_and_loads(
    codec: Codec, tmp_path: Path, kind: type[Process], name: str
) -> None:
    process = kind.of(codec, k=2)
    net = DiT(process.in_channels, process.out_channels, GRID, width=32, layers=1)
    made = SmaltiPipeline(codec, process, net.eval(), make_scheduler(process.default_scheduler, process), list(SIZE))
    made.set_progress_bar_config(disable=True)
    list(made.stream(2, SampleSettings(scheduler=name, steps=2)))
    made.scheduler = make_scheduler(name, process)
    made.refiner = Refiner(3, 4, 8, 1)
    made.save_pretrained(tmp_path / "model")
    loaded = SmaltiPipeline.from_pretrained(tmp_path / "model")
    assert type(loaded.scheduler) is type(made.scheduler)
    assert isinstance(loaded.refiner, Refiner)


def test_a_guide_follows_the_model_to_its_precision(pipe: SmaltiPipeline, tmp_path: Path) -> None:
    pipe.save_pretrained(tmp_path / "guide")
    pipe.to(torch.bfloat16)
    (guided,) = pipe.stream(1, SampleSettings(steps=2, guidance=2.0, guide=str(tmp_path / "guide")))
    assert guided.shape == (1, 3, *SIZE)


def test_a_picture_follows_from_its_own_latent_whatever_the_batch(pipe: SmaltiPipeline) -> None:
    z = torch.stack([torch.randint(size, (3, *GRID)) for size in pipe.codec.spec.codewords], dim=1)
    made = [
        torch.cat(list(pipe.stream(3, SampleSettings(steps=4, batch_size=size), start=Start(z, 0.5))))
        for size in (1, 3)
    ]
    assert (made[0].int() - made[1].int()).abs().float().mean() < 0.5  # sums differ in their last bits


def test_what_cannot_be_begun_with_is_refused(pipe: SmaltiPipeline) -> None:
    z = torch.zeros(2, pipe.process.coordinates.channels, *GRID, dtype=torch.int64)
    for strength in (0.0, 1.5):
        with pytest.raises(SmaltiError, match="strength"):
            Start(z, strength)
    for wrong in (z[:1], z[..., 1:]):
        with pytest.raises(SmaltiError, match="to begin with"):
            pipe.stream(2, start=Start(wrong, 0.5))


def test_a_callback_may_put_another_state_in_the_place_of_that_after_a_step(pipe: SmaltiPipeline) -> None:
    z = torch.stack([torch.randint(size, (2, *GRID)) for size in pipe.codec.spec.codewords], dim=1)

    def know(pipe: SmaltiPipeline, step: int, time: int, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        del time, tensors
        return {"latents": pipe.process.coordinates.embed(z)} if step == 2 else {}

    assert torch.equal(pipe(2, num_inference_steps=3, callback_on_step_end=know).latents, z)


def test_a_callback_of_diffusers_says_itself_what_it_wants(pipe: SmaltiPipeline) -> None:
    class Watch(PipelineCallback):
        tensor_inputs = ("pred_original_sample",)  # pyright: ignore
        seen: ClassVar[list[str]] = []

        def callback_fn(self, pipeline: Any, step_index: int, timestep: Any, callback_kwargs: Any) -> Any:
            del pipeline, step_index, timestep
            self.seen.extend(callback_kwargs)
            return callback_kwargs

    pipe(1, num_inference_steps=2, callback_on_step_end=Watch(cutoff_step_ratio=0.5))
    assert Watch.seen == ["pred_original_sample"] * 2


@pytest.mark.parametrize(
    "labels",
    [np.array([0.2, 1.9]), np.array(1.7), np.array([[0, 1]]), np.array(["other", None], dtype=object)],
    ids=str,
)
def test_what_is_neither_a_number_of_a_class_nor_a_name_is_refused(
    oracle: tuple[SmaltiPipeline, torch.Tensor], labels: np.ndarray
) -> None:
    count = max(1, labels.size if labels.ndim == 1 else 1)
    with pytest.raises(SmaltiError, match="is no class: give whole numbers, or names"):
        oracle[0](count, class_labels=labels)


@pytest.mark.parametrize(
    "labels", ["other", 1, [1, 1], ["other", 1], torch.tensor([1, 1]), torch.tensor(1), np.array([1, 1]), "1"], ids=str
)
def test_a_class_is_called_by_its_name_or_its_number(oracle: tuple[SmaltiPipeline, torch.Tensor], labels: Any) -> None:
    pipe, z = oracle
    assert torch.equal(pipe(2, class_labels=labels, num_inference_steps=5).latents, z[[1, 1]])
    streamed = torch.cat(list(pipe.latents(2, SampleSettings(scheduler="ddim", steps=5, batch_size=1), labels=labels)))
    assert torch.equal(streamed, z[[1, 1]])


def test_given_noise_takes_the_place_of_what_the_generator_draws(pipe: SmaltiPipeline) -> None:
    noise = torch.randn(2, pipe.process.state_channels, *GRID, generator=torch.manual_seed(0))
    drawn = pipe(2, num_inference_steps=3, generator=torch.manual_seed(0)).latents
    assert torch.equal(pipe(2, num_inference_steps=3, latents=noise).latents, drawn)
    assert not torch.equal(pipe(2, num_inference_steps=3, latents=-noise).latents, drawn)
    with pytest.raises(SmaltiError, match="noise to begin with"):
        pipe(1, num_inference_steps=3, latents=noise)
    process = Masked.of(pipe.codec, k=2)
    net = DiT(process.in_channels, process.out_channels, GRID, width=32, layers=1)
    masked = SmaltiPipeline(pipe.codec, process, net.eval(), make_scheduler("unmask", process), list(SIZE))
    with pytest.raises(SmaltiError, match="begins with masks"):
        masked(1, latents=torch.randn(1, process.state_channels, *GRID))


def test_eta_draws_anew_in_ddim_and_is_refused_elsewhere(pipe: SmaltiPipeline) -> None:
    def latents(**how: Any) -> torch.Tensor:
        return pipe(2, num_inference_steps=4, generator=torch.manual_seed(0), **how).latents

    assert torch.equal(latents(eta=0.0), latents())
    assert not torch.equal(latents(eta=1.0), latents())
    pipe.scheduler = make_scheduler("euler", pipe.process)
    with pytest.raises(SmaltiError, match="EulerDiscreteScheduler has no eta"):
        latents(eta=0.0)


GAUSSIAN = {row.kind.__name__: row.kind for row in SCHEDULERS.values() if row.suits is Gaussian}


@pytest.mark.parametrize("before", ["DDPMScheduler", "EulerDiscreteScheduler"])
@pytest.mark.parametrize("kind", [kind for kind in GAUSSIAN if kind != "LCMScheduler"])
def test_a_scheduler_made_of_the_configuration_of_another_is_the_one_of_its_name(
    pipe: SmaltiPipeline, before: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    names = {row.kind.__name__: name for name, row in SCHEDULERS.items()}
    pipe.scheduler = make_scheduler(names[before], pipe.process)
    latents = []
    for each in (GAUSSIAN[kind].from_config(pipe.scheduler.config), make_scheduler(names[kind], pipe.process)):
        pipe.scheduler = each
        latents.append(pipe(1, num_inference_steps=3, generator=torch.manual_seed(0)).latents)
    assert torch.equal(*latents)
    assert not caplog.records


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda config: EulerAncestralDiscreteScheduler.from_config(config), "none of those that do"),
        (lambda config: DDIMScheduler.from_config(config, prediction_type="epsilon"), "prediction_type"),
        (lambda config: DDIMScheduler(), "clip_sample"),
        (lambda config: LCMScheduler.from_config(config), "original_inference_steps"),
        (lambda config: Unmasking(3), "none of those that do"),
    ],
)
def test_a_scheduler_that_does_not_suit_is_refused_at_once(pipe: SmaltiPipeline, make: Any, why: str) -> None:
    own = pipe.scheduler
    with pytest.raises(SmaltiError, match=f"({why}).*take make_scheduler.* with one of ddpm, ddim"):
        pipe.scheduler = make(own.config)
    assert pipe.scheduler is own


def test_a_pipeline_is_made_of_the_parts_of_another(pipe: SmaltiPipeline, categorical: SmaltiPipeline) -> None:
    other = SmaltiPipeline.from_pipe(pipe, scheduler=make_scheduler("euler", pipe.process))
    assert other.net is pipe.net
    assert (other.size, other.classes) == (pipe.size, pipe.classes)
    assert type(other.scheduler).__name__ == "EulerDiscreteScheduler"
    assert type(pipe.scheduler).__name__ == "DDIMScheduler"
    with pytest.raises(SmaltiError, match="no part of a model"):
        SmaltiPipeline.from_pipe(pipe, unet=pipe.net)
    with pytest.raises(SmaltiError, match="cannot sample this continuous model"):
        SmaltiPipeline.from_pipe(pipe, scheduler=make_scheduler("unmask", Masked.of(pipe.codec, k=2)))
    with pytest.raises(SmaltiError, match="has other parts"):
        SmaltiPipeline.from_pipe(pipe.net)  # pyright: ignore


def test_a_cast_says_nothing(pipe: SmaltiPipeline, caplog: pytest.LogCaptureFixture) -> None:
    pipe.refiner = Refiner(3, 4, 8, 1)
    with caplog.at_level("INFO"):
        pipe.to("cpu", torch.bfloat16)
    assert {part.dtype for part in (pipe.net, pipe.refiner)} == {torch.bfloat16}
    assert not caplog.records


def test_networks_come_to_the_accelerator_when_they_are_called_and_leave_it_for_each_other(
    pipe: SmaltiPipeline,
) -> None:
    """With a processor in the place of the accelerator, which all that is hooked is brought to as to any device."""
    pipe.refiner = Refiner(3, 4, 8, 1)

    def latents() -> torch.Tensor:
        streamed = pipe.latents(2, SampleSettings(steps=2))
        return torch.cat([pipe(2, num_inference_steps=2, generator=torch.manual_seed(0)).latents, *streamed])

    alone = latents()
    pipe.enable_model_cpu_offload(device="cpu")
    hooked = [name for name, part in pipe.components.items() if hasattr(part, "_hf_hook")]
    assert hooked == ["net", "refiner"]
    assert pipe.refiner._hf_hook.prev_module_hook.hook is pipe.net._hf_hook  # pyright: ignore
    assert torch.equal(latents(), alone)
