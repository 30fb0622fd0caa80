import json
from dataclasses import dataclass
from typing import ClassVar

import pytest

from smalti.diffusion import (
    CategoricalSettings,
    ContinuousSettings,
    MaskedSettings,
    MultinomialSettings,
    ProcessSettings,
)
from smalti.errors import SmaltiError
from smalti.nets import DiTSettings, NetSettings, UNetSettings
from smalti.records import Kind, differences, from_record, to_record
from smalti.training import GeneratorSettings


@dataclass(frozen=True, kw_only=True)
class Frame(Kind):
    """What comes in kinds."""

    width: int = 1


@dataclass(frozen=True, kw_only=True)
class Wooden(Frame):
    kind: ClassVar[str] = "wooden"
    wood: str = "oak"


@dataclass(frozen=True, kw_only=True)
class Carved(Wooden):
    kind: ClassVar[str] = "carved"
    depth: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Place:
    wall: str
    height: float = 1.5


@dataclass(frozen=True, kw_only=True)
class Painting:
    size: tuple[int, int]
    frame: Frame = Wooden()
    place: Place | None = None
    names: list[list[str]]


PAINTING = Painting(size=(3, 4), frame=Carved(width=2, depth=1.0), place=Place(wall="north"), names=[["a", "b"]])
RECORD = to_record(PAINTING)


def test_a_record_is_plain_values_that_say_their_kind() -> None:
    assert RECORD == {
        "size": [3, 4],
        "frame": {"kind": "carved", "width": 2, "wood": "oak", "depth": 1.0},
        "place": {"wall": "north", "height": 1.5},
        "names": [["a", "b"]],
    }
    assert json.loads(json.dumps(RECORD)) == RECORD


@pytest.mark.parametrize(
    "painting",
    [
        PAINTING,
        Painting(size=(0, 0), names=[]),
        Painting(size=(1, 2), frame=Wooden(wood="ash"), names=[[]], place=Place(wall="", height=-1)),
    ],
)
def test_what_is_recorded_comes_back_equal_and_of_its_kind(painting: Painting) -> None:
    back = from_record(Painting, json.loads(json.dumps(to_record(painting))), "a.json", Frame)
    assert back == painting
    assert type(back.frame) is type(painting.frame)


@pytest.mark.parametrize(
    "settings",
    [
        GeneratorSettings(),
        GeneratorSettings(process=ContinuousSettings(coordinates="rank", k=1), net=DiTSettings(layers=3)),
        GeneratorSettings(
            process=CategoricalSettings(image_weight=0.1, likelihood=True), net=UNetSettings(dropout=0.25)
        ),
        GeneratorSettings(process=MaskedSettings(k=2)),
        GeneratorSettings(process=MultinomialSettings(), net=UNetSettings(width=96)),
    ],
)
def test_what_a_generator_was_told_comes_back(settings: GeneratorSettings) -> None:
    content = json.loads(json.dumps(to_record(settings)))
    assert from_record(GeneratorSettings, content, "train.json", ProcessSettings, NetSettings) == settings


def test_a_whole_number_will_do_for_a_float_and_what_is_left_out_is_as_it_is_by_default() -> None:
    back = from_record(Painting, {"size": [1, 2], "names": [], "place": {"wall": "n", "height": 2}}, "a.json", Frame)
    assert back == Painting(size=(1, 2), names=[], place=Place(wall="n", height=2.0))
    assert isinstance(back.place, Place)
    assert isinstance(back.place.height, float)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"size": "large"}, "size"),
        ({"size": [1]}, "size"),
        ({"names": 7}, "names"),
        ({"names": {"a": 1}}, "a.json"),
        ({"place": "north"}, "place"),
        ({"place": {"height": 1.0}}, "wall"),
        ({"place": {"wall": 7}}, "wall"),
        ({"place": {"wall": "n", "height": "high"}}, "high"),
        ({"place": {"wall": "n", "depth": 1}}, "depth"),
        ({"colour": "red"}, "colour"),
        ({"frame": {"kind": "golden"}}, "'golden' is none of wooden, carved"),
        ({"frame": {"width": 1}}, "None is none of"),
        ({"frame": {"kind": "wooden", "depth": 1.0}}, "depth"),
        ({"frame": {"kind": "carved", "depth": None}}, "None is no number"),
        ({"place": {"wall": "n", "height": True}}, "True is no number"),
        ({"frame": {"kind": ["wooden"]}}, "unhashable"),
        ({"frame": "wooden"}, "str"),
        ({"frame": None}, "NoneType"),
    ],
)
def test_anything_else_is_one_sentence_that_names_the_file(change: dict[str, object], says: str) -> None:
    with pytest.raises(SmaltiError, match=r"^some/a\.json: holds something else") as caught:
        from_record(Painting, RECORD | change, "some/a.json", Frame)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["size", "names"])
def test_a_missing_entry_is_named(missing: str) -> None:
    with pytest.raises(SmaltiError, match=f'"{missing}"'):
        from_record(Painting, {name: value for name, value in RECORD.items() if name != missing}, "a.json", Frame)


def test_kinds_are_all_that_stand_below_a_base() -> None:
    assert Frame.kinds() == {"wooden": Wooden, "carved": Carved}
    assert Wooden.kinds() == {"carved": Carved}


def test_records_that_say_the_same_do_not_differ() -> None:
    assert differences(RECORD, RECORD) == []
    assert differences(RECORD | {"more": 1}, RECORD) == []


@pytest.mark.parametrize(
    ("now", "says"),
    [
        ({"learning_rate": 0.1}, ["learning rate 0.05, now 0.1"]),
        ({"more": 1}, ["more None, now 1"]),
        ({"frame": {"kind": "wooden", "wood": "ash"}}, ["wood oak, now ash"]),
        ({"frame": {"kind": "carved", "wood": "ash", "depth": 1.0}}, ["frame wooden, now carved"]),
        ({"learning_rate": 0.1, "frame": {"kind": "wooden", "wood": "ash"}}, ["learning rate 0.05", "wood oak"]),
    ],
)
def test_what_is_said_otherwise_is_told_by_its_name_and_both_values(now: dict[str, object], says: list[str]) -> None:
    then = {"learning_rate": 0.05, "frame": {"kind": "wooden", "wood": "oak"}}
    found = differences(then, then | now)
    assert len(found) == len(says)
    for told, expected in zip(found, says, strict=True):
        assert told.startswith(expected)


def test_a_value_that_the_settings_themselves_refuse_names_the_file_too() -> None:
    content = to_record(UNetSettings()) | {"width": 33}
    content.pop("kind")
    with pytest.raises(SmaltiError, match=r"^some/a\.json: .*multiple of 32"):
        from_record(UNetSettings, content, "some/a.json")
