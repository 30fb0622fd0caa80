"""Learned autoencoders of diffusers, in the layouts that people use; weights are random, which changes no speed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, VQModel
from skimage import data
from torch import Tensor, nn

SIZE = 256


@dataclass(frozen=True)
class Autoencoder:
    """Pixels, uint8 (B, 3, H, W), to latents and back."""

    name: str
    model: Any

    def encode(self, pixels: Tensor) -> Tensor:
        """Latents, before they are quantized."""
        found = self.model.encode(pixels.float() / 127.5 - 1)
        return found.latent_dist.mode() if hasattr(found, "latent_dist") else found.latents

    def decode(self, latents: Tensor) -> Tensor:
        """Quantized where the model does that."""
        values = self.model.decode(latents).sample
        return ((values + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a picture's latent."""
        with torch.inference_mode():
            channels, height, width = self.encode(torch.zeros(1, 3, SIZE, SIZE, dtype=torch.uint8)).shape[1:]
        return channels, height, width


def _blocks(model: Callable[..., nn.Module], widths: tuple[int, ...], **settings: Any) -> nn.Module:
    down, up = ("DownEncoderBlock2D",) * len(widths), ("UpDecoderBlock2D",) * len(widths)
    return model(down_block_types=down, up_block_types=up, block_out_channels=widths, layers_per_block=2, **settings)


_MAKERS: dict[str, Callable[[], nn.Module]] = {
    # as latent diffusion publishes them, without the attention of f8
    "VQ-f4": lambda: _blocks(VQModel, (128, 256, 512), latent_channels=3, num_vq_embeddings=8192, vq_embed_dim=3),
    "VQ-f8": lambda: _blocks(VQModel, (128, 256, 256, 512), latent_channels=4, num_vq_embeddings=16384, vq_embed_dim=4),
    "KL-f8": lambda: _blocks(AutoencoderKL, (128, 256, 512, 512), latent_channels=4),  # that of Stable Diffusion
    "AutoencoderTiny": AutoencoderTiny,
}
AUTOENCODERS = tuple(_MAKERS)


def autoencoder(name: str) -> Autoencoder:
    """One of `AUTOENCODERS`."""
    return Autoencoder(name, _MAKERS[name]().eval())


def photos() -> Tensor:
    """Eight crops of photos that scikit-image ships, uint8 (8, 3, 256, 256)."""
    astronaut, coffee = (torch.from_numpy(image.copy()).permute(2, 0, 1) for image in (data.astronaut(), data.coffee()))
    corners = [(0, 0), (0, SIZE), (SIZE, 0), (SIZE, SIZE)]
    crops = [astronaut[:, y : y + SIZE, x : x + SIZE] for y, x in corners]
    crops += [coffee[:, y : y + SIZE, x : x + SIZE] for y, x in [(0, 0), (0, 300), (140, 0), (140, 300)]]
    return torch.stack(crops).contiguous()
