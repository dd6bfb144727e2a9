"""Runnable studies: `python -m experiments` lists them."""

__commands__ = True  # for `rnnjax.start`: the checks that come before the import of JAX

import rnnjax as _  # noqa: F401
