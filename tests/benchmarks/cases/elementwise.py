"""Long chains of elementwise operations: all memory traffic, no products. And a formula of scalars: all overhead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.benchmarks.case import Aim, Arrays, Call, Case

CHAIN = """
x: Input[N]
y: Input[N]
z: Input[N]
u = tanh(x * y + z)
v = exp(-square(u)) * x
loss: Output = mean(log1p(square(v)) + u * z)
"""


def _chain(lib: Any, given: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    x, y, z = given.values()
    u = lib.tanh(x * y + z)
    v = lib.exp(-lib.square(u)) * x
    return lib.mean(lib.log1p(lib.square(v)) + u * z)


def _chain_by_hand(given: Arrays, data: Arrays) -> Call:
    """The products that the chain rule repeats are computed once, temporaries stand inside of their expressions."""
    x, y, z = given.values()

    def evaluate() -> Any:
        u = np.tanh(x * y + z)
        e = np.exp(-u * u)
        v = e * x
        square = v * v
        loss = np.mean(np.log1p(square) + u * z)
        n = len(x)
        d_v = 2 * v / (1 + square) / n
        d_u = z / n - 2 * u * v * d_v
        d_a = d_u * (1 - u * u)
        return loss, {"x": d_v * e + d_a * y, "y": d_a * x, "z": u / n + d_a}

    return evaluate


def _chain_plainly(given: Arrays, data: Arrays) -> Call:
    """An operation a line: while a result has a name, NumPy writes nothing else into its memory."""
    x, y, z = given.values()

    def evaluate() -> Any:
        n = len(x)
        a = x * y
        b = a + z
        u = np.tanh(b)
        c = np.square(u)
        d = -c
        e = np.exp(d)
        v = e * x
        f = np.square(v)
        g = 1 + f
        h = np.log1p(f)
        i = u * z
        j = h + i
        loss = np.mean(j)
        d_f = 1 / n / g
        double_v = 2 * v
        d_v = d_f * double_v
        d_e = d_v * x
        d_d = d_e * e
        d_c = -d_d
        double_u = 2 * u
        d_u_of_c = d_c * double_u
        d_u_of_i = z / n
        d_u = d_u_of_c + d_u_of_i
        slope = 1 - c
        d_b = d_u * slope
        d_x_of_v = d_v * e
        d_x_of_a = d_b * y
        d_x = d_x_of_v + d_x_of_a
        d_y = d_b * x
        d_z_of_i = u / n
        d_z = d_b + d_z_of_i
        return loss, {"x": d_x, "y": d_y, "z": d_z}

    return evaluate


def _three(count: int) -> Any:
    return lambda rng: ({name: rng.standard_normal(count) for name in "xyz"}, {})


SCALAR = """
x: Input
y: Input
z: Input
u = sin(x * y) + exp(-z) * x
v = sqrt(u * u + y * y + 1.0)
w = tanh(u / v) * z + log(v)
loss: Output = w * w + x * v - y / (1.0 + z * z)
"""


def _scalar(lib: Any, given: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    x, y, z = given.values()
    u = lib.sin(x * y) + lib.exp(-z) * x
    v = lib.sqrt(u * u + y * y + 1.0)
    w = lib.tanh(u / v) * z + lib.log(v)
    return w * w + x * v - y / (1.0 + z * z)


def _scalar_by_hand(given: Arrays, data: Arrays) -> Call:
    x, y, z = given.values()

    def evaluate() -> Any:
        a, e = x * y, np.exp(-z)
        u = np.sin(a) + e * x
        v = np.sqrt(u * u + y * y + 1.0)
        t = np.tanh(u / v)
        w = t * z + np.log(v)
        q = 1.0 + z * z
        d_w = 2.0 * w
        d_t = d_w * z * (1.0 - t * t)
        d_v = x + d_w / v - d_t * u / (v * v)
        d_u = d_t / v + d_v * u / v
        d_a = d_u * np.cos(a)
        grads = {
            "x": v + d_u * e + d_a * y,
            "y": d_v * y / v + d_a * x - 1.0 / q,
            "z": d_w * t - d_u * e * x + 2.0 * y * z / (q * q),
        }
        return w * w + x * v - y / q, grads

    return evaluate


def _chain_case(name: str, count: int, *, readable: float, speed: float) -> Case:
    aims = Aim(readable, "plain numpy", ("graphc",)), Aim(speed, "plain numpy", ("graphc for speed",))
    return Case(name, CHAIN, _three(count), _chain_by_hand, _chain, plain=_chain_plainly, aims=aims)


CASES = (
    _chain_case("chain-4-million", 4_000_000, readable=0.6, speed=0.33),
    _chain_case("chain-100-thousand", 100_000, readable=0.5, speed=0.22),
    Case(
        "scalar-formula",
        SCALAR,
        lambda rng: ({"x": np.float64(0.7), "y": np.float64(-1.2), "z": np.float64(0.4)}, {}),  # type: ignore[dict-item]
        _scalar_by_hand,
        _scalar,
        aims=(Aim(0.15, "jax"),),
    ),
)
