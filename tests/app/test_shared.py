import logging
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from smalti.app.shared import EACH_CLASS, OWN_SAMPLER, asked, codecs_of, labels_of, opened, path_of, told
from smalti.codec import Codec, bundled_codecs
from smalti.data import CropSettings
from smalti.diffusion import Continuous
from smalti.errors import SmaltiError
from smalti.nets import NO_LABEL, UNet
from smalti.pipeline import SmaltiPipeline
from smalti.schedulers import make_scheduler

SET = {"steps": 3, "sampler": OWN_SAMPLER, "temperature": 1, "label": EACH_CLASS, "guidance": 2, "seed": 7, "count": 5}


def _raises(error: Exception) -> gr.Error:
    def handler() -> None:
        raise error

    with pytest.raises(gr.Error) as caught:
        told(handler)()
    return caught.value


def test_what_a_user_can_mend_is_shown_in_its_own_words_and_as_text() -> None:
    assert _raises(SmaltiError("<img src=x>.png: is none; take another.")).message == (
        "&lt;img src=x&gt;.png: is none; take another."
    )


def test_a_fault_of_ours_is_logged_and_called_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        shown = _raises(ValueError("/etc/secret"))
    assert shown.message.startswith("a fault of Smalti's")
    assert "secret" not in shown.message
    assert "/etc/secret" in caplog.text


def test_classes_in_turn_are_as_many_of_each_as_fit() -> None:
    assert labels_of(["a", "b"], EACH_CLASS, 5) == [0, 0, 0, 1, 1]
    assert labels_of(["a", "b"], 1, 2) == [1, 1]
    assert labels_of(["a", "b"], NO_LABEL, 2) is None
    assert labels_of([], EACH_CLASS, 2) is None


def test_what_a_page_asks_for_is_what_sampling_is_told(pipe: SmaltiPipeline) -> None:
    found = asked(pipe, **SET)
    assert (found.count, found.labels) == (5, [0, 0, 1, 1, 2])
    settings = found.settings
    assert (settings.steps, settings.scheduler, settings.temperature, settings.guidance, settings.seed) == (
        *(3, None, 1.0, 2.0, 7),
    )
    assert asked(pipe, **{**SET, "sampler": "ddim"}).settings.scheduler == "ddim"


def test_what_does_not_apply_to_a_model_is_not_asked_of_it(codec: Codec) -> None:
    process = Continuous.of(codec, k=2)
    net = UNet(process.in_channels, process.out_channels, (4, 4), width=32)
    found = asked(SmaltiPipeline(codec, process, net, make_scheduler("ddim", process)), **SET)
    assert (found.settings.temperature, found.settings.guidance, found.labels) == (None, 1.0, None)


@pytest.mark.parametrize(
    ("change", "said"), [({"seed": None}, "no seed"), ({"seed": -5}, "seed is -5"), ({"steps": 0}, "steps is 0")]
)
def test_settings_that_cannot_be_are_refused(pipe: SmaltiPipeline, change: dict[str, int | None], said: str) -> None:
    with pytest.raises(SmaltiError, match=said):
        asked(pipe, **{**SET, **change})


def test_uploads_that_are_no_photos_are_refused_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(SmaltiError, match=r"^text\.png: cannot be read as a picture \(no picture of a kind"):
        opened(tmp_path / "text.png", CropSettings())
    Image.new("L", (30, 20)).save(tmp_path / "large.png")
    assert opened(tmp_path / "large.png", CropSettings()).shape == (3, 20, 30)
    monkeypatch.setattr("smalti.app.shared.MOST_PIXELS", 599)
    with pytest.raises(SmaltiError, match="30x20 pixels, more than 599"):
        opened(tmp_path / "large.png", CropSettings())
    with pytest.raises(SmaltiError, match="not kept any more"):
        opened(tmp_path / "gone.png", CropSettings())
    with pytest.raises(SmaltiError, match="no photo yet"):
        path_of(None)


def test_codecs_are_those_of_the_package_and_first_that_of_the_model(pipe: SmaltiPipeline) -> None:
    assert list(codecs_of(None)) == bundled_codecs()
    codecs = codecs_of(pipe)
    assert list(codecs) == ["the model's", *bundled_codecs()]
    assert codecs["the model's"]() is pipe.codec
    assert codecs["photo-low"]() is codecs["photo-low"]()
