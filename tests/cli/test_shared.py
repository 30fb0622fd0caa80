"""What every verb takes: options from a file, one JSON object, quiet; and what a shell completes by."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from smalti.cli import VERBS, main
from smalti.cli.config import without_alternatives


@pytest.fixture(scope="module")
def compressed(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("compressed") / "out"
    assert main(["compress", str(photo_folder / "cats"), "--rounds", "0", "--codec=photo-low", "--out", str(out)]) == 0
    return out


def _record(out: Path) -> dict:
    return json.loads((out / "compress.json").read_text())


def test_a_record_makes_the_same_again_and_what_is_given_besides_wins(compressed: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    assert main(["compress", f"--config={compressed / 'compress.json'}", "--out", str(out)]) == 0
    first, again = _record(compressed), _record(out)
    assert first["files"] == again["files"]
    assert again["command"]["options"] == first["command"]["options"] | {"out": str(out)}
    more = ["--config", str(compressed / "compress.json"), "--out", str(tmp_path / "more"), "--codec", "photo-medium"]
    assert main(["compress", *more]) == 0
    assert (_record(tmp_path / "more")["codec"], _record(tmp_path / "more")["rounds"]) == ("photo-medium", 0)


def test_what_is_resumed_is_as_it_was_where_nothing_else_is_said(photo_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert (
        main(["encode", str(photo_folder), "--codec=photo-low", "--size=16", "--out", str(tmp_path / "latents")]) == 0
    )
    small = ["--batch-size", "2", "--width", "32", "--unfold", "1", "--device", "cpu", "--processes", "1"]
    assert main(["train", str(tmp_path / "latents"), "--out", str(out), "--images", "2", *small]) == 0
    assert main(["train", "--out", str(out), "--resume", "--images", "4"]) == 0
    record = json.loads((out / "train.json").read_text())
    assert (record["images_trained"], record["training"]["batch_size"]) == (4, 2)
    pictures = ["sample", "--out", str(tmp_path / "pictures")]
    assert main([*pictures, str(out), "--count", "1", "--steps", "2", "--seed", "5"]) == 0
    assert main([*pictures, "--resume", "--count=2"]) == 0
    settings = json.loads((tmp_path / "pictures" / "sample.json").read_text())["settings"]
    assert (settings["count"], settings["steps"], settings["seed"]) == (2, 2, 5)
    with pytest.raises(SystemExit):  # nothing was begun there
        main(["sample", "--out", str(tmp_path / "none"), "--resume"])


def test_of_two_options_in_each_others_place_the_one_that_is_given_stands() -> None:
    options = {"images": 400, "minutes": None, "size": 32}
    assert without_alternatives(options, ["--minutes", "9"]) == {"minutes": None, "size": 32}
    assert without_alternatives(options, ["--images=9"]) == {"images": 400, "size": 32}
    assert without_alternatives(options, ["--size", "64"]) == options


def test_what_is_switched_on_in_a_file_can_be_switched_off_again(photo_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "options.json").write_text('{"strict": true, "rounds": 0}')
    given = [str(photo_folder / "cats"), "--config", str(tmp_path / "options.json")]
    for name, more in (("on", []), ("off", ["--no-strict"])):
        assert main(["compress", *given, "--out", str(tmp_path / name), *more]) == 0
        assert _record(tmp_path / name)["command"]["options"]["strict"] == (name == "on")


def test_settings_of_kinds_come_back_from_the_record_of_a_training(photo_folder: Path, tmp_path: Path) -> None:
    encode = ["--codec", "photo-low", "--size", "32", "--no-flips", "--out", str(tmp_path / "latents")]
    assert main(["encode", str(photo_folder), *encode]) == 0
    tiny = [
        "--images",
        "4",
        "--batch-size",
        "2",
        "--width",
        "32",
        "--log-every",
        "2",
        "--device",
        "cpu",
        "--unfold",
        "1",
    ]
    chosen = ["--process", "masked", "--k", "2", "--processes", "1"]
    train = ["train", str(tmp_path / "latents"), "--out", str(tmp_path / "run"), *tiny, *chosen, "--quiet"]
    assert main(train) == 0
    again = ["train", "--config", str(tmp_path / "run" / "train.json"), "--out", str(tmp_path / "again"), "--quiet"]
    assert main(again) == 0
    first, second = (json.loads((tmp_path / name / "train.json").read_text()) for name in ("run", "again"))
    assert first["model"] == second["model"]
    assert first["training"] == second["training"]
    assert first["model"]["process"]["kind"] == "masked"
    for name in ("latents/manifest.json", "run/train.json"):
        assert json.loads((tmp_path / name).read_text())["command"]["verb"] in ("encode", "train")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"round": 0}', "'round' is no option; did you mean 'rounds'?"),
        ('{"config": "other.json"}', "'config' is no option"),
        ('{"colour of the sky": 0}', "'colour of the sky' is no option; leave it out."),
        ('{"strict": "yes"}', "'strict' takes true or false, not \"yes\"."),
        ('{"rounds": [1]}', "'rounds' takes a plain value, not [1]."),
        ("[1]", "holds no JSON object"),
        ("rounds: 1", "not readable as JSON"),
        ('{"versions": {}, "machine": {}}', "does not say with which options it was made"),
        ('{"versions": {}, "machine": {}, "command": {"verb": "fit", "options": {}}}', "was written by smalti fit"),
    ],
)
def test_a_file_of_options_that_cannot_be_used_is_one_line(
    content: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "options.json"
    path.write_text(content)
    assert main(["compress", "photos", "--config", str(path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"smalti compress: {path}: ")
    assert said.count("\n") == 1
    assert says in said


def test_json_is_one_object_and_words_go_elsewhere(
    compressed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "back"
    assert main(["decompress", str(compressed), "--out", str(out), "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["record"] == str(out / "decompress.json")
    assert len(found["files"]) == len(list(out.rglob("*.png")))
    assert "pictures" in said.err
    assert main(["decompress", str(compressed), "--out", str(tmp_path / "quiet"), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["decompress", str(compressed), "--out", str(tmp_path / "both"), "--quiet", "--json"]) == 0
    said = capsys.readouterr()
    assert (json.loads(said.out)["codec"], said.err) == (None, "")


@pytest.mark.parametrize("arguments", [["app"], ["publish", "model", "owner/name"]])
def test_json_of_what_leaves_no_record_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--json"]) == 2
    verb, said = arguments[0], capsys.readouterr()
    assert (
        said.err == f"smalti {verb}: --json prints the record of what was done, and {verb} writes none; leave it out.\n"
    )
    assert not said.out


def test_what_a_shell_completes_by_knows_verbs_and_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    two = {verb: VERBS[verb] for verb in ("create", "decompress")}  # each takes a second
    monkeypatch.setattr("smalti.cli.VERBS", two)
    with pytest.raises(SystemExit) as ended:
        main(["--tyro-print-completion", "bash"])
    assert not ended.value.code
    script = capsys.readouterr().out
    assert all(verb in script for verb in two)
    assert "--minutes" in script
    assert "_smalti" in script


def test_a_reader_that_has_seen_enough_is_no_fault() -> None:
    """As in `smalti refine --help | head -1`, with a reader that is gone before a word is written."""
    with subprocess.Popen(
        [sys.executable, "-m", "smalti", "refine", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + 13
