import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from smalti import cli
from smalti.cli import VERBS, foreign, help_file, main
from smalti.codec import Codec
from smalti.data import open_images
from smalti.encoding import encode_images

SPEC = "OPQ-12@6-5@5-4@4/4"
TINY = [
    "--width",
    "32",
    "--k",
    "2",
    "--images",
    "16",
    "--batch-size",
    "4",
    "--checkpoint-every",
    "8",
    "--device",
    "cpu",
]

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the command line: exit status, and the last line it wrote to the error output."""

    def call(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return status, said.err.strip("\n") if status else said.out

    return call


@pytest.fixture(scope="module")
def model(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `codec`, `latents` and `run` made by the verbs, one after the other."""
    made = tmp_path_factory.mktemp("made")
    assert main(["fit", str(photo_folder), "--codec", SPEC, "--out", str(made / "codec")]) == 0
    encode = [
        "encode",
        str(photo_folder),
        "--codec",
        str(made / "codec"),
        "--size",
        "16",
        "--out",
        str(made / "latents"),
    ]
    assert main(encode) == 0
    assert main(["train", str(made / "latents"), "--out", str(made / "run"), *TINY]) == 0
    return made


def test_each_verb_records_what_it_did(model: Path) -> None:
    for name in ("codec/fit.json", "latents/manifest.json", "run/train.json"):
        written = json.loads((model / name).read_text())
        assert "torch" in written["versions"]
        assert written["machine"]["python"]


def test_training_shows_how_it_comes_along(model: Path) -> None:
    assert [path.name for path in sorted((model / "run" / "progress").iterdir())] == ["000000008.png", "000000016.png"]
    with Image.open(model / "run" / "progress" / "000000016.png") as grid:
        assert grid.size == (9 * (6 * 16 + 2) + 2, 4 * (6 * 16 + 2) + 2)  # six times as large, to be looked at


def test_samples_are_pictures_and_repeat(run: Run, model: Path, tmp_path: Path) -> None:
    for out in ("one", "two"):
        status, said = run(
            "sample", model / "run", "--count", 3, "--label", "cats", "--steps", 2, "--out", tmp_path / out,
            "--scheduler", "ddpm", "--guidance", 2, "--device", "cpu",
        )  # fmt: skip
        assert status == 0
        assert "3 pictures" in said
    for name in ("00000.png", "00002.png", "grid.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with Image.open(tmp_path / "one" / "00001.png") as picture:
        assert picture.size == (16, 16)
    assert json.loads((tmp_path / "one" / "sample.json").read_text())["settings"]["scheduler"] == "DDPMScheduler"


def test_a_model_is_evaluated_on_a_page(
    run: Run, model: Path, photo_folder: Path, feature_network: Path, tmp_path: Path
) -> None:
    out = tmp_path / "evaluation"
    status, said = run(
        "evaluate", model / "run", "--reference", photo_folder, "--features", feature_network, "--out", out,
        "--count", 24, "--steps", 2, "--device", "cpu",
    )  # fmt: skip
    assert status == 0
    assert "FD-means" in said
    assert "24 samples are few" in said
    assert (out / "report.html").read_text().count("data:image/png;base64,") == 4
    found = json.loads((out / "evaluation.json").read_text())
    assert [row["pictures"] for row in found["comparisons"]] == [24, 12, 12]
    assert found["nearest_training"]["source"].startswith("the reference photos")
    assert found["settings"]["count"] == 24


def test_photos_are_compressed_with_a_codec_of_the_package(run: Run, photo_folder: Path, tmp_path: Path) -> None:
    assert run("compress", photo_folder / "cats", "--out", tmp_path / "small")[0] == 0
    assert run("decompress", tmp_path / "small", "--out", tmp_path / "back")[0] == 0
    figures = json.loads((tmp_path / "small" / "compress.json").read_text())["files"]
    for name, figure in figures.items():
        assert figure["psnr"] > 22
        with Image.open(tmp_path / "back" / f"{Path(name).stem}.png") as picture:
            assert picture.size == (40, 48)


def test_photos_of_one_name_are_all_kept_and_damaged_files_left_out(
    run: Run, photo: torch.Tensor, tmp_path: Path
) -> None:
    image = Image.fromarray(photo[:, :40, :48].permute(1, 2, 0).numpy())
    for place in ("a/1.png", "b/1.png", "b/1.jpg", "b/2.png"):
        (tmp_path / "photos" / place).parent.mkdir(parents=True, exist_ok=True)
        image.save(tmp_path / "photos" / place)
    for codec in ("photo-low", "photo-high"):
        arguments = ("--codec", codec, "--rounds", "0", "--out", tmp_path / "small" / codec)
        assert run("compress", tmp_path / "photos", *arguments)[0] == 0
    low = tmp_path / "small" / "photo-low"
    made = sorted(str(path.relative_to(low)) for path in low.rglob("*.smalti"))
    assert made == ["a/1.smalti", "b/1.jpg.smalti", "b/1.png.smalti", "b/2.smalti"]
    damaged = tmp_path / "small" / "photo-high" / "a" / "1.smalti"
    damaged.write_bytes(damaged.read_bytes()[:-3])
    # Each file names its codec.
    assert run("decompress", tmp_path / "small", "--out", tmp_path / "back")[0] == 0
    record = json.loads((tmp_path / "back" / "decompress.json").read_text())
    assert len(record["files"]) == 7
    assert "photo-high/a/1.smalti" in record["skipped"][0]
    assert all((tmp_path / "back" / name).is_file() for name in record["files"])
    assert run("decompress", damaged, "--out", tmp_path / "none")[0] == 2


@pytest.mark.parametrize("deblock", ["linear", "convolutional"])
def test_a_codec_is_fitted_with_a_deblocker(run: Run, photo_folder: Path, tmp_path: Path, deblock: str) -> None:
    small = ["--network-width", 8, "--network-blocks", 1, "--crops", 32, "--crop-side", 32, "--device", "cpu"]
    out = tmp_path / "codec"
    assert run("fit", photo_folder, "--codec", SPEC, "--deblock", deblock, "--out", out, *small)[0] == 0
    assert Codec.from_pretrained(out).config["deblock"] == deblock
    assert json.loads((out / "fit.json").read_text())["settings"]["deblock"] == deblock


def test_a_finished_run_goes_on_when_asked_for_more_images(run: Run, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run("train", model / "latents", "--out", out, *TINY)[0] == 0
    longer = [*TINY, "--images", "24"]
    assert run("train", model / "latents", "--out", out, *longer, "--resume")[0] == 0
    last = (out / "metrics.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["images"] == 24


def test_compressed_photos_come_back(run: Run, model: Path, photo_folder: Path, tmp_path: Path) -> None:
    codec = Codec.from_pretrained(model / "codec")
    assert run("compress", photo_folder, "--codec", model / "codec", "--out", tmp_path / "small")[0] == 0
    assert run("decompress", tmp_path / "small", "--codec", model / "codec", "--out", tmp_path / "back")[0] == 0
    with Image.open(photo_folder / "cats" / "00.png") as image:
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).reshape(48, 40, 3).permute(2, 0, 1)
    expected = codec.decode(codec.encode(pixels[None].contiguous()), (48, 40))[0]
    with Image.open(tmp_path / "back" / "cats" / "00.png") as image:
        got = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).reshape(48, 40, 3).permute(2, 0, 1)
    assert torch.equal(got, expected)
    figures = json.loads((tmp_path / "small" / "compress.json").read_text())["files"]
    assert len(figures) == 24
    assert all(figure["psnr"] > 15 for figure in figures.values())


# Each: arguments in terms of a folder of inputs, and what the one line has to say.
WRONG: dict[str, tuple[list[str], str]] = {
    "an empty folder": (["fit", "{empty}", "--codec", SPEC, "--out", "{out}"], "holds no images"),
    "a folder of text files": (["create", "{texts}", "--out", "{out}"], "holds no images"),
    "fakes only": (["create", "{fakes}", "--out", "{out}"], "can be read"),
    "no such folder": (["create", "{empty}/absent", "--out", "{out}"], "no such file"),
    "more steps than there are": (
        ["sample", "{run}", "--steps", "2000", "--out", "{out}"],
        "it must be from 1 to 1000",
    ),
    "views of one crop": (
        ["encode", "{photos}", "--codec", "photo-low", "--views", "3", "--out", "{out}"],
        "--crop random",
    ),
    "a fake among photos, strictly": (["create", "{mixed}", "--out", "{out}", "--strict"], "fake.png"),
    "a spec that does not parse": (["fit", "{photos}", "--codec", "JPEG-90", "--out", "{out}"], "not a codec"),
    "a spec that does not divide": (["fit", "{photos}", "--codec", "PQ-24-8-8", "--out", "{out}"], "do not divide"),
    "a codec for grey": (["create", "{photos}", "--codec", "VQ-8", "--out", "{out}"], "planes"),
    "fewer patches than codewords": (["fit", "{photos}/cats/00.png", "--codec", "VQ-8-8-8", "--out", "{out}"], "fewer"),
    "too few photos to create of": (["create", "{photos}/cats/00.png", "--size", "32", "--out", "{out}"], "fewer"),
    "a size out of range": (["create", "{photos}", "--size", "2", "--out", "{out}"], "size of 2"),
    "no codec": (["encode", "{photos}", "--codec", "{empty}", "--out", "{out}"], "not a whole Codec"),
    "a codec that lacks a file": (["encode", "{photos}", "--codec", "{lacking}", "--out", "{out}"], "missing"),
    "a truncated codec": (["encode", "{photos}", "--codec", "{truncated}", "--out", "{out}"], "damaged"),
    "compress with a truncated codec": (
        ["compress", "{photos}", "--codec", "{truncated}", "--out", "{out}"],
        "damaged",
    ),
    "sizes that differ": (["encode", "{sizes}", "--codec", "{codec}", "--size", "None", "--out", "{out}"], "size"),
    "a width that groups do not divide": (["train", "{latents}", "--out", "{out}", "--width", "40"], "multiple of 32"),
    "no time": (["create", "{photos}", "--out", "{out}", "--minutes", "0"], "more than 0"),
    "no latents": (["train", "{empty}", "--out", "{out}"], "manifest.json"),
    "nothing to resume": (["train", "{latents}", "--out", "{out}", "--resume"], "no training was begun"),
    "settings out of range": (["train", "{latents}", "--out", "{out}", "--images", "0"], "more than 0"),
    "a training from a model of another width": (
        ["train", "{latents}", "--out", "{out}", "--from", "{run}"],
        "width 32, now 64",
    ),
    "a training where one was begun": (["train", "{latents}", "--out", "{run}"], "go on with --resume"),
    "a codec beside that of a model to begin with": (
        ["create", "{photos}", "--out", "{out}", "--from", "{run}", "--codec", "PQ-32-8-8"],
        "leave it out",
    ),
    "all photos held out": (["create", "{photos}", "--out", "{out}", "--held-out", "24"], "leave none to train on"),
    "no model": (["sample", "{empty}", "--out", "{out}"], "no model"),
    "a label that there is not": (["sample", "{run}", "--label", "dogs", "--out", "{out}"], "cats, others"),
    "guidance without a label": (["sample", "{run}", "--guidance", "2", "--out", "{out}"], "guidance"),
    "a guide without guidance": (["sample", "{run}", "--guide", "{run}", "--out", "{out}"], "a guidance above 1"),
    "a guide that is not there": (
        ["sample", "{run}", "--guidance", "2", "--guide", "{empty}", "--out", "{out}"],
        "no model",
    ),
    "evaluate with a guide and without guidance": (
        ["evaluate", "{run}", "--reference", "{photos}", "--features", "x.pt", "--guide", "{run}", "--out", "{out}"],
        "a guidance above 1",
    ),
    "a setting of another process": (
        ["train", "{latents}", "--out", "{out}", "--process", "masked", "--image-weight", "10"],
        "--image-weight is no setting of --process masked",
    ),
    "a flag of another process": (
        ["train", "{latents}", "--out", "{out}", "--process", "continuous", "--likelihood"],
        "--likelihood is no setting of --process continuous",
    ),
    "coordinates that there are not": (
        ["train", "{latents}", "--out", "{out}", "--coordinates", "rank", "--k", "2"],
        "take 1 to 1",
    ),
    "an unknown scheduler": (["sample", "{run}", "--scheduler", "magic", "--out", "{out}"], "dpmsolver++"),
    "no pictures asked for": (["sample", "{run}", "--count", "0", "--out", "{out}"], "at least 1"),
    "a device that is not there": (["sample", "{run}", "--device", "cuda:7", "--out", "{out}"], "cuda:7"),
    "no patches": (["fit", "{photos}", "--codec", SPEC, "--out", "{out}", "--patches", "0"], "patches is 0"),
    "no photos to fit on": (["fit", "{photos}", "--codec", SPEC, "--out", "{out}", "--images", "0"], "images is 0"),
    "no views": (["encode", "{photos}", "--codec", "{codec}", "--out", "{out}", "--views", "0"], "views is 0"),
    "no place for the output": (["fit", "{photos}", "--codec", SPEC, "--out", "{photos}/cats/00.png/a"], "00.png"),
    "no features": (["evaluate", "{run}", "--reference", "{photos}", "--out", "{out}"], "--features"),
    "features that are no network": (
        ["evaluate", "{run}", "--reference", "{photos}", "--features", "{texts}/a.txt", "--out", "{out}"],
        "TorchScript",
    ),
    "few samples": (
        ["evaluate", "{run}", "--reference", "{photos}", "--features", "x.pt", "--count", "3", "--out", "{out}"],
        "count is 3",
    ),
    "no such bundled codec": (["compress", "{photos}", "--codec", "photo-best", "--out", "{out}"], "photo-high"),
    "no compressed files": (["decompress", "{empty}", "--codec", "{codec}", "--out", "{out}"], ".smalti"),
    "an output folder that is not empty": (["fit", "{photos}", "--codec", SPEC, "--out", "{photos}"], "not empty"),
    "create into a full folder": (["create", "{photos}", "--out", "{photos}"], "not empty"),
    "sample into a full folder": (["sample", "{run}", "--out", "{photos}"], "not empty"),
    "a file in the way": (["demo", "--out", "{photos}/cats/00.png"], "in the way"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_gets_one_line_and_status_2_and_leaves_nothing(
    run: Run, model: Path, photo_folder: Path, tmp_path: Path, case: str
) -> None:
    places = {name: model / name for name in ("codec", "latents", "run")} | {"photos": photo_folder}
    for name in ("empty", "texts", "fakes", "mixed", "sizes", "lacking", "truncated"):
        places[name] = tmp_path / name
        places[name].mkdir()
    (tmp_path / "texts" / "a.txt").write_text("text")
    (tmp_path / "fakes" / "a.jpg").write_text("text")
    Image.new("RGB", (300, 300)).save(tmp_path / "mixed" / "real.png")
    (tmp_path / "mixed" / "fake.png").write_text("text")
    for side in (16, 20):
        Image.new("RGB", (side, side)).save(tmp_path / "sizes" / f"{side}.png")
    codec = Codec.from_pretrained(model / "codec")
    codec.save_pretrained(tmp_path / "lacking")
    (tmp_path / "lacking" / "config.json").unlink()
    codec.save_pretrained(tmp_path / "truncated")
    weights = tmp_path / "truncated" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    before = {path for root in (tmp_path, photo_folder, model) for path in root.rglob("*")}

    arguments, says = WRONG[case]
    status, said = run(*(argument.format(out=tmp_path / "out", **places) for argument in arguments))
    assert status == 2
    line = said.replace("\r", "\n").split("\n")[-1]  # progress bars may stand before it
    assert line.startswith(f"smalti {arguments[0]}: ")
    assert says in line
    assert {path for root in (tmp_path, photo_folder, model) for path in root.rglob("*")} == before


@pytest.mark.parametrize("arguments", [["paint"], ["--verbose"]])
def test_an_unknown_verb_names_those_there_are(run: Run, arguments: list[str]) -> None:
    status, said = run(*arguments)
    assert status == 2
    assert all(verb in said for verb in VERBS)


def test_a_near_miss_of_a_verb_is_told_which_is_near(run: Run) -> None:
    assert run("trian") == (2, "smalti: 'trian' is no verb of smalti; did you mean train?")


@pytest.mark.parametrize(
    ("arguments", "here"),
    [
        (["create", "photos", "--epochs", "3"], "give --images or --minutes"),
        (["create", "photos", "--output=model"], "give --out"),
        (["create", "--train_data_dir", "photos"], "give PHOTOS right after the verb"),
        (["train", "--data", "latents"], "give LATENTS right after the verb"),
        (["sample", "model", "--sampler", "ddim"], "give --scheduler"),
        (["sample", "model", "--guidance-scale=3"], "give --guidance"),
    ],
)
def test_an_option_of_other_tools_is_told_what_does_it_here(run: Run, arguments: list[str], here: str) -> None:
    status, said = run(*arguments)
    assert status == 2
    assert said.startswith(f"smalti {arguments[0]}: --")
    assert here in said


def test_what_other_options_are_here_there_is() -> None:
    helps = " ".join(help_file(verb).read_text() for verb in VERBS)
    for name in {name for names in foreign._HERE.values() for name in names}:
        assert f"--{name} " in helps.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["create", "photos", "--out", "model", "--minutes", "two"], "'two' is no number"),
        (["sample", "model", "--out", "out", "--steps", "3.5"], "'3.5' is no whole number"),
        (["sample", "model", "--epochs", "3"], "--epochs"),  # of which it has nothing like that
    ],
)
def test_what_cannot_be_read_is_named(capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert says in capsys.readouterr().err


def test_an_unknown_option_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["fit", "photos", "--colour", "blue"])
    assert caught.value.code == 2
    assert "--colour" in capsys.readouterr().err


def test_a_near_miss_of_an_option_is_told_which_is_near(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["compress", "photos", "--ruonds", "2"])
    assert "--rounds" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert {"refine": "--model", "app": "--port"}.get(verb, "--out") in shown
    usage, blank, sentence, _, example, *_ = shown.splitlines()
    assert usage.startswith(f"usage: smalti {verb}")
    assert (blank, sentence[-1]) == ("", ".")
    assert example.startswith(f"Example: smalti {verb}")
    assert "STR" not in usage


def test_help_lists_the_verbs_and_the_version_is_told(run: Run) -> None:
    status, said = run("--help")
    assert status == 0
    assert all(verb in said for verb in VERBS)
    assert run() == (0, said)
    assert run("--version")[1].startswith("smalti 0.")


def test_a_refiner_finishes_pictures_unless_told_otherwise(
    run: Run, model: Path, photo_folder: Path, tmp_path: Path
) -> None:
    refined = tmp_path / "model"
    shutil.copytree(model / "run", refined)
    quick = ["--pairs", 64, "--pairs-a-step", 8, "--network-width", 16, "--device", "cpu"]
    status, said = run("refine", photo_folder, "--model", refined, *quick)
    assert status == 0
    assert "--no-refine leaves it out" in said
    pictures = {}
    for out, folder, more in (("plain", model / "run", ()), ("off", refined, ["--no-refine"]), ("on", refined, ())):
        assert run("sample", folder, "--out", tmp_path / out, "--count", 2, "--steps", 2, *more)[0] == 0
        pictures[out] = (tmp_path / out / "00001.png").read_bytes()
        assert json.loads((tmp_path / out / "sample.json").read_text())["settings"]["refined"] == (out == "on")
    assert pictures["plain"] == pictures["off"]
    assert pictures["on"] != pictures["off"]
    status, said = run("refine", photo_folder, "--model", tmp_path / "nowhere")
    assert (status, said.count("\n")) == (2, 0)
    assert "no such folder" in said


def test_settings_reach_the_process_and_the_network_that_are_chosen(run: Run, model: Path, tmp_path: Path) -> None:
    chosen = ["--process", "continuous", "--prediction", "epsilon", "--net", "dit", "--layers", 2, "--dropout", 0.25]
    assert run("train", model / "latents", "--out", tmp_path / "run", *TINY, *chosen)[0] == 0
    asked = json.loads((tmp_path / "run" / "train.json").read_text())["model"]
    assert asked["net"] == {"kind": "dit", "width": 32, "layers": 2, "dropout": 0.25}
    assert (asked["process"]["kind"], asked["process"]["k"]) == ("continuous", 2)
    assert asked["process"]["prediction"] == "epsilon"
    by_default = json.loads((model / "run" / "train.json").read_text())["model"]
    assert (by_default["process"]["kind"], by_default["net"]["kind"]) == ("categorical", "unet")


def test_help_says_of_each_setting_whose_it_is_and_what_it_is_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-h"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Weight of the cross-entropy. (categorical) (default: 1.0)" in shown
    assert 'Coordinates a codeword; 1 with "rank". (default: 4)' in shown
    assert "{unet,dit}" in shown
    for process in ("categorical", "continuous", "masked", "multinomial"):
        assert process in shown


def test_a_model_is_evaluated_away_from_a_guide(
    run: Run, model: Path, photo_folder: Path, feature_network: Path, tmp_path: Path
) -> None:
    worse = tmp_path / "worse"
    shutil.copytree(model / "run", worse)
    path = worse / "net" / "diffusion_pytorch_model.safetensors"
    (worse / "net" / "digests.json").unlink()  # changed on purpose
    weights = load_file(path)
    generator = torch.Generator().manual_seed(0)
    save_file(
        {name: tensor + 0.1 * torch.randn(tensor.shape, generator=generator) for name, tensor in weights.items()},
        path,
        {"format": "pt"},
    )
    found = {}
    for name, more in (("alone", []), ("guided", ["--guidance", 3, "--guide", worse])):
        asked = ["--features", feature_network, "--count", 24, "--steps", 2, "--device", "cpu", *more]
        out = tmp_path / name
        assert run("evaluate", model / "run", "--reference", photo_folder, "--out", out, *asked)[0] == 0
        found[name] = json.loads((out / "evaluation.json").read_text())
    assert found["guided"]["settings"]["sampling"]["guide"] == str(worse)
    generated, real = ([found[name]["comparisons"][row] for name in ("alone", "guided")] for row in (0, 1))
    assert generated[0] != generated[1]
    assert real[0] == real[1]


@pytest.mark.parametrize(
    ("given", "read"),
    [("~/a", "/home/me/a"), ("--out=~/a", "--out=/home/me/a"), ("~", "/home/me"), ("~rose", "~rose"), ("--x", "--x")],
)
def test_the_home_folder_is_read_as_shells_do(monkeypatch: pytest.MonkeyPatch, given: str, read: str) -> None:
    asked = []
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(cli, "run_verb", lambda verb, words: asked.append((verb, words)))
    assert main(["sample", given]) == 0
    assert asked == [("sample", [read])]


@pytest.mark.parametrize(
    "verb", [pytest.param("fit", marks=pytest.mark.soak), "encode", pytest.param("train", marks=pytest.mark.soak)]
)
def test_a_full_disk_is_a_sentence_and_leaves_nothing(
    verb: str, photo_folder: Path, codec: Codec, tmp_path: Path
) -> None:
    """Files that may not grow fail as on a full disk, with another word of the system."""
    codec.save_pretrained(tmp_path / "codec")
    encode_images(open_images(photo_folder, size=16), codec, tmp_path / "latents", progress=False)
    given = {
        "fit": [photo_folder, "--codec", "VQ-6@6-6@6-6@6/4", "--patches", "2000"],
        "encode": [photo_folder, "--codec", tmp_path / "codec", "--size", "40"],
        "train": [tmp_path / "latents", "--images", "64", "--width", "32"],
    }[verb]
    most = {"fit": 5_000, "encode": 10_000, "train": 100_000}[verb]
    code = (
        f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most})); "
        "from smalti.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    out = tmp_path / "out"
    words = [sys.executable, "-c", code, verb, *map(str, given), "--out", str(out)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr[-2000:]
    said = done.stderr.splitlines()[-1]
    assert said.startswith(f"smalti {verb}: {tmp_path}")
    assert "cannot be written" in said
    assert not out.exists() or not (out / "model_index.json").exists()
    assert not list(tmp_path.rglob("*.partial"))


def test_names_that_steer_a_terminal_or_are_no_utf8_are_printed_plainly(
    photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate((b"a\x1b[2Jb", b"\xff")):
        folder = tmp_path / os.fsdecode(name)
        shutil.copytree(photo_folder / "cats", folder)
        (folder / os.fsdecode(name + b".png")).write_bytes(b"\x89PNG")
        verb = ["compress", str(folder), "--codec", "photo-low", "--out", str(tmp_path / f"out{number}")]
        assert main(verb) == 0
        assert main([verb[0], str(folder / "none"), *verb[2:-1], str(tmp_path / "other")]) == 2
        said = "".join(capsys.readouterr())
        assert "\x1b[2J" not in said
        assert said.isascii() or "\udcff" not in said


def test_too_little_memory_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def asks(verb: str, arguments: list[str]) -> None:
        torch.empty(2**60)

    monkeypatch.setattr("smalti.cli.run_verb", asks)
    assert main(["train", "latents"]) == 2
    assert "there is not enough memory" in capsys.readouterr().err

    def fails(verb: str, arguments: list[str]) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("smalti.cli.run_verb", fails)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        main(["train", "latents"])
