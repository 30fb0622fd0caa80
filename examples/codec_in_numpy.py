"""A codec alone: a photo as integers in numpy, and decoded again by numpy alone, a look-up and a sum a patch.

python examples/codec_in_numpy.py PHOTO --out decoded.png
"""

from pathlib import Path

import numpy as np
import tyro
from PIL import Image

from smalti import Codec, open_images

# Brightness and two of chroma to red, green and blue (BT.601, as in JPEG).
TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], dtype=np.float32)


def main(photo: Path, /, *, codec: str = "photo-high", out: Path = Path("decoded.png")) -> None:
    """Encode a photo, keep its integers, and decode them.

    Args:
        photo: the photo.
        codec: name or folder of a codec for colour photos.
        out: the decoded photo; its integers are put beside it, as `.npy`.
    """
    fitted = Codec.from_pretrained(codec)
    (x,) = open_images(photo)  # uint8 (3, H, W)
    z = fitted.encode(x[None])[0].numpy()  # (c, h, w)
    np.save(out.with_suffix(".npy"), z.astype(np.uint16))
    decoded = decode(z, fitted.codebooks.numpy(), fitted.spec.stages, fitted.spec.patch)
    Image.fromarray(decoded[: x.shape[1], : x.shape[2]]).save(out)
    print(f"{x.numel():,} bytes of pixels, {z.size:,} integers of {fitted.spec}: {out}")


def decode(z: np.ndarray, codebooks: np.ndarray, stages: tuple[int, ...], patch: int) -> np.ndarray:
    """Pixels (H, W, 3) of integers (c, h, w): each patch of a plane is the sum of the codewords of its channels."""
    _, h, w = z.shape
    words = np.stack([book[codes] for book, codes in zip(codebooks, z, strict=True)])  # (c, h, w, patch * patch)
    planes, first = [], 0
    for count in stages:  # channels of brightness, and of each chroma
        tiles = words[first : first + count].sum(0).reshape(h, w, patch, patch)
        planes.append(tiles.transpose(0, 2, 1, 3).reshape(h * patch, w * patch))
        first += count
    planes[0] = planes[0] + 128  # codewords are around the middle grey
    return np.clip(np.stack(planes, -1) @ TO_RGB.T, 0, 255).round().astype(np.uint8)


if __name__ == "__main__":
    tyro.cli(main)
