"""Images in, latents out: at any scale, and gone on with when it was killed."""

from smalti.encoding.encode import Engine, encode_images

__all__ = ["Engine", "encode_images"]
