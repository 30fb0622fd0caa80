import json
import shutil
from copy import deepcopy
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, ModelCard
from PIL import Image

import smalti.hub
from smalti.cli import main
from smalti.codec import Codec
from smalti.data import open_images
from smalti.encoding import encode_images
from smalti.errors import SmaltiError
from smalti.pipeline import SmaltiPipeline
from smalti.recipes import publish
from smalti.training import GeneratorSettings, begin_generator

SPACE = "smalti[app] @ git+https://example.org/smalti@v0.1.0"
EVALUATION: dict[str, Any] = {
    "reference": {"photos": "/home/me/photos", "images": 3000},
    "features": {"frechet": "FID", "kernel": "KID"},
    "comparisons": [
        {
            "name": name,
            "pictures": 2000,
            "frechet": {"value": value, "plus_minus": 0.5},
            "kernel": {"value": value / 1000, "plus_minus": None},
            "precision": 0.5,
            "recall": 0.25,
        }
        for name, value in (("generated", 31.26), ("other photos", 4.0))
    ],
    "codec_quality": {"psnr": 24.5, "ssim": 0.75, "images": 64},
    "nearest_training": {"generated": 20.0, "training": 21.5, "held_out": None, "nearer": None},
}


class Hub:
    """What was put where, instead of a Hub."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], dict[str, bytes]] = {}
        self.private: list[bool | None] = []

    def create_repo(self, name: str, *, private: bool | None, repo_type: str, **_: Any) -> str:
        self.private.append(private)
        return f"https://hub/{repo_type}/{name}"

    def upload_folder(self, *, repo_id: str, repo_type: str, folder_path: Path, allow_patterns: Any, **_: Any) -> None:
        names = [path.relative_to(folder_path).as_posix() for path in sorted(folder_path.rglob("*")) if path.is_file()]
        taken = [name for name in names if any(fnmatch(name, pattern) for pattern in allow_patterns)]
        self.files[repo_type, repo_id] = {name: (folder_path / name).read_bytes() for name in taken}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub()
    for name in ("create_repo", "upload_folder"):
        monkeypatch.setattr(HfApi, name, lambda _, *args, name=name, **options: getattr(made, name)(*args, **options))
    return made


@pytest.fixture(scope="module")
def saved(photo_folder: Path, codec: Codec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    latents = encode_images(open_images(photo_folder, size=16), codec, folder / "latents", progress=False)
    model = folder / "model"
    pipe = begin_generator(latents, GeneratorSettings())
    pipe.save_pretrained(model)
    for place in ("checkpoints/000000000016", "latents", "refining", "evaluated"):
        (model / place).mkdir(parents=True)
    (model / "checkpoints" / "000000000016" / "net.safetensors").write_bytes(b"secret")
    (model / "latents" / "manifest.json").write_text("{}")
    (model / "train.json").write_text('{"photos": "/home/me/photos"}')
    for name, weights, other in (("before", "others", 99.0), ("evaluated", pipe.weights_fingerprint(refined=True), 0)):
        (model / name).mkdir(exist_ok=True)
        found = deepcopy(EVALUATION) | {"weights": weights}
        found["comparisons"][0]["frechet"]["value"] += other
        (model / name / "evaluation.json").write_text(json.dumps(found))
    Image.new("RGB", (8, 8)).save(model / "samples.png")
    return model


def test_a_model_is_published_without_what_it_was_trained_with_and_comes_back(
    saved: Path, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (address,) = publish(saved, "someone/cats", licence="cc-by-4.0", data="Two cats.", private=True)
    assert address == "https://hub/model/someone/cats"
    assert hub.private == [True]
    files = hub.files["model", "someone/cats"]
    assert {Path(name).parts[0] for name in files} == {
        *("model_index.json", "digests.json", "README.md", "samples.png", "codec", "process", "net", "scheduler"),
    }
    secrets = [str(place).encode() for place in ("/home/me", saved.parent)]
    assert [name for name, content in files.items() if any(secret in content for secret in secrets)] == []

    def snapshot_download(name: str, **_: Any) -> str:
        for file, content in files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return str(tmp_path / name)

    monkeypatch.setattr(smalti.hub, "snapshot_download", snapshot_download)
    own = SmaltiPipeline.from_pretrained(saved)
    assert SmaltiPipeline.from_pretrained("someone/cats").codec.fingerprint == own.codec.fingerprint
    assert Codec.from_pretrained("someone/cats", subfolder="codec").fingerprint == own.codec.fingerprint
    weights = tmp_path / "someone" / "cats" / "codec" / "diffusion_pytorch_model.safetensors"
    monkeypatch.setattr(smalti.hub, "snapshot_download", lambda name, **_: str(tmp_path / name))
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(SmaltiError, match="not what was written there"):
        Codec.from_pretrained("someone/cats", subfolder="codec")


def test_a_codec_by_itself_has_a_card_and_comes_back(
    codec: Codec, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert codec.push_to_hub("someone/tiles", license="mine: all of it") == "https://hub/model/someone/tiles"
    files = dict(hub.files["model", "someone/tiles"])
    card = ModelCard(files["README.md"].decode())
    assert (card.data.library_name, card.data.license) == ("smalti", "mine: all of it")
    assert f"{codec.spec}: {codec.bits_per_pixel:g} bits a pixel" in card.text
    codec.save_pretrained(tmp_path / "here", push_to_hub=True, repo_id="someone/tiles", license="mine: all of it")
    assert hub.files["model", "someone/tiles"] == files
    assert not (tmp_path / "here" / "README.md").exists()

    (tmp_path / "had").mkdir()
    for name, content in files.items():
        (tmp_path / "had" / name).write_bytes(content)
    monkeypatch.setattr(smalti.hub, "snapshot_download", lambda *_, **__: str(tmp_path / "had"))
    assert Codec.from_pretrained("someone/tiles").fingerprint == codec.fingerprint


def test_a_card_says_what_is_known_and_that_the_rest_is_not_stated(
    saved: Path, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(saved, "someone/cats", licence="cc-by-4.0", data="Two cats,\nat home.")
    told = capsys.readouterr().out
    assert f"{saved / 'before' / 'evaluation.json'}: left out, since the model had other weights" in told
    assert f"the card has the figures of {saved / 'evaluated' / 'evaluation.json'}" in told
    card = ModelCard(hub.files["model", "someone/cats"]["README.md"].decode())
    assert (card.data.library_name, card.data.license) == ("smalti", "cc-by-4.0")
    assert [(each.metric_name, each.metric_value) for each in card.data.eval_results] == [
        ("FID", 31.26),
        ("KID", 0.0313),
    ]
    for said in (
        "Trained on: Two cats, at home.",
        "| generated | 31.3 ± 0.5 | 31.3 | 0.500 | 0.250 | 2,000 |",
        "![samples, as they came](samples.png)",
        'SmaltiPipeline.from_pretrained("someone/cats")',
        "class_labels='cats'",
        "the median sample is 20.0 grey levels",
        "24.50 dB",
    ):
        assert said in card.text
    bare = saved.parent / "bare"
    shutil.copytree(saved, bare, ignore=shutil.ignore_patterns("evaluat*", "before", "samples.png"))
    publish(bare, "someone/bare")
    assert "no figures of samples; first run: smalti evaluate" in capsys.readouterr().out
    card = ModelCard(hub.files["model", "someone/bare"]["README.md"].decode())
    assert "Licence: not stated.\n\nTrained on: not stated." in card.text
    assert "None were taken" in card.text
    assert "samples.png" not in card.text
    assert card.data.license is None
    weights = SmaltiPipeline.from_pretrained(bare).weights_fingerprint(refined=True)
    (bare / "evaluation.json").write_text(json.dumps({"comparisons": [], "weights": weights}))
    with pytest.raises(SmaltiError, match="evaluate the model again"):
        publish(bare, "someone/bare")


def test_a_space_is_three_files_that_run_the_page(saved: Path, hub: Hub) -> None:
    assert len(publish(saved, "someone/cats", space=SPACE, licence="mine: all of it")) == 2
    files = {name: content.decode() for name, content in hub.files["space", "someone/cats"].items()}
    assert sorted(files) == ["README.md", "app.py", "requirements.txt"]
    header = ModelCard(files["README.md"]).data.to_dict()
    assert (header["sdk"], header["license"]) == ("gradio", "mine: all of it")
    assert files["requirements.txt"] == f"{SPACE}\n"
    compile(files["app.py"], "app.py", "exec")
    assert '"app", "someone/cats"' in files["app.py"]


def test_what_would_be_published_is_written_where_it_can_be_looked_at(
    saved: Path, hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["publish", str(saved), "someone/cats", "--space", SPACE, "--private", "--out", str(out)]) == 0
    assert not hub.files
    assert (out / "space" / "app.py").is_file()
    assert SmaltiPipeline.from_pretrained(out / "model").classes == ["cats", "others"]
    said = capsys.readouterr().out
    assert "no --license and no --data" in said
    assert "secret HF_TOKEN" in said
    for bad in ("smalti", "gradio[app]", "smalti[application]", "smalti[app]\nother"):
        assert main(["publish", str(saved), "someone/cats", "--space", bad, "--out", str(tmp_path / "bad")]) == 2
        assert "is not Smalti with its page" in capsys.readouterr().err
    assert not (tmp_path / "bad").exists()
    assert main(["publish", str(saved), "someone/cats", "--out", str(out)]) == 2
    assert main(["publish", str(saved), "cats"]) == 2
    assert "'cats' is no name on the Hub" in capsys.readouterr().err


def test_a_model_that_is_pushed_from_python_is_sealed_and_has_the_same_card(
    saved: Path, hub: Hub, tmp_path: Path
) -> None:
    pipe = SmaltiPipeline.from_pretrained(saved)
    assert pipe.push_to_hub("someone/one", license="mit", data="Cats.") == "https://hub/model/someone/one"
    pipe.save_pretrained(tmp_path / "two", push_to_hub=True, repo_id="someone/two", license="mit", data="Cats.")
    one, two = (hub.files["model", f"someone/{name}"] for name in ("one", "two"))
    assert one.keys() == two.keys() >= {"digests.json", "README.md", "codec/digests.json"}
    assert one["README.md"].decode().replace("one", "two") == two["README.md"].decode().replace("one", "two")
    assert b"Trained on: Cats." in one["README.md"]
