"""Optional packages: errors that name the extra of rnnjax to install."""

import contextlib
import importlib.util
from collections.abc import Iterator


@contextlib.contextmanager
def extra(name: str, user: str = "") -> Iterator[None]:
    """For `with` around the imports of an extra's packages, at the top of a module or inside a function.

    `user` names what needs the packages, if the module name would not be clear to the reader. Raises
    ModuleNotFoundError that names the extra if a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        # From None: the failed import statement adds nothing to the message.
        raise missing(error.name or str(error), name, user) from None


def require(package: str, name: str, user: str = "") -> None:
    """Checks that a package of an extra is installed, without importing it. Raises as `extra`."""
    if importlib.util.find_spec(package) is None:
        raise missing(package, name, user)


def missing(package: str, name: str, user: str = "") -> ModuleNotFoundError:
    """The error for a package that is not installed; it names the extra that contains the package."""
    where = f"{user}: " if user else ""
    words = f"{where}expected {package}, not installed: pip install 'rnnjax[{name}]'"
    return ModuleNotFoundError(words, name=package)
