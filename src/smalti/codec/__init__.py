"""Classical codebooks: an image becomes a small grid of integers, and comes back."""

from smalti.codec.bundled import bundled_codecs
from smalti.codec.codec import Codec
from smalti.codec.layout import CodecSpec

__all__ = ["Codec", "CodecSpec", "bundled_codecs"]
