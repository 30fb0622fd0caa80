"""Running a verb: its options and those that all verbs share, made into a command line by tyro."""

import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, fields, is_dataclass
from functools import partial, wraps
from inspect import Parameter, signature
from io import StringIO
from pathlib import Path
from typing import Any, get_args

import tyro
from diffusers.utils import logging

from smalti.cli.config import (
    as_words,
    file_of_options,
    name_of,
    options_of,
    read_options,
    record_to_resume,
    without_alternatives,
)
from smalti.cli.foreign import refuse_foreign
from smalti.cli.options import OPTIONS
from smalti.devices import keep_memory
from smalti.errors import SmaltiError
from smalti.files import read_json
from smalti.machine import commanded
from smalti.progress import quiet
from smalti.records import Kind

_CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.PositionalMetavarFromFieldName)
_NOT_RECORDED = {"resume"}  # of a run that is made again from its record


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What every verb takes."""

    config: Path | None = None
    """A JSON file of options: an object of their names and values, or a record that this verb wrote beside an earlier
    output. What is given besides wins. With --resume options that are left out are as they were."""
    json: bool = False
    """Print the record of what was done as one JSON object, and everything else on the error output."""
    quiet: bool = False
    """Print nothing but errors."""


def prepared(verb: str, arguments: Sequence[str]) -> Callable[[], None]:
    """What reads the arguments of a verb, and runs it.

    That raises what the verb raises, and SystemExit: with status 2 for arguments that cannot be read, which are told,
    and with 0 after help.

    Raises:
        SmaltiError: a file of options cannot be read or holds what is no option; or an option is one of other tools.
    """
    keep_memory()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    path = file_of_options(arguments) or record_to_resume(verb, arguments)
    options = {} if path is None else without_alternatives(read_options(path, verb), arguments)
    function, named = _with_shared(verb, options)
    known = options_of(list(signature(function).parameters.values()))
    known.pop("config")
    rest = {name: value for name, value in options.items() if name not in named}
    words = [] if path is None else as_words(rest, known, path)
    refuse_foreign(verb, arguments, known, named)
    given = [*words, *arguments]
    return partial(tyro.cli, function, prog=f"smalti {verb}", args=given, config=_CONFIG, registry=OPTIONS)


def print_help(verb: str) -> None:
    """Print what `--help` shows of a verb."""
    # Both forms of an option that is on or off can be given; the one that changes something is shown.
    config = (*_CONFIG, tyro.conf.FlagCreatePairsOff)
    tyro.cli(_with_shared(verb, {})[0], prog=f"smalti {verb}", args=["--help"], config=config, registry=OPTIONS)


def print_completion(verbs: Mapping[str, str], arguments: Sequence[str]) -> None:
    """Print, or write, what a shell completes `smalti` by: the verbs and all of their options."""
    functions = {verb: _with_shared(verb, {})[0] for verb in verbs}
    tyro.extras.subcommand_cli_from_dict(functions, prog="smalti", args=arguments, config=_CONFIG, registry=OPTIONS)


def _with_shared(verb: str, options: Mapping[str, Any]) -> tuple[Callable[..., None], list[str]]:
    """The function of a verb with the options that all share, and the names of what it takes without naming it.

    The latter need not be given where `options` has them. It ends by printing the record of what was done, if asked.
    """
    function: Callable[..., Path | None] = getattr(importlib.import_module(f"smalti.cli.{verb}"), verb)
    parameters = signature(function).parameters.values()
    names = [parameter.name for parameter in parameters if parameter.kind is Parameter.POSITIONAL_ONLY]
    called_otherwise = {parameter.name: name_of(parameter) for parameter in parameters}

    @wraps(function)
    def called(*given: Any, shared: Shared, **settings: Any) -> None:
        if shared.json and signature(function).return_annotation is None:
            raise SmaltiError(f"--json prints the record of what was done, and {verb} writes none; leave it out.")
        flat = _flat(dict(zip(names, given, strict=True)) | settings)
        asked = {called_otherwise.get(name, name): value for name, value in flat.items()}
        with ExitStack() as while_running, commanded(verb, asked):
            if shared.quiet:
                while_running.enter_context(quiet())
            if shared.quiet or shared.json:
                while_running.enter_context(redirect_stdout(StringIO() if shared.quiet else sys.stderr))
            record = function(*given, **settings)
        if shared.json and record is not None:
            print(json.dumps({"record": str(record), **read_json(record)}))

    own = [_with_default(parameter, options) for parameter in parameters]
    more = Parameter("shared", Parameter.KEYWORD_ONLY, default=Shared(), annotation=Shared)
    called.__signature__ = signature(function).replace(parameters=[*own, more], return_annotation=None)  # pyright: ignore
    called.__annotations__ = {each.name: each.annotation for each in [*own, more]} | {"return": None}
    del called.__wrapped__  # below which tyro would look
    return called, names


def _with_default(parameter: Parameter, options: Mapping[str, Any]) -> Parameter:
    if parameter.kind is not Parameter.POSITIONAL_ONLY or parameter.name not in options:
        return parameter
    kind = get_args(parameter.annotation)[0]  # of Annotated[kind, Positional]
    kind = (get_args(kind) or (kind,))[0]  # where it may be None
    given = options[parameter.name]
    return parameter.replace(default=None if given is None else kind(given))


def _flat(value: Any) -> dict[str, Any]:
    """Settings, however nested, by the names of their options."""
    found = {}
    entries = value if isinstance(value, Mapping) else {each.name: getattr(value, each.name) for each in fields(value)}
    for name, each in entries.items():
        if isinstance(each, Kind):
            found[name] = each.kind
        if is_dataclass(each):
            found |= _flat(each)
        elif name not in _NOT_RECORDED:
            found[name] = str(each) if isinstance(each, Path) else each
    return found
