"""Runnable studies: `python -m experiments` lists them."""

__commands__ = True  # makes `rnnjax.start` run its checks before JAX is imported

import rnnjax as _  # noqa: F401
