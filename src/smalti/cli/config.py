"""Options from a file: an object of names and values, or the record that a verb wrote beside its output."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from difflib import get_close_matches
from inspect import Parameter
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from smalti.errors import SmaltiError
from smalti.files import read_json
from smalti.machine import MADE_WITH
from smalti.records import Kind
from smalti.sizes import Size, told_size

_RECORDS = ("create.json", "train.json", "refining/refine.json", "sample.json", "manifest.json")
_INSTEAD = {"images": "minutes", "minutes": "images"}  # of which one is given


def file_of_options(arguments: Sequence[str]) -> Path | None:
    """The file that is named by `--config`, if one is."""
    given = _given(arguments, "config")
    return None if given is None else Path(given)


def record_to_resume(verb: str, arguments: Sequence[str]) -> Path | None:
    """What `--resume` goes on from: the record, with its options, that this verb wrote where its output is to be."""
    folder = _given(arguments, "model" if verb == "refine" else "out")
    if folder is None or "--resume" not in arguments:
        return None
    for path in (Path(folder) / name for name in _RECORDS):
        with suppress(SmaltiError, OSError):
            if read_json(path).get(MADE_WITH[0], {}).get("verb") == verb:
                return path
    return None


def without_alternatives(options: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Any]:
    """Options but for those in whose place another is given."""
    instead = {other for name, other in _INSTEAD.items() if _given(arguments, name) is not None}
    return {name: value for name, value in options.items() if name not in instead}


def _given(arguments: Sequence[str], name: str) -> str | None:
    """The last value that an option is given, if it is."""
    found = None
    for word, following in zip(arguments, [*arguments, None][1:], strict=True):
        option, mark, value = word.partition("=")
        if option == f"--{name}" and (mark or following is not None):
            found = value if mark else str(following)
    return found


def read_options(path: Path, verb: str) -> dict[str, Any]:
    """The options in a file, by the names that they have in Python.

    Raises:
        SmaltiError: the file is missing or no JSON object, or the record of another verb or of no command.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SmaltiError(f"{path}: not readable as JSON ({error}); give a JSON object of options.") from None
    if not isinstance(content, dict):
        raise SmaltiError(f"{path}: holds no JSON object; give an object of names of options and their values.")
    if content.keys() >= {"versions", "machine"}:  # a record
        made = content.get(MADE_WITH[0])
        if not isinstance(made, dict) or not isinstance(made.get("options"), dict):
            raise SmaltiError(
                f"{path}: does not say with which options it was made, since no command made it, or one of an earlier "
                "version; give a JSON object of options."
            )
        if made.get("verb") != verb:
            raise SmaltiError(f"{path}: was written by smalti {made.get('verb')}; give it to that.")
        content = made["options"]
    return {name.replace("-", "_"): value for name, value in content.items()}


def options_of(parameters: Sequence[Parameter]) -> dict[str, Any]:
    """The types of all options that a command line made of these parameters has, by their names."""
    found = {}
    for parameter in parameters:
        if hasattr(parameter.default, "__dataclass_fields__"):
            found |= _fields(type(parameter.default))
        elif parameter.kind is not Parameter.POSITIONAL_ONLY:
            found[name_of(parameter)] = parameter.annotation
    return found


def name_of(parameter: Parameter) -> str:
    """The name that an option has, which may be one that Python keeps for itself."""
    said = (getattr(each, "name", None) for each in getattr(parameter.annotation, "__metadata__", ()))
    return next(filter(None, said), parameter.name)


def as_words(options: Mapping[str, Any], known: Mapping[str, Any], path: Path) -> list[str]:
    """Options as they are typed; `path` is the file that they are from.

    Raises:
        SmaltiError: one is not known, or is no plain value.
    """
    words = []
    for name, value in options.items():
        if name not in known:
            near = get_close_matches(name, known, 1)
            mean = f"did you mean '{near[0]}'?" if near else "leave it out."
            raise SmaltiError(f"{path}: '{name}' is no option; {mean}")
        option = name.replace("_", "-")
        if (
            isinstance(value, list)
            and value
            and all(type(each) is int for each in value)
            and _takes_several(known[name])
        ):
            sized = known[name] in (Size, Size | None)
            words += [f"--{option}={told_size((value[0], value[-1]))}"] if sized else [f"--{option}", *map(str, value)]
            continue
        if isinstance(value, list | dict) or (known[name] is bool and not isinstance(value, bool)):
            wanted = "true or false" if known[name] is bool else "a plain value"
            raise SmaltiError(f"{path}: '{name}' takes {wanted}, not {json.dumps(value)}.")
        words.append(f"--{'' if value else 'no-'}{option}" if known[name] is bool else f"--{option}={value}")
    return words


def _takes_several(hint: Any) -> bool:
    """Whether an option has several numbers."""
    return any(get_origin(each) is tuple for each in (hint, *get_args(hint)))


def _fields(settings: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    hints = get_type_hints(settings)
    for each in fields(settings):  # pyright: ignore[reportArgumentType]
        hint = hints[each.name]
        if isinstance(hint, type) and issubclass(hint, Kind):
            for kind in hint.kinds().values():
                found |= _fields(kind)
            found[each.name] = str
        elif hasattr(hint, "__dataclass_fields__"):
            found |= _fields(hint)
        else:
            found[each.name] = hint
    return found
