"""Packages whose names are imported when they are first used: the options of a command need no JAX."""

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def lazily(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package for the imports under `if TYPE_CHECKING:` in its file.

    These imports (`from module import name as name`) are the only list of the names: type checkers read it as it
    stands. Modules of the package that they name are imported on first use, too.
    """
    module = sys.modules[package]
    sources = {
        alias.asname or alias.name: (str(found.module), alias.name)
        for block in ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")).body
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"
        for found in block.body
        if isinstance(found, ast.ImportFrom)
        for alias in found.names
    }
    own = {source.removeprefix(f"{package}.").partition(".")[0] for source, _ in sources.values()}

    def load(name: str) -> Any:
        if name in sources:
            source, attribute = sources[name]
            value = getattr(importlib.import_module(source), attribute)
        elif name in own:
            value = importlib.import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(module, name, value)
        return value

    return load, lambda: sorted({*vars(module), *sources}), sorted(sources)


def deferred(module: str, name: str) -> Callable[..., Any]:
    """A function that is imported when it is called."""

    def call(*arguments: Any, **options: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*arguments, **options)

    return call
