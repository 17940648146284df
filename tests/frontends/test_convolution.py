"""Convolution and pooling of the library against loops over every element, with gradients of every order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphc
from graphc.size import named_size, substitute
from tests.frontends.reading import errors, ops, params, read

Numbers = tuple[int, ...]
Widths = list[tuple[int, int]]


def windows_of(x: np.ndarray, size: Numbers, stride: Numbers, dilation: Numbers) -> Iterator[tuple[Numbers, list]]:
    """The place of each window in the result, and the places of its elements in x."""
    reach = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
    counts = [(n - r) // s + 1 for n, r, s in zip(x.shape[2:], reach, stride, strict=True)]
    for place in product(*map(range, counts)):
        elements = product(*map(range, size))
        yield (
            place,
            [
                tuple(p * s + e * d for p, s, e, d in zip(place, stride, element, dilation, strict=True))
                for element in elements
            ],
        )


def padded(x: np.ndarray, widths: Widths, filling: float = 0.0) -> np.ndarray:
    return np.pad(x, [(0, 0), (0, 0), *widths], constant_values=filling)


def convolved(x: np.ndarray, w: np.ndarray, stride: Numbers, widths: Widths, dilation: Numbers, groups: int):
    """Cross-correlation, a sum for each number of the result."""
    found: dict[Numbers, np.ndarray] = {}
    outputs, inputs = w.shape[0] // groups, w.shape[1]
    x = padded(x, widths)
    for place, elements in windows_of(x, w.shape[2:], stride, dilation):
        for o in range(w.shape[0]):
            first = o // outputs * inputs
            weights = w[o].reshape(inputs, -1)
            found[o, *place] = sum(
                x[:, first + c, *element] * weights[c, e] for c in range(inputs) for e, element in enumerate(elements)
            )
    shape = [max(key[axis] for key in found) + 1 for axis in range(w.ndim - 1)]
    return np.moveaxis(np.array([found[key] for key in product(*map(range, shape))]).reshape(*shape, -1), -1, 0)


def pooled(x: np.ndarray, size: Numbers, stride: Numbers, dilation: Numbers, reduce: object) -> np.ndarray:
    found = {
        place: reduce([x[:, :, *e] for e in elements], axis=0)  # type: ignore[operator]
        for place, elements in windows_of(x, size, stride, dilation)
    }
    shape = [max(place[axis] for place in found) + 1 for axis in range(x.ndim - 2)]
    return np.moveaxis(np.array(list(found.values())).reshape(*shape, *x.shape[:2]), (-2, -1), (0, 1))


def declared(name: str, shape: Numbers, free: tuple[str, ...]) -> str:
    """An input with free sizes in place of its last ones."""
    return f"{name}: Input[{', '.join([*map(str, shape[: len(shape) - len(free)]), *free])}]\n"


def check_linear(model: graphc.Model, values: Mapping[str, np.ndarray], apply: object, linear: tuple[str, ...]) -> None:
    """The value of ``loss = sum(y * t)``, and gradients by operands that y is linear in, on a random direction."""
    y = apply(**{k: v for k, v in values.items() if k != "t"})  # type: ignore[operator]
    loss, gradients = model.value_and_grad(**values)
    np.testing.assert_allclose(model.forward(**values)[0].y, y, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(loss, np.sum(y * values["t"]), rtol=1e-10, atol=1e-10)
    for name in linear:
        direction = np.random.default_rng(7).normal(size=values[name].shape)
        moved = {k: direction if k == name else v for k, v in values.items() if k != "t"}
        expected = np.sum(apply(**moved) * values["t"])  # type: ignore[operator]
        np.testing.assert_allclose(np.sum(gradients[name] * direction), expected, rtol=1e-9, atol=1e-9)


AXES = st.sampled_from([1, 2])


def numbers(data: st.DataObject, axes: int, low: int, high: int) -> Numbers:
    return tuple(data.draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes)))


def shown(values: Numbers, data: st.DataObject) -> str:
    """Numbers as an argument: one for all axes where they are equal, or each."""
    return str(values[0]) if len(set(values)) == 1 and data.draw(st.booleans()) else str(values)


@settings(max_examples=25, deadline=None)
@given(AXES, st.data())
def test_convolution_is_what_loops_say(axes: int, data: st.DataObject) -> None:
    groups, inputs, outputs, count = (data.draw(st.integers(1, n)) for n in (3, 2, 2, 2))
    size, stride, dilation = (numbers(data, axes, 1, n) for n in (4, 3, 3))
    padding: object = data.draw(st.sampled_from(["numbers", "same", "valid"]))
    reach = [d * (k - 1) for k, d in zip(size, dilation, strict=True)]
    widths = [(0, 0)] * axes
    text = repr(padding)
    if padding == "same":
        stride, widths = (1,) * axes, [(r // 2, r - r // 2) for r in reach]
    elif padding == "numbers":
        given_widths = numbers(data, axes, 0, 3)
        widths, text = [(p, p) for p in given_widths], shown(given_widths, data)
    extent = tuple(
        max(1, r + 1 - sum(p)) + more for r, p, more in zip(reach, widths, numbers(data, axes, 0, 4), strict=True)
    )
    generator = np.random.default_rng(data.draw(st.integers(0, 9)))
    x = generator.normal(size=(count, groups * inputs, *extent))
    w = generator.normal(size=(groups * outputs, inputs, *size))
    free = data.draw(st.sampled_from([(), ("H", "W")[:axes]]))

    def apply(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        return convolved(x, w, stride, widths, dilation, groups)

    y = apply(x, w)
    called = (
        f"conv{axes}d(x, w, {shown(stride, data)}, padding={text}, dilation={shown(dilation, data)}, groups={groups})"
    )
    model = graphc.compile(
        f"{declared('x', x.shape, free)}{declared('w', w.shape, ())}y: Output = {called}\n"
        f"t: Input[y.shape[0], y.shape[1], {', '.join(f'y.shape[{a + 2}]' for a in range(axes))}]\n"
        "loss: Output = sum(y * t)"
    )
    check_linear(model, {"x": x, "w": w, "t": generator.normal(size=y.shape)}, apply, ("x", "w"))


@settings(max_examples=25, deadline=None)
@given(AXES, st.sampled_from(["max", "avg"]), st.booleans(), st.data())
def test_pooling_is_what_loops_say(axes: int, kind: str, counted: bool, data: st.DataObject) -> None:
    size, stride = (numbers(data, axes, 1, n) for n in (4, 4))
    dilation = numbers(data, axes, 1, 2) if kind == "max" else (1,) * axes
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in size)
    reach = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
    extent = tuple(max(3, r - 2 * p) + data.draw(st.integers(0, 4)) for r, p in zip(reach, padding, strict=True))
    generator = np.random.default_rng(data.draw(st.integers(0, 9)))
    x = generator.normal(size=(2, 2, *extent))
    widths = [(p, p) for p in padding]

    def apply(x: np.ndarray) -> np.ndarray:
        if kind == "max":
            return pooled(padded(x, widths, -np.inf), size, stride, dilation, np.max)
        total = pooled(padded(x, widths), size, stride, dilation, np.sum)
        ones = np.ones_like(x)
        return total / pooled(padded(ones, widths, 1.0 if counted else 0.0), size, stride, dilation, np.sum)

    y = apply(x)
    steps = "" if stride == size else f", {shown(stride, data)}"
    option = f"dilation={shown(dilation, data)}" if kind == "max" else f"count_include_pad={counted}"
    called = f"{kind}_pool{axes}d(x, {shown(size, data)}{steps}, padding={shown(padding, data)}, {option})"
    free = data.draw(st.sampled_from([(), ("H", "W")[:axes]]))
    model = graphc.compile(
        f"{declared('x', x.shape, free)}y: Output = {called}\n"
        f"t: Input[y.shape[0], y.shape[1], {', '.join(f'y.shape[{a + 2}]' for a in range(axes))}]\n"
        "loss: Output = sum(y * t)"
    )
    values = {"x": x, "t": generator.normal(size=y.shape)}
    check_linear(model, values, apply, ("x",) if kind == "avg" else ())
    if kind == "max":
        # Between ties the largest element is a linear choice, so a difference is exact up to rounding.
        direction = generator.normal(size=x.shape) * 1e-7
        moved = np.sum((apply(x + direction) - y) * values["t"])
        np.testing.assert_allclose(np.sum(model.value_and_grad(**values)[1]["x"] * direction), moved, atol=1e-12)


def test_named_sizes_are_formulas_and_conditions() -> None:
    graph = read("x: Input[N, 3, H, W]\nw: Input[8, 3, 3, 5]\ny: Output = max_pool2d(conv2d(x, w, padding=1), 2)")
    shape = graph.outputs["y"].tensor.shape
    assert [substitute(size, {"N": 4, "H": 9, "W": 8}) for size in shape] == [4, 8, 4, 3]
    assert (
        str(read("x: Input[N, 3, H, W]\ny: Output = max_pool2d(x, 2)").outputs["y"].type) == "float64[N, 3, H//2, W//2]"
    )
    assert str(
        read("x: Input[N, 3, L]\nw: Input[8, 3, 3]\ny: Output = conv1d(x, w, padding='same')").outputs["y"].type
    ) == ("float64[N, 8, L]")
    model = graphc.compile("x: Input[N, 1, H, 4]\nw: Input[1, 1, K, 1]\ny: Output = sum(conv2d(x, w, padding='same'))")
    assert model(x=np.ones((2, 1, 5, 4)), w=np.ones((1, 1, 3, 1))) == 2 * 4 * 13
    model = graphc.compile("x: Input[1, 1, L]\nw: Input[1, 1, 3]\ny: Output = sum(conv1d(x, w))")
    with pytest.raises(ValueError, match=r"L is 2, expected at least 3  \[<model>:3\]"):
        model(x=np.ones((1, 1, 2)), w=np.ones((1, 1, 3)))
    assert named_size("N") == shape[0]


def test_ties_share_the_cotangent_and_say_so() -> None:
    model = graphc.compile("x: Input[1, 1, 4]\ny: Output = 3 * sum(max_pool1d(x, 3, 1))")
    gradient = model.value_and_grad(x=[[[2.0, 2.0, 1.0, 2.0]]])[1]["x"]
    np.testing.assert_allclose(gradient, [[[1.5, 3.0, 0.0, 1.5]]])
    assert "ties of max share the cotangent evenly" in model.source_text


def test_nan_and_infinity_go_through() -> None:
    x = np.array([[[np.nan, 1.0, 2.0, -np.inf, np.inf, 0.0]]])
    model = graphc.compile("x: Input[1, 1, 6]\ny: Output = max_pool1d(x, 2)", gradient=False)
    np.testing.assert_array_equal(model(x=x), [[[np.nan, 2.0, np.inf]]])
    model = graphc.compile("x: Input[1, 1, 6]\ny: Output = max_pool1d(x, 3, 3, padding=1)", gradient=False)
    np.testing.assert_array_equal(model(x=x), [[[np.nan, np.inf]]])


def test_integers_are_pooled() -> None:
    model = graphc.compile("x: Input[1, 1, 4, int64]\ny: Output = max_pool1d(x, 2)", gradient=False)
    found = model(x=[[[1, 5, -7, -8]]])
    assert found.dtype == "int64"
    np.testing.assert_array_equal(found, [[[5, -7]]])


SMALL = """\
x: Input[N, 2, 6, 5]
w: Param[4, 1, 3, 2] = he_normal()
h = avg_pool2d(max_pool2d(conv2d(x, w, stride=(1, 2), padding=1, groups=2), 2, 1), (2, 1), 1)
loss: Output = mean(h ** 3)
"""


def test_second_derivatives_are_those_of_differences() -> None:
    text = SMALL.replace("loss: Output = mean(h ** 3)", "loss: Output = sum(grad(mean(h ** 3), w) ** 2)")
    x = np.random.default_rng(0).normal(size=(3, 2, 6, 5))
    model = graphc.compile(text)
    report = model.check_grad(model.init_params(0), x=x)
    assert report.ok, str(report)
    hessian = graphc.hessian(SMALL)(model.init_params(0), x=x)
    assert hessian.shape == (4, 1, 3, 2) * 2
    direction = np.random.default_rng(1).normal(size=(4, 1, 3, 2))
    product = graphc.hvp(SMALL)
    np.testing.assert_allclose(
        np.tensordot(hessian, direction, 4), product(model.init_params(0), x=x, w_dot=direction), rtol=1e-10, atol=1e-12
    )


def test_float32_stays_float32_and_batches_may_be_empty() -> None:
    model = graphc.compile(SMALL.replace("mean(h ** 3)", "sum(h ** 3)"))
    params = {name: value.astype("float32") for name, value in model.init_params(0).items()}
    x = np.random.default_rng(0).normal(size=(3, 2, 6, 5))
    loss, gradients = model.value_and_grad(params, x=x.astype("float32"))
    assert (loss.dtype, gradients["w"].dtype) == ("float32", "float32")
    wide, wide_gradients = model.value_and_grad(params, x=x)
    np.testing.assert_allclose(loss, wide, rtol=1e-5)
    np.testing.assert_allclose(gradients["w"], wide_gradients["w"], rtol=1e-4, atol=1e-5)
    loss, gradients = model.value_and_grad(model.init_params(0), x=x[:0])
    assert loss == 0.0
    np.testing.assert_array_equal(gradients["w"], np.zeros((4, 1, 3, 2)))


def test_each_example_has_its_own_gradient() -> None:
    one = SMALL.replace("[N, 2, 6, 5]", "[1, 2, 6, 5]")
    model = graphc.compile(one)
    params, x = model.init_params(0), np.random.default_rng(0).normal(size=(3, 1, 2, 6, 5))
    expected = [model.value_and_grad(params, x=example)[1]["w"] for example in x]
    np.testing.assert_allclose(graphc.per_example_grad(one)(params, x=x), expected, rtol=1e-11, atol=1e-13)


def test_a_convolution_is_mapped_over_weights() -> None:
    text = "x: Input[2, 3, 5, 5]\nw: Param[4, 3, 2, 2]\ny: Output = conv2d(x, w, stride=2)"
    generator = np.random.default_rng(0)
    x, w = generator.normal(size=(2, 3, 5, 5)), generator.normal(size=(6, 4, 3, 2, 2))
    model = graphc.compile(text, gradient=False)
    found = graphc.vmap(text, in_axes={"x": None, "w": 0})({"w": w}, x=x)
    np.testing.assert_allclose(found, [model({"w": each}, x=x) for each in w], rtol=1e-12)


def test_the_jacobian_is_the_linear_map() -> None:
    text = "x: Input[1, 2, 4, 4]\nw: Input[2, 1, 3, 2]\ny: Output = conv2d(x, w, padding=1, groups=2, dilation=(1, 2))"
    generator = np.random.default_rng(0)
    x, w = generator.normal(size=(1, 2, 4, 4)), generator.normal(size=(2, 1, 3, 2))
    found = graphc.jacobian(text)(x=x, w=w)
    y = graphc.compile(text, gradient=False)(x=x, w=w)
    np.testing.assert_allclose(np.tensordot(found["x"], x, 4), y, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(np.tensordot(found["w"], w, 4), y, rtol=1e-12, atol=1e-12)


def test_traced_functions_call_them() -> None:
    @graphc.model
    def f(x: graphc.f64["N", 1, "H", 4], w: graphc.param[2, 1, 3, 3]):  # noqa: F821, UP037 names of sizes are texts
        return graphc.mean(graphc.max_pool2d(graphc.conv2d(x, w, padding="same"), 2) ** 2)

    generator = np.random.default_rng(0)
    x, w = generator.normal(size=(2, 1, 6, 4)), generator.normal(size=(2, 1, 3, 3))
    y = pooled(convolved(x, w, (1, 1), [(1, 1)] * 2, (1, 1), 1), (2, 2), (2, 2), (1, 1), np.max)
    np.testing.assert_allclose(f({"w": w}, x=x), np.mean(y**2), rtol=1e-12)


def test_the_layer_has_weights_and_a_bias() -> None:
    text = """\
X: Input[N, 6, 9, 9]
T: Input[N, 4, 7]
h = conv(X, 8, 3, stride=2, padding=1, groups=2)
h = conv(h, 4, (1, 2), bias=False, weights=glorot_normal)
t = conv(T, 3, 2, name="last")
loss: Output = sum(h) + sum(t)
"""
    graph = read(text)
    assert params(graph) == [
        "conv_W: float64[8, 3, 3, 3]",
        "conv_b: float64[8]",
        "conv_2_W: float64[4, 8, 1, 2]",
        "last_W: float64[3, 4, 2]",
        "last_b: float64[3]",
    ]
    deviations = [node.attrs["init"].high for node in graph.params if node.attrs["name"].endswith("W")]
    np.testing.assert_allclose(deviations, [(2 / 27) ** 0.5, (2 / 24) ** 0.5, (2 / 8) ** 0.5])
    model = graphc.compile(text)
    generator = np.random.default_rng(0)
    values = {"X": generator.normal(size=(2, 6, 9, 9)), "T": generator.normal(size=(2, 4, 7))}
    given = {name: generator.normal(size=value.shape) for name, value in model.init_params(0).items()}
    h = convolved(values["X"], given["conv_W"], (2, 2), [(1, 1)] * 2, (1, 1), 2) + given["conv_b"][:, None, None]
    t = convolved(values["T"], given["last_W"], (1,), [(0, 0)], (1,), 1) + given["last_b"][:, None]
    expected = convolved(h, given["conv_2_W"], (1, 1), [(0, 0)] * 2, (1, 1), 1).sum() + t.sum()
    np.testing.assert_allclose(model(given, **values), expected, rtol=1e-11)


def test_nothing_is_padded_where_there_is_no_padding() -> None:
    model = graphc.compile("x: Input[1, 2, 4]\nw: Input[3, 2, 1]\ny: Output = sum(conv1d(x, w, padding='same'))")
    assert "np.pad" not in model.source_text
    assert "pad" not in ops(read("x: Input[1, 2, 4]\nw: Input[3, 2, 1]\ny: Output = conv1d(x, w)"))


DECLARED = (
    "x: Input[N, 6, 5, 5]\nw: Input[4, 3, 3, 3]\ns: Input[N, 6, 7]\nu: Input[N, C, 5, 5]\ni: Input[N, 1, 4, int64]\n"
)
REFUSED = {
    "conv2d(x, w)": "conv2d needs C/groups channels in w, got 3 for C = 6 and groups = 1",
    "conv2d(u, w)": "conv2d needs C/groups channels in w, got 3 for C = C and groups = 1",
    "conv2d(x, w, groups=3)": "conv2d needs groups that divide w's outputs, got 3 for 4",
    "conv2d(x, w, groups=0)": "conv2d needs groups of at least 1, got 0",
    "conv2d(x, w, groups=2, stride=0)": "conv2d needs a stride of at least 1, a whole number, or 2 of them, got 0",
    "conv2d(x, w, groups=2, stride=(1, 1, 1))": (
        "conv2d needs a stride of at least 1, a whole number, or 2 of them, got (1, 1, 1)"
    ),
    "conv2d(x, w, groups=2, stride=1.5)": (
        "conv2d needs a stride of at least 1, a whole number, or 2 of them, got 1.5"
    ),
    "conv2d(x, w, groups=2, dilation=0)": "conv2d needs a dilation of at least 1, a whole number, or 2 of them, got 0",
    "conv2d(x, w, groups=2, padding=-1)": (
        'conv2d needs "same", "valid" or a padding of at least 0, a whole number, or 2 of them, got -1'
    ),
    "conv2d(x, w, groups=2, padding='full')": (
        'conv2d needs "same", "valid" or a padding of at least 0, a whole number, or 2 of them, got full'
    ),
    "conv2d(x, w, groups=2, padding='same', stride=2)": 'conv2d needs a stride of 1 for padding="same", got [2, 2]',
    "conv2d(x, w, groups=2, dilation=3)": "conv2d needs a window no larger than x and its padding, got 7 over 5",
    "conv2d(s, w)": "conv2d needs x of shape [N, C, H, W], got (N, 6, 7)",
    "conv1d(s, w)": "conv1d needs w of shape [O, C/groups, k], got (4, 3, 3, 3)",
    "max_pool2d(x, 6)": "max_pool2d needs a window no larger than x and its padding, got 6 over 5",
    "max_pool2d(x, 0)": "max_pool2d needs a size of at least 1, a whole number, or 2 of them, got 0",
    "max_pool1d(s, 2, stride=0)": "max_pool1d needs a stride of at least 1, a whole number, got 0",
    "max_pool1d(i, 2, padding=1)": "max_pool1d needs floats where it pads, got int64",
    "avg_pool2d(x, 2, padding=(0, 2))": "avg_pool2d needs a padding of at most half a window of 2, got (0, 2)",
    "avg_pool1d(x, 2)": "avg_pool1d needs x of shape [N, C, L], got (N, 6, 5, 5)",
    "conv(x, 8, 3, groups=5)": "conv needs groups that divide C, got 5 for C = 6",
    "conv(x, 0, 3)": "conv needs a number of channels, got 0",
    "conv(x[0, 0], 8, 3)": "conv needs x of shape [N, C, L] or [N, C, H, W], got (5, 5)",
}


@pytest.mark.parametrize(("call", "message"), REFUSED.items(), ids=REFUSED)
def test_refusals_are_at_the_call_and_speak_of_it(call: str, message: str) -> None:
    assert errors(f"{DECLARED}f: Output = sum({call})") == [f"m.gc:6:17 GC108 {message}"]
