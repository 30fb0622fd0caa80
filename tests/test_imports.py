"""What `from smalti import Codec` waits for, and what it does not."""

import subprocess
import sys

HEAVY = ("torch._dynamo", "datasets", "pyarrow", "faiss", "scipy", "matplotlib", "sklearn", "skimage", "torchmetrics")
HEAVY += ("gradio", "smalti.app")


def test_a_codec_waits_for_nothing_that_it_does_not_use_and_the_compiler_is_there_afterwards() -> None:
    code = (
        "import sys; from smalti import Codec; Codec.from_pretrained('photo-low'); "
        f"print([name for name in {HEAVY} if name in sys.modules]); "
        "from importlib.util import find_spec; print(find_spec('torch._dynamo').name)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines() == ["[]", "torch._dynamo"]
