"""Networks: floats in, floats out. They know neither codecs nor losses."""

import lazy_loader

# Each is loaded on first use: a codec needs the smallest alone.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
