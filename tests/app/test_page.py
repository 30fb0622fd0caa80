import shutil
from pathlib import Path

from smalti.app import Subject
from smalti.model_folder import ModelFolder


def test_the_page_says_of_when_its_weights_are(subject: Subject, tmp_path: Path) -> None:
    shutil.copytree(subject.folder.path, tmp_path / "run")
    folder = ModelFolder(tmp_path / "run")
    assert "images" not in Subject(folder, subject.pipe).told
    folder.generator.checkpoint(12_800).mkdir(parents=True)
    assert Subject(folder, subject.pipe).told.endswith("3 classes, as it was after 12,800 images")
