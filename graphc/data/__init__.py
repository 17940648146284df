"""Data shipped with graphc; `README.md` beside this file names its sources and licences."""

from graphc.data.digits import load_digits

__all__ = ["load_digits"]
