"""Options that several verbs share, and settings of several kinds as plain options."""

from collections.abc import Callable
from dataclasses import Field, dataclass, fields
from inspect import Parameter, Signature, unwrap
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro
from docstring_parser import parse_from_object

from smalti.diffusion import CategoricalSettings, ProcessSettings
from smalti.errors import SmaltiError
from smalti.nets import NetSettings, UNetSettings
from smalti.records import Kind
from smalti.sizes import Size, read_size, told_size

OPTIONS = tyro.constructors.ConstructorRegistry()
"""How options are read that are not of a plain type."""

Photos = Annotated[str, tyro.conf.Positional]
BeginWith = Annotated[str | None, tyro.conf.arg(name="from")]
"""A model to go on from."""


@OPTIONS.primitive_rule
def _size(info: tyro.constructors.PrimitiveTypeInfo) -> tyro.constructors.PrimitiveConstructorSpec[Any] | None:
    """A size, as in 64 or 96x64."""
    if info.type not in (Size, Size | None):
        return None

    def read(words: list[str]) -> Size | None:
        try:
            return None if words == ["None"] and info.type != Size else read_size(words[0])
        except SmaltiError as error:
            raise ValueError(str(error)) from error

    def told(size: Size | None) -> list[str]:
        return [str(size) if size is None or isinstance(size, int) else told_size(size)]

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT|HxW",
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, int | tuple) or value is None,
        str_from_instance=told,
    )


def _whole(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise ValueError(f"{word!r} is no whole number") from None


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"{word!r} is no number") from None


_READ: dict[Any, tuple[str, Callable[[str], Any]]] = {
    int: ("INT", _whole),
    float: ("FLOAT", _number),
    str: ("STR", str),
    Path: ("PATH", Path),
}


@OPTIONS.primitive_rule
def _plain(info: tyro.constructors.PrimitiveTypeInfo) -> tyro.constructors.PrimitiveConstructorSpec[Any] | None:
    """A number, a word or a path, or nothing where the option is left out, which its help then need not say."""
    kinds = get_args(info.type) if get_origin(info.type) in (Union, UnionType) else (info.type,)
    said = [each for each in kinds if each is not NoneType]
    if len(said) != 1 or said[0] not in _READ:
        return None
    metavar, read = _READ[said[0]]
    optional = len(kinds) > 1
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: None if optional and words[0] == "None" else read(words[0]),
        is_instance=lambda value: (
            (optional and value is None) or isinstance(value, float | int if said[0] is float else said[0])
        ),
        str_from_instance=lambda value: [str(value)],
    )


def one_of(base: type[Kind], option: str, default: str, meaning: str) -> Callable[..., Any]:
    """A constructor for tyro: an option that names the kind, and one for each setting that any kind has.

    A setting that the chosen kind does not have is refused, not ignored.
    """
    kinds = base.kinds()
    chosen = Annotated[Literal[tuple(kinds)], tyro.conf.arg(help=meaning)]  # pyright: ignore[reportInvalidTypeForm]
    options = {option: Parameter(option, Parameter.KEYWORD_ONLY, default=default, annotation=chosen)}
    for kind in kinds.values():
        for each in fields(kind):
            having = [name for name, other in kinds.items() if each.name in {own.name for own in fields(other)}]
            options.setdefault(each.name, _option(each, kind, [] if len(having) == len(kinds) else having))

    def construct(**given: Any) -> Any:
        name = given.pop(option)
        own = {each.name for each in fields(kinds[name])}
        asked = {each: value for each, value in given.items() if value is not None and value is not False}
        for each in asked:
            if each not in own:
                said = each.replace("_", "-")
                raise SmaltiError(
                    f"--{said} is no setting of --{option} {name}; leave it out, or take another {option}."
                )
        return kinds[name](**asked)

    read = unwrap(construct)  # tyro looks below what wraps a function, such as a check of its types
    read.__signature__ = Signature(list(options.values()), return_annotation=base)  # pyright: ignore
    read.__annotations__ = {name: each.annotation for name, each in options.items()} | {"return": base}
    return construct


def _option(setting: Field, kind: type, having: list[str]) -> Parameter:
    """An option for a setting, with its meaning, the kinds that have it, and its default; unsaid it is not given."""
    hint, default = get_type_hints(kind)[setting.name], setting.default
    only = f" ({', '.join(having)})" if having else ""
    said = tyro.conf.arg(help=f"{_meaning(kind, setting.name)}{only} (default: {default})", help_behavior_hint="")
    if hint is bool:
        assert default is False, f"{setting.name}: a flag can only switch something on"
        annotation: Any = Annotated[bool, said]
    else:
        annotation = Annotated[hint | None, said]
    unsaid = False if hint is bool else None
    return Parameter(setting.name, Parameter.KEYWORD_ONLY, default=unsaid, annotation=annotation)


def _meaning(kind: type, name: str) -> str:
    """The docstring under a field, wherever in the class's family it stands."""
    for each in kind.__mro__[:-1]:
        for parameter in parse_from_object(each).params:
            if parameter.arg_name == name and parameter.description:
                return " ".join(parameter.description.split())
    return ""


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The process and the network."""

    process: Annotated[
        ProcessSettings,
        tyro.conf.arg(
            constructor=one_of(
                ProcessSettings,
                "process",
                CategoricalSettings.kind,
                "DDPM on the coordinates (continuous), with a distribution over codewords as output (categorical); or "
                "indices that are replaced by masks (masked) or by others (multinomial).",
            )
        ),
    ] = CategoricalSettings()
    net: Annotated[
        NetSettings,
        tyro.conf.arg(
            constructor=one_of(
                NetSettings, "net", UNetSettings.kind, "A U-Net, or a transformer with a token a patch (dit)."
            )
        ),
    ] = UNetSettings()
