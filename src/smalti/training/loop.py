"""The training loop, used for every network of the project."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from PIL import Image
from torch import nn

from smalti.devices import find_device
from smalti.errors import SmaltiError
from smalti.model_folder import Run
from smalti.processes import all_threads, is_joined, together
from smalti.progress import Progress
from smalti.signals import Ended, ending_later
from smalti.training.checkpoints import begun_processes, forget_later
from smalti.training.held_out import MEASURED, HeldOutLoss
from smalti.training.learner import Batches, Learner, Losses
from smalti.training.log import Line, Log, Meter, has_line, log_of
from smalti.training.pace import choose_processes, speed
from smalti.training.settings import TrainSettings
from smalti.training.tracking import TrackerName

_MOST_SECONDS = 300  # of work that a crash can lose
_MOST_HALVINGS = 10  # of the learning rate, by then a thousandth
_FEW_STEPS = 100  # of a run that is over about as soon as its speed is measured

OnImages = Callable[[int, nn.Module], Image.Image | None]
"""What is done at checkpoints; a picture that it returns is for the tracker."""

Measure = Callable[[], float]
"""The loss of the network, as it is when this is called, on what is not trained on."""


def train(
    model: nn.Module,
    batches: Batches,
    losses: Losses,
    settings: TrainSettings,
    out: Path,
    *,
    begun: dict[str, Any] | None = None,
    resume: bool = False,
    on_images: OnImages | None = None,
    held_out: Measure | None = None,
    guard: bool = False,
    device: str | None = None,
    processes: int | None = 1,
    log_with: TrackerName | None = None,
    progress: bool = True,
    desc: str = "training",
) -> nn.Module:
    """Train `model` and return it with the averaged weights.

    Args:
        model: any network; its parameters are trained in place.
        batches: see `Batches`. This, and the checkpoint, is all that resuming needs.
        losses: see `Losses`.
        settings: see `TrainSettings`.
        out: an existing folder; gets `metrics.jsonl` and `checkpoints/`.
        begun: what the run is begun with besides the settings (data, network), as plain values: a run that was begun
            otherwise is not gone on with.
        resume: go on from the newest checkpoint in `out`; begin where there is none. On the CPU the run is then the
            same to the bit.
        on_images: called at every checkpoint, in the main process, with the images seen and the model holding the
            averaged weights; and once more where a run is resumed at one, since it may have been killed in the middle.
        held_out: called before every checkpoint, in the main process, while the model holds the averaged weights; what
            it gives is kept in `metrics.jsonl`, see `HeldOutLoss`.
        guard: end the run when that loss rises. The weights are then those of the end, not those of its lowest.
        device: where to train; without it on the accelerator, if there is one.
        processes: of a CPU, which share each batch and the cores; None takes what is fastest here, or as many as a run
            that is resumed was begun with. The same images, times and noise are seen in any case: only the order of
            sums depends on it.
        log_with: a tracker that gets the numbers of `metrics.jsonl` as well, against images seen, what `on_images`
            returns, and the settings; its files are in `out/logs/`.
        progress: show a bar in images, with loss, speed and time left.
        desc: what the bar is called.

    With `on_non_finite="halve"` a run whose loss is no longer finite goes back to its last checkpoint, and on at half
    the learning rate. No checkpoint is written of weights that are no numbers.

    Every five minutes a checkpoint is written besides those that are asked for. At Ctrl-C or SIGTERM the step that is
    under way is finished (several processes go on to the next line of the metrics) and a checkpoint written.

    Raises:
        SmaltiError: the loss is no longer finite, there is no such device, another process trains in `out`, or the run
            there was begun otherwise; the batch does not divide among the processes, or one of them fails; the tracker
            is not installed.
        Ended: it was told to end, and has written a checkpoint.
    """
    if processes is None:
        processes = _processes(model, batches, losses, settings, Run(out) if resume else None, device)
    if processes > 1 and find_device(device).type != "cpu":
        raise SmaltiError(f"{processes} processes are for a CPU; leave --processes out, or take --device cpu.")
    work = partial(_train, model, batches, losses, settings, out, begun or {}, resume, guard, device)
    return together(processes, partial(work, on_images, held_out, log_with, desc if progress else None), helping=work)


def _train(
    model: nn.Module,
    batches: Batches,
    losses: Losses,
    settings: TrainSettings,
    out: Path,
    begun: dict[str, Any],
    resume: bool,
    guard: bool,
    device: str | None,
    on_images: OnImages | None = None,
    held_out: Measure | None = None,
    log_with: TrackerName | None = None,
    name: str | None = None,
) -> nn.Module:
    """Train, alone or as one process of a group."""
    run = Run(out)
    learner = Learner(model, losses, settings, device)
    asked = asdict(settings) | begun | {"precision": learner.precision}
    learner.accelerator.wait_for_everyone()  # `out` is there once the main process has made it
    image = learner.load(run, asked) if resume else 0

    learner.accelerator.wait_for_everyone()  # all have chosen the same checkpoint
    if learner.is_main:
        run.begin()
        if resume:
            forget_later(run, image)
        if settings.on_non_finite == "halve" and not run.checkpoints:
            learner.save(run, image, asked)  # to go back to
    while True:
        learner.accelerator.wait_for_everyone()
        try:
            _learn(learner, batches, run, image, asked, guard, on_images, held_out, log_with, name)
            return learner.finish()
        except _NotFinite as met:
            image = _gone_back(learner, run, asked, met.image)


class _NotFinite(Exception):
    """The loss is no longer finite."""

    def __init__(self, image: int):
        super().__init__()
        self.image = image


def _gone_back(learner: Learner, run: Run, asked: dict[str, Any], image: int) -> int:
    """Put the last checkpoint in the place of weights that are no numbers, at half the learning rate from there on.

    Raises:
        SmaltiError: that was not asked for, or does not help.
    """
    settings, halvings = learner.settings, learner.halvings + 1
    said = f"{run.folder}: the loss is no longer finite at image {image}"
    if settings.on_non_finite == "stop":
        raise SmaltiError(
            f"{said}; begin again in a new folder at a lower learning rate (it was {settings.learning_rate:g}), or "
            "resume with --on-non-finite halve."
        )
    if halvings > _MOST_HALVINGS:
        raise SmaltiError(f"{said}, nor was it at a thousandth of the learning rate; look at the data.")
    back = learner.load(run, asked)
    learner.halvings = halvings
    learner.take_levels()  # which are of the part that is lost
    if learner.is_main:
        rate = settings.learning_rate * 0.5**halvings
        print(f"{said}; going on from image {back}, at a learning rate of {rate:g}", file=sys.stderr)
    return back


def _learn(
    learner: Learner,
    batches: Batches,
    run: Run,
    image: int,
    asked: dict[str, Any],
    guard: bool,
    on_images: OnImages | None,
    held_out: Measure | None,
    log_with: TrackerName | None,
    name: str | None,
) -> None:
    """Go on from an image to the last.

    Raises:
        _NotFinite: the loss, or a weight, is no longer finite; no checkpoint was written since.
        Ended: it was told to end, and has written a checkpoint.
    """
    settings, saved = learner.settings, perf_counter()

    def save(image: int) -> None:
        nonlocal saved
        if learner.is_main:
            learner.save(run, image, asked)
        saved = perf_counter()

    def show(image: int) -> None:
        if learner.is_main and on_images is not None:
            with learner.averaged() as averaged, all_threads():  # the other processes wait
                log.picture(image, on_images(image, averaged))
        learner.accelerator.wait_for_everyone()

    def measured() -> Line:
        if not learner.is_main or held_out is None:
            return {}
        with learner.averaged(), all_threads():
            return {MEASURED: held_out()}

    def harms() -> bool:
        """Whether to end here; all processes have to ask."""
        rises = guard and learner.is_main and HeldOutLoss.read(run.metrics).rises
        return guard and bool(learner.largest(int(rises)))

    logging = log_of(run, image, log_with, asked) if learner.is_main else nullcontext(Log())
    with ending_later() as told, logging as log:
        bar = Progress(
            total=settings.images,
            initial=min(image, settings.images),
            desc=name,
            unit="image",
            disable=name is None or not learner.is_main,
        )
        meter = Meter(image)
        if image and learner.largest(int(learner.is_main and has_line(run, image))):
            show(image)
        ended = harms()
        while image < settings.images and not ended:
            # Held until the next step's are there: freed at once, their memory goes back to the system every time.
            figures = learner.step(batches, image)
            meter.add(figures)

            # --- bookkeeping, in images seen
            previous, image = image, image + settings.batch_size
            bar.update(min(image, settings.images) - previous)
            last = image >= settings.images
            due = last or _passed(settings.checkpoint_every, previous, image)
            logged = due or _passed(settings.log_every, previous, image)
            if logged:
                line = meter.line(image, learner, learner.learning_rate_at(previous))
                if not all(map(_finite, line.values())) or (due and not learner.is_finite()):
                    bar.close()
                    raise _NotFinite(image)
                if due:  # before the checkpoint, so that there is none without its line
                    line |= measured()
                log.line(line | learner.take_levels().line())
                bar.say(loss=f"{line['loss']:.4f}")
            if due:
                save(image)
                show(image)
                ended = harms()
                meter = Meter(image)
            elif perf_counter() - saved > _MOST_SECONDS and learner.is_finite():
                save(image)
            # Several processes end at one step, so they tell each other when they meet anyway.
            signal = learner.largest(told() or 0) if logged or learner.is_alone else 0
            if signal and not last and not ended:
                bar.close()
                if not due and learner.is_finite():
                    save(image)
                learner.accelerator.wait_for_everyone()
                kept = f"what was learned from {image} of {settings.images} images is kept: go on with --resume"
                raise Ended(signal, f"told to end; {kept}")
        bar.close()


def _processes(
    model: nn.Module, batches: Batches, losses: Losses, settings: TrainSettings, begun: Run | None, device: str | None
) -> int:
    """As many as a run was begun with, so that it goes on to the bit; otherwise what is fastest here."""
    if is_joined() or find_device(device).type != "cpu":
        return 1
    then = begun_processes(begun) if begun else None
    if then or settings.images < _FEW_STEPS * settings.batch_size:
        return then or 1
    measure = partial(speed, model, batches, losses, settings, device, perf_counter)
    return choose_processes(measure, settings.batch_size, lambda pace: settings.images / pace, device)[0]


def _passed(every: int, previous: int, image: int) -> bool:
    return previous // every < image // every


def _finite(value: int | float) -> bool:
    return abs(value) < float("inf")
