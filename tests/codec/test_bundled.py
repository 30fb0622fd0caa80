from pathlib import Path

import pytest
import torch
from skimage import data as skimage_data

from smalti import Codec, bundled_codecs, open_images
from smalti.codec.bundled import DEFAULT, bundled_folder, bundled_with
from smalti.errors import SmaltiError
from smalti.files import read_json
from smalti.metrics import psnr, ssim

STANDARD = Path(__file__).parents[3] / "shared" / "data" / "standard"
# PSNR and SSIM of the paper's learned autoencoders (Scribano et al. 2023, Table 1), and the bits a pixel they spend.
PAPER = {
    "photo-high": (52 / 64, {"baboon": (21.43, 0.66), "peppers": (29.17, 0.77), "lenna": (31.33, 0.83)}),
    "photo-low": (14 / 64, {"baboon": (18.31, 0.37), "peppers": (26.66, 0.68), "lenna": (27.16, 0.73)}),
}


def test_they_come_from_the_coarsest_to_the_finest() -> None:
    names = bundled_codecs()
    assert names == ["photo-low", "photo-medium", "photo-high"]
    assert DEFAULT in names
    rates = [Codec.from_pretrained(name).bits_per_pixel for name in names]
    assert rates == sorted(rates)
    photo = torch.from_numpy(skimage_data.stereo_motorcycle()[0].copy()).permute(2, 0, 1)[:, 100:356, 200:456]
    reached = []
    for name in names:
        codec = Codec.from_pretrained(name)
        reached.append(psnr(photo, codec.decode(codec.encode(photo[None]))[0]))
    assert reached == sorted(reached)
    assert reached[0] > 20


@pytest.mark.parametrize("name", ["photo-low", "photo-medium", "photo-high"])
def test_each_is_small_and_says_what_it_is(name: str) -> None:
    folder = bundled_folder(name)
    assert folder is not None
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_000_000
    record, codec = read_json(folder / "fit.json"), Codec.from_pretrained(name)
    assert record["fingerprint"] == codec.fingerprint
    assert bundled_with(codec.fingerprint) == name
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert str(codec.spec) in card
    assert "Kodak" in card
    for figures in record["figures"].values():
        plain, deblocked, chosen_again = (figure["psnr"] for figure in figures)
        assert plain < deblocked < chosen_again


@pytest.mark.skipif(not STANDARD.is_dir(), reason="the photos are not here")
@pytest.mark.parametrize(("name", "rounds"), [("photo-high", 0), pytest.param("photo-low", 2, marks=pytest.mark.soak)])
def test_on_photos_it_has_not_seen_it_is_finer_than_a_learned_autoencoder(name: str, rounds: int) -> None:

    rate, cells = PAPER[name]
    codec = Codec.from_pretrained(name)
    assert codec.bits_per_pixel <= rate
    for photo, (paper_psnr, paper_ssim) in cells.items():
        x = next(iter(open_images(STANDARD / f"{photo}.png")))
        y = codec.decode(codec.encode(x[None], rounds=rounds))[0]
        assert psnr(x, y) > paper_psnr
        assert ssim(x, y) > paper_ssim


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(SmaltiError, match="photo-low, photo-medium, photo-high"):
        Codec.from_pretrained("photo-huge")
