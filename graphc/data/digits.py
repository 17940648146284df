"""The handwritten digits of the demo, as NumPy arrays."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray


def load_digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """1,797 handwritten digits of 13 writers, in the order of the source.

    Returns
    -------
    images : uint8 array, shape (1797, 8, 8)
        Grey levels, from 0 (paper) to 16 (ink).
    labels : uint8 array, shape (1797,)
        The digit of each image, 0 to 9.

    Notes
    -----
    The test part of E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, https://doi.org/10.24432/C50P49, under CC BY 4.0.

    Examples
    --------
    >>> images, labels = load_digits()
    >>> images.shape, int(images.max()), labels[:5].tolist()
    ((1797, 8, 8), 16, [0, 1, 2, 3, 4])
    """
    with files("graphc.data").joinpath("digits.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return arrays["images"], arrays["labels"]
