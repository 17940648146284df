"""The shipped digits: shapes, values, order, and that they are loaded without pickle."""

from __future__ import annotations

import hashlib

import numpy as np

from graphc.data import load_digits


def test_arrays_are_those_of_the_source() -> None:
    images, labels = load_digits()
    assert (images.shape, images.dtype, labels.shape, labels.dtype) == ((1797, 8, 8), np.uint8, (1797,), np.uint8)
    assert (int(images.min()), int(images.max()), int(images.sum())) == (0, 16, 561718)
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert images[0, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


def test_bytes_have_not_changed() -> None:
    images, labels = load_digits()
    assert (
        hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
        == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"
    )


def test_each_call_gives_arrays_of_its_own() -> None:
    first, _ = load_digits()
    first[:] = 0
    assert load_digits()[0].any()
