import re
from pathlib import Path

import numpy as np
import torch

from smalti.app.compress import compressed, difference
from smalti.app.shared import opened
from smalti.codec import Codec, read_compressed
from smalti.data import CropSettings
from smalti.metrics import psnr


def test_a_photo_is_compressed_into_a_file_that_decodes_to_what_is_shown(photo_file: Path) -> None:
    codec = Codec.from_pretrained("photo-low")
    made = compressed(photo_file, codec, 0)
    path = Path(made["file"])
    assert path.name == "a photo.smalti"
    decoded = read_compressed(path, codec)
    original, shown = (np.asarray(image) for image in made["pair"])
    assert np.array_equal(shown, decoded.permute(1, 2, 0).numpy())
    pixels = opened(photo_file, CropSettings())
    assert np.array_equal(original, pixels.permute(1, 2, 0).numpy())
    told = dict(reversed(pair) for pair in re.findall(r"<b>(.*?)</b><span>(.*?)</span>", made["figures"]))
    assert told["PSNR"] == f"{psnr(pixels, decoded):.2f} dB"
    assert told["bits a pixel, plain codes"] == "0.219"
    bits = float(told["bits a pixel in the file, entropy-coded"])
    assert abs(bits - 8 * path.stat().st_size / pixels[0].numel()) < 0.001


def test_no_difference_is_a_middle_grey_and_a_brighter_pixel_is_brighter() -> None:
    pixels = torch.full((3, 2, 2), 100, dtype=torch.uint8)
    brighter = pixels.clone()
    brighter[:, 0, 0] = 110
    assert (difference(pixels, pixels) == 128).all()
    assert difference(pixels, brighter)[:, 0, 0].tolist() == [168] * 3
