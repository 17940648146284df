"""Bundle adjustment, in ADBench's form and one of its sizes: cameras and points from where points are seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.benchmarks.case import Aim, Arrays, Call, Case

CAMERAS, POINTS, ROWS = 49, 7_776, 31_843

MODEL = f"""
camera: Input[N, int64]
point: Input[N, int64]
seen: Input[N, 2]
turns: Param[{CAMERAS}, 3]
centers: Param[{CAMERAS}, 3]
focal: Param[{CAMERAS}]
principal: Param[{CAMERAS}, 2]
radial: Param[{CAMERAS}, 2]
points: Param[{POINTS}, 3]
weights: Param[N]

moved = points[point] - centers[camera]
turn = turns[camera]
square_angle = sum(square(turn), axis=1, keepdims=True)
angle = sqrt(square_angle)
w = turn / angle
w1, w2, w3 = w[:, 0], w[:, 1], w[:, 2]
x1, x2, x3 = moved[:, 0], moved[:, 1], moved[:, 2]
crossed = stack([w2 * x3 - w3 * x2, w3 * x1 - w1 * x3, w1 * x2 - w2 * x1], axis=1)
along = sum(w * moved, axis=1, keepdims=True) * (1.0 - cos(angle))
turned = moved * cos(angle) + crossed * sin(angle) + w * along
flat = turned[:, :2] / turned[:, 2:3]
r2 = sum(square(flat), axis=1, keepdims=True)
k = radial[camera]
bent = flat * (1.0 + k[:, 0:1] * r2 + k[:, 1:2] * r2 * r2)
found = bent * focal[camera][:, None] + principal[camera]
errors = weights[:, None] * (found - seen)
loss: Output = sum(square(errors)) + sum(square(1.0 - square(weights)))
"""


def _arrays(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    params = {
        "turns": 0.3 * rng.standard_normal((CAMERAS, 3)),
        "centers": rng.standard_normal((CAMERAS, 3)) - [0.0, 0.0, 8.0],
        "focal": 1.0 + 0.1 * rng.standard_normal(CAMERAS),
        "principal": 0.1 * rng.standard_normal((CAMERAS, 2)),
        "radial": 0.01 * rng.standard_normal((CAMERAS, 2)),
        "points": rng.standard_normal((POINTS, 3)),
        "weights": 0.5 + rng.random(ROWS),
    }
    data = {
        "camera": rng.integers(0, CAMERAS, ROWS),
        "point": rng.integers(0, POINTS, ROWS),
        "seen": rng.standard_normal((ROWS, 2)),
    }
    return params, data


def _loss(lib: Any, p: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    camera, weights = data["camera"], p["weights"]
    moved = lib.rows(p["points"], data["point"]) - lib.rows(p["centers"], camera)
    turn = lib.rows(p["turns"], camera)
    angle = lib.sqrt(lib.sum(lib.square(turn), axis=1))[:, None]
    w = turn / angle
    w1, w2, w3 = w[:, 0], w[:, 1], w[:, 2]
    x1, x2, x3 = moved[:, 0], moved[:, 1], moved[:, 2]
    crossed = lib.stack([w2 * x3 - w3 * x2, w3 * x1 - w1 * x3, w1 * x2 - w2 * x1], 1)
    along = lib.sum(w * moved, axis=1)[:, None] * (1.0 - lib.cos(angle))
    turned = moved * lib.cos(angle) + crossed * lib.sin(angle) + w * along
    flat = turned[:, :2] / turned[:, 2:3]
    r2 = lib.sum(lib.square(flat), axis=1)[:, None]
    k = lib.rows(p["radial"], camera)
    bent = flat * (1.0 + k[:, 0:1] * r2 + k[:, 1:2] * r2 * r2)
    found = bent * lib.rows(p["focal"], camera)[:, None] + lib.rows(p["principal"], camera)
    errors = weights[:, None] * (found - data["seen"])
    return lib.sum(lib.square(errors)) + lib.sum(lib.square(1.0 - lib.square(weights)))


def _by_hand(p: Arrays, data: Arrays) -> Call:
    """What belongs to a camera is computed once a camera; rotations are matrices; coordinates are rows."""
    camera, point, seen = data["camera"], data["point"], data["seen"]

    def evaluate() -> Any:
        angle = np.sqrt(np.sum(p["turns"] ** 2, axis=1))
        w = p["turns"] / angle[:, None]
        c, s = np.cos(angle), np.sin(angle)
        cross = np.zeros((CAMERAS, 3, 3))
        cross[:, 2, 1], cross[:, 0, 2], cross[:, 1, 0] = w.T
        cross[:, 1, 2], cross[:, 2, 0], cross[:, 0, 1] = -w.T
        outer = w[:, :, None] * w[:, None, :]
        R = c[:, None, None] * np.eye(3) + s[:, None, None] * cross + (1 - c)[:, None, None] * outer
        rotation = R[camera]
        moved = p["points"][point]
        moved -= p["centers"][camera]
        turned = (rotation @ moved[..., None])[..., 0]
        depth = turned[:, 2:]
        flat = turned[:, :2] / depth
        r2 = np.einsum("ij,ij->i", flat, flat)[:, None]
        k = p["radial"][camera]
        k1, k2 = k[:, :1], k[:, 1:]
        f = p["focal"][camera][:, None]
        scale = 1.0 + r2 * (k1 + k2 * r2)
        bent = flat * scale
        found = bent * f + p["principal"][camera]
        weights = p["weights"]
        miss = found - seen
        rest = 1.0 - weights * weights
        squares = np.einsum("ij,ij->i", miss, miss)
        loss = np.dot(squares, weights * weights) + np.dot(rest, rest)
        d_found = miss * (2 * weights * weights)[:, None]
        d_bent = d_found * f
        d_scale = np.einsum("ij,ij->i", d_bent, flat)[:, None]
        d_r2 = d_scale * (k1 + 2 * k2 * r2)
        d_flat = d_bent * scale + 2 * d_r2 * flat
        d_turned = np.empty_like(turned)
        d_turned[:, :2] = d_flat / depth
        d_turned[:, 2] = -np.einsum("ij,ij->i", d_turned[:, :2], flat)
        d_moved = (d_turned[:, None, :] @ rotation)[:, 0]
        d_R = _added(d_turned[:, :, None] * moved[:, None, :], camera, CAMERAS)
        d_w = (1 - c)[:, None] * ((d_R + d_R.transpose(0, 2, 1)) @ w[..., None])[..., 0]
        d_w[:, 0] += s * (d_R[:, 2, 1] - d_R[:, 1, 2])
        d_w[:, 1] += s * (d_R[:, 0, 2] - d_R[:, 2, 0])
        d_w[:, 2] += s * (d_R[:, 1, 0] - d_R[:, 0, 1])
        d_c = np.trace(d_R, axis1=1, axis2=2) - np.einsum("kij,kij->k", d_R, outer)
        d_angle = c * np.einsum("kij,kij->k", d_R, cross) - s * d_c
        d_angle -= np.einsum("ki,ki->k", d_w, w) / angle
        grads = {
            "turns": d_w / angle[:, None] + d_angle[:, None] * w,
            "centers": -_added(d_moved, camera, CAMERAS),
            "focal": np.bincount(camera, np.einsum("ij,ij->i", d_found, bent), CAMERAS),
            "principal": _added(d_found, camera, CAMERAS),
            "radial": _added(np.concatenate([d_scale * r2, d_scale * r2 * r2], axis=1), camera, CAMERAS),
            "points": _added(d_moved, point, POINTS),
            "weights": 2 * weights * squares - 4 * weights * rest,
        }
        return loss, grads

    return evaluate


def _added(values: Any, index: Any, count: int) -> Any:
    """The sum of the rows of each index, a column at a time."""
    columns = values.reshape(len(values), -1).T
    sums = np.stack([np.bincount(index, column, count) for column in columns], axis=1)
    return sums.reshape(count, *values.shape[1:])


CASES = (Case("bundle-adjustment-31843", MODEL, _arrays, _by_hand, _loss, aims=(Aim(1.0, "jax"),)),)
