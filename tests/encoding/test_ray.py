import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from smalti.codec import Codec
from smalti.data import open_images
from smalti.encoding import encode_images, shards
from smalti.errors import SmaltiError

Same = Callable[[Path, Path], bool]


def test_what_to_install_is_said(
    photo_folder: Path, codec: Codec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SmaltiError, match="pip install ray"):
        encode_images(open_images(photo_folder, size=16), codec, tmp_path / "out", engine="ray", progress=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.soak
def test_ray_writes_what_this_machine_does(
    photo_folder: Path, codec: Codec, tmp_path: Path, same: Same, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "_LEAST_IMAGES", 4)
    codec.save_pretrained(tmp_path / "codec")
    code = "import sys; from smalti.encoding import shards; shards._LEAST_IMAGES = 4; from smalti.cli import main; "
    encode = [sys.executable, "-c", f"{code} sys.exit(main(sys.argv[1:]))", "encode", str(photo_folder)]
    encode += ["--size", "16", "--codec", str(tmp_path / "codec"), "--out", str(tmp_path / "latents")]
    said = subprocess.run([*encode, "--engine", "ray", "--workers", "2"], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    saved = Codec.from_pretrained(tmp_path / "codec")
    alone = encode_images(open_images(photo_folder, size=16), saved, tmp_path / "alone", progress=False)
    assert same(alone.folder, tmp_path / "latents")
    lost = subprocess.run(
        [*encode[:-1], str(tmp_path / "other"), "--engine", "ray"],
        capture_output=True,
        text=True,
        env={**os.environ, "RAY_ADDRESS": "127.0.0.1:1"},
    )
    assert lost.returncode == 2
    assert "Ray cannot go on" in lost.stderr.splitlines()[-1]
    assert not (tmp_path / "other").exists()
