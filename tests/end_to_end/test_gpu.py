"""The script for machines with a GPU runs whole on this one, in its smallest form."""

import json
import subprocess
import sys
from pathlib import Path

from smalti.codec import Codec
from smalti.data import open_images
from smalti.encoding import encode_images

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def test_it_checks_measures_and_trains(photo_folder: Path, codec: Codec, tmp_path: Path) -> None:
    encode_images(open_images(photo_folder, size=32), codec, tmp_path / "latents", progress=False)
    options = ["--minutes", "0", "--width", "32", "--batches", "4", "--calls", "2"]
    command = [sys.executable, SCRIPT, tmp_path / "latents", "--out", tmp_path / "out", *options]
    subprocess.run(list(map(str, command)), check=True, timeout=300)
    found = json.loads((tmp_path / "out" / "gpu.json").read_text())
    assert found["images"] == 4
    assert {name: value <= found["tolerances"][name] for name, value in found["differences"].items()} == dict.fromkeys(
        found["tolerances"], True
    )
    assert found["table"][0]["trained images/s"] > 0
    assert {"model", "samples.png"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert any((tmp_path / "out" / "model" / "checkpoints").iterdir())
