"""What every test runs under: types and shapes checked, no network, caches of its own."""

import os
import tempfile

# Before anything imports datasets or huggingface_hub: they read these once.
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="smalti-tests-")
os.environ["HF_HUB_OFFLINE"] = "1"

from jaxtyping import install_import_hook

install_import_hook("smalti", "beartype.beartype")

import hypothesis  # noqa: E402

hypothesis.settings.register_profile("smalti", deadline=None, derandomize=True, max_examples=30)
hypothesis.settings.load_profile("smalti")
