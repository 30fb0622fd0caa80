"""Classical codebooks: an image becomes a small grid of integers, and comes back."""

from smalti.codec.bundled import bundled_codecs
from smalti.codec.codec import Codec
from smalti.codec.compressed import compress, decompress, read_compressed, write_compressed
from smalti.codec.deblocking import Deblock
from smalti.codec.patch_sample import sample_patches
from smalti.codec.patches import pad_to_patches
from smalti.codec.search import search_additive, search_product
from smalti.codec.spec import CodecSpec

__all__ = [
    "Codec",
    "CodecSpec",
    "Deblock",
    "bundled_codecs",
    "compress",
    "decompress",
    "pad_to_patches",
    "read_compressed",
    "sample_patches",
    "search_additive",
    "search_product",
    "write_compressed",
]
