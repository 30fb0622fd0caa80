"""Settings as JSON and back: dataclasses in, plain values out, and a sentence where a file holds something else."""

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import dacite

from smalti.errors import SmaltiError

__all__ = ["Kind", "differences", "from_record", "to_record"]

Record = TypeVar("Record")


class Kind:
    """The base of settings that come in several kinds, such as those of processes: each kind is a subclass.

    A record says which by its entry "kind".
    """

    kind: ClassVar[str]

    @classmethod
    def kinds(cls) -> dict[str, Any]:
        """The subclasses there are, however far below, by the names of their kinds."""
        found = {}
        for each in cls.__subclasses__():
            found |= ({each.kind: each} if "kind" in vars(each) else {}) | each.kinds()
        return found


def to_record(value: Any) -> Any:
    """Dataclasses, however nested, as dictionaries; tuples as lists."""
    if is_dataclass(value):
        entries = {field.name: to_record(getattr(value, field.name)) for field in fields(value)}
        return {"kind": value.kind, **entries} if isinstance(value, Kind) else entries
    return [to_record(each) for each in value] if isinstance(value, tuple | list) else value


def from_record(kind: type[Record], content: Mapping[str, Any], where: str | Path, *more: type[Kind]) -> Record:
    """The dataclass that `to_record` made `content` of; `more` are the bases of what in it comes in kinds.

    Raises:
        SmaltiError: an entry is missing, unknown, or of another type; `where` names what it was read from.
    """
    try:
        return _made(kind, content, {base: _of_kind(base) for base in more})
    except (SmaltiError, dacite.DaciteError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise SmaltiError(
            f"{where}: holds something else than this version of smalti writes ({reason}); use the version that wrote "
            "it, or make it again in a new folder."
        ) from error


def differences(then: Mapping[str, Any], now: Mapping[str, Any], may_change: Collection[str] = ()) -> list[str]:
    """What two records say otherwise, as in "learning rate 0.05, now 0.1".

    Entries of `then` alone do not count, nor do those that may change.
    """
    found = []
    for name, value in now.items():
        if name in may_change:
            continue
        before = then.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping) and before.get("kind") == value.get("kind"):
            found += differences(before, value)
        elif before != value:
            found.append(f"{name.replace('_', ' ')} {_told(before)}, now {_told(value)}")
    return found


def _of_kind(base: type[Kind]) -> Any:
    def made(content: Any) -> Any:
        if isinstance(content, base):
            return content
        known = base.kinds()
        chosen = known.get(content.get("kind"))
        if chosen is None:
            raise ValueError(f"the kind {content.get('kind')!r} is none of {', '.join(known)}")
        rest = {name: value for name, value in content.items() if name != "kind"}
        return _made(chosen, rest, {})

    return made


def _made(kind: type[Record], content: Mapping[str, Any], hooks: dict[Any, Any]) -> Record:
    config = dacite.Config(type_hooks={float: _number, **hooks}, cast=[tuple], strict=True)
    return dacite.from_dict(kind, content, config)


def _number(value: Any) -> float:
    """A float, which JSON may have written as an integer."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _told(value: Any) -> str:
    return str(value["kind"]) if isinstance(value, Mapping) and "kind" in value else str(value)
