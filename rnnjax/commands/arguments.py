"""The words of a command line, before tyro parses them: repeated options, and a preset after options."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from rnnjax.extras import extra
from rnnjax.files import path_of

with extra("experiments"):
    from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

REGISTRY = ConstructorRegistry()


@REGISTRY.primitive_rule
def _path(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Path] | None:
    """Paths expand "~": a shell expands it in `--folder ~/x`, but not in `--folder=~/x`."""
    if info.type is not Path:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH",
        instance_from_str=lambda words: path_of(words[0]),
        is_instance=lambda value: isinstance(value, Path),
        str_from_instance=lambda path: [str(path)],
    )


def name_of(word: str) -> str | None:
    """The name of the option that a word gives, `batch-size` of `--batch_size=3`; None for any other word."""
    if not word.startswith("--") or word == "--":
        return None
    return word.partition("=")[0][2:].replace("_", "-")


def check_once(arguments: Iterable[str]) -> None:
    """Raises ValueError for an option that is given twice; `--no-x` is the option `x`."""
    seen: set[str] = set()
    for name in filter(None, map(name_of, arguments)):
        if seen & {name, name.removeprefix("no-"), f"no-{name}"}:
            raise ValueError(f"--{name}: expected once, got it twice")
        seen.add(name)


def preset_first(arguments: Sequence[str], names: Collection[str], kinds: Iterable[type]) -> list[str]:
    """The arguments with the name of a preset or command in the first place; options may stand before it.

    A word after an option of the dataclasses `kinds` is its value, also if it is the name of a preset. Raises
    ValueError for a word that is neither.
    """
    takes, left = {name: words for kind in kinds for name, words in options_of(kind)}, 0
    for place, word in enumerate(arguments):
        if name := name_of(word):
            left = 0 if "=" in word else takes.get(name, 0 if name.startswith("no-") else 1)
        elif word in ("-h", "--"):
            continue
        elif left:
            left -= 1
        elif word in names:
            return [word, *arguments[:place], *arguments[place + 1 :]]
        else:
            raise ValueError(f"preset: expected one of {', '.join(names)}, got {word!r}{similar(word, names)}")
    return list(arguments)


def similar(word: str, names: Iterable[str]) -> str:
    """The end of a message about an unknown name: the most similar one, if there is any."""
    found = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {found[0]}?" if found else ""


def options_of(kind: type) -> Iterator[tuple[str, int]]:
    """The options of a dataclass and of the dataclasses in it, and how many words each takes: a list takes any."""
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        if dataclasses.is_dataclass(hint):
            yield from options_of(typing.cast(Any, hint))
        else:
            kinds = set(_kinds(hint))
            words = 0 if kinds <= {bool} else 10**6 if tuple in kinds else 1
            for own in (name, *_aliases(hint)):
                yield own.removeprefix("--").replace("_", "-"), words


def _aliases(hint: Any) -> Iterator[str]:
    """Further names of an option, which `tyro.conf.arg` adds to its annotation."""
    for added in getattr(hint, "__metadata__", ()):
        yield from getattr(added, "aliases", None) or ()


def _kinds(hint: Any) -> Iterator[Any]:
    """The types of an annotation: `bool` for `bool | None`, `tuple` for `tuple[int, ...]`."""
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union, Annotated):
        for part in typing.get_args(hint)[: 1 if origin is Annotated else None]:
            yield from _kinds(part)
    elif hint is not types.NoneType:
        yield origin or hint
