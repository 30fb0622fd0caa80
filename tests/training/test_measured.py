from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from smalti.codec import Codec
from smalti.data import Latents, open_images
from smalti.diffusion import CategoricalSettings, ContinuousSettings, MaskedSettings, ProcessSettings
from smalti.encoding import encode_images
from smalti.nets import UNetSettings
from smalti.training import GeneratorSettings, begin_generator, independent_by_level, loss_by_level
from smalti.training.levels import LEVELS

ALONE = CategoricalSettings(k=2, likelihood=True)


@pytest.fixture(scope="module")
def latents(photo_folder: Path, codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Latents:
    out = tmp_path_factory.mktemp("encoded") / "latents"
    return encode_images(open_images(photo_folder, size=16), codec, out, progress=False)


def _begun(latents: Latents, process: ProcessSettings) -> Any:
    return begin_generator(latents, GeneratorSettings(process=process, net=UNetSettings(width=32)))


def test_a_network_that_tells_how_often_codewords_occur_has_the_loss_of_each_place_alone(latents: Latents) -> None:
    """With the likelihood of the state added to its logits, which is what the bound is made of."""
    pipe = _begun(latents, ALONE)
    shares = (latents.counts / latents.counts.sum(1, keepdim=True)).log().clamp(min=-100)

    class Often(torch.nn.Module):
        def forward(self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
            return shares.flatten()[:, None, None].expand(len(x), -1, *x.shape[2:])

    bound = independent_by_level(pipe.process, latents.counts)
    assert bound is not None
    pipe.net = Often()
    images = 4 * LEVELS * len(latents)
    found = loss_by_level(pipe, latents, images)
    assert sum(found.images) == images
    # Each level is of 9,000 indices or more, here and there. Their deviation is about 1.2, that of a difference of
    # means 0.018: five of these.
    assert found.loss == pytest.approx(bound.loss, abs=0.09)


@pytest.mark.parametrize(
    "process",
    [ContinuousSettings(k=2), MaskedSettings(k=2), replace(ALONE, noise_weight=1.0)],
    ids=["continuous", "masked", "two terms"],
)
def test_where_the_loss_is_another_there_is_no_bound_and_a_loss_nevertheless(
    latents: Latents, process: ProcessSettings
) -> None:
    pipe = _begun(latents, process)
    assert independent_by_level(pipe.process, latents.counts) is None
    found = loss_by_level(pipe, latents, 2 * LEVELS)
    assert sum(found.images) == 2 * LEVELS
    assert all(loss is None or loss >= 0 for loss in found.loss)
