"""The network that `create` trains, and for how long its refiner: by how fast they are here."""

from dataclasses import replace

from smalti.data import AnyLatents
from smalti.diffusion import ProcessSettings
from smalti.nets import NetSettings, UNetSettings
from smalti.recipes.few import FEW_IMAGES
from smalti.records import from_record
from smalti.training import (
    GeneratorSettings,
    Origin,
    RefinerSettings,
    TrainSettings,
    choose_processes,
    refining_speed,
    training_speed,
)

WIDTHS = (64, 96, 128, 192)
"""Channels that a network of few minutes, and of more, is given."""

_ENOUGH_IMAGES = 400_000  # a wider network has to be able to see so many in the time
_FEW_DROPOUT = 0.1
_REFINING = 0.15  # share of the time that the refiner is trained for
_MOST_PAIRS = 200_000  # beyond that, the time is the generator's


def plan_refiner(
    latents: AnyLatents,
    model: GeneratorSettings,
    *,
    images: int | None,
    minutes: float,
    processes: int,
    device: str | None,
) -> tuple[RefinerSettings, float]:
    """The refiner that has its share of the minutes, or of the images where these were given; and how long it takes."""
    speed = refining_speed(latents, model, RefinerSettings(), device, processes=processes)
    share = images * _REFINING / (1 - _REFINING) if images else 60 * minutes * _REFINING * speed
    pairs = int(min(max(share, RefinerSettings().pairs_a_step), _MOST_PAIRS))
    return RefinerSettings(pairs=pairs), pairs / speed


def choose_network(
    latents: AnyLatents,
    *,
    images: int | None,
    minutes: float,
    batch_size: int,
    width: int | None,
    processes: int | None,
    origin: Origin | None,
    device: str | None,
) -> tuple[GeneratorSettings, int, float]:
    """The widest network that can see enough images in the minutes there are, the processes, and the images a second.

    Few photos would only be learned by heart by a wider one; there the narrowest is trained, with dropout. That of a
    model to begin with is as wide as it is.
    """
    few = latents.images < FEW_IMAGES
    dropout = _FEW_DROPOUT if few else 0.0
    given = origin and from_record(GeneratorSettings, origin.model, origin.name, ProcessSettings, NetSettings)
    fixed = given.net.width if given else width or (WIDTHS[0] if few or images else None)
    batch = TrainSettings(batch_size=batch_size)

    def of_width(width: int) -> GeneratorSettings:
        if given:
            return replace(given, net=replace(given.net, dropout=max(given.net.dropout, dropout)))
        return GeneratorSettings(net=UNetSettings(width=width, dropout=dropout))

    def speed_of(width: int, processes: int) -> float:
        return training_speed(latents, of_width(width), batch, device, processes=processes)

    chosen = fixed or WIDTHS[0]
    if processes:
        speed = speed_of(chosen, processes)
    else:
        processes, speed = choose_processes(
            lambda number: speed_of(chosen, number),
            batch_size,
            lambda pace: images / pace if images else 60 * minutes,
            device,
        )
    for wider in () if fixed else WIDTHS[1:]:
        measured = speed_of(wider, processes)
        if measured * minutes * 60 * (1 - _REFINING) < _ENOUGH_IMAGES:
            break
        chosen, speed = wider, measured
    return of_width(chosen), processes, speed
