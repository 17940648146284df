"""What generated functions say of arguments that do not fit the model: one clear error each."""

from __future__ import annotations

import gc
import linecache
import weakref
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from graphc.backends.entry import _in_range, _layout
from graphc.backends.numpy_module import emit_module
from tests.backends.modules import module_of, program_of

MODEL = """X: Input[N, 4]
y: Input[N, int64]
on: Input[N, bool]
W: Param[4, 3] = he_normal()
b: Param[3] = zeros()
logits = where(on, 1.0, 0.5) * pick(X @ W + b, y)
loss: Output = mean(logits)
"""
M = module_of(MODEL)
GOOD = {"X": np.ones((2, 4)), "y": np.array([0, 2]), "on": np.array([True, False])}

BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"X": np.ones((2, 3))}, ValueError, "X has shape (2, 3), expected (N, 4)  [model.gc:1]"),
    ({"X": np.ones(4)}, ValueError, "X has shape (4,), expected (N, 4)  [model.gc:1]"),
    ({"X": 1.0}, ValueError, "X has shape (), expected (N, 4)  [model.gc:1]"),
    ({"y": np.array([0])}, ValueError, "N is 2 in X and 1 in y  [model.gc:2]"),
    ({"y": np.array([0, 3])}, ValueError, "y holds 3, expected 0 to 2  [model.gc:2]"),
    ({"y": np.array([0, -1])}, ValueError, "y holds -1, expected 0 to 2  [model.gc:2]"),
    ({"y": np.array([0.0, 1.0])}, TypeError, "y is float64, expected integers  [model.gc:2]"),
    ({"y": np.array([0, 2**63], np.uint64)}, TypeError, "y is uint64, expected numbers that int64 can hold"),
    ({"on": np.array([0, 1])}, TypeError, "on is int64, expected bool  [model.gc:3]"),
    (
        {"X": np.ma.masked_less(np.ones((2, 4)), 2)},
        TypeError,
        "X has masked elements, expected none  [model.gc:1]",
    ),
    ({"X": np.ones((2, 4), complex)}, TypeError, "X is complex128, expected float32 or float64  [model.gc:1]"),
    ({"X": [["a"] * 4] * 2}, TypeError, "X is <U1, expected float32 or float64  [model.gc:1]"),
    ({"X": None}, TypeError, "X is object, expected float32 or float64  [model.gc:1]"),
    ({"X": [[1.0], [2.0, 3.0]]}, TypeError, "X is no array of float64: "),
]


@pytest.mark.parametrize(("change", "kind", "message"), BAD, ids=[message for *_, message in BAD])
def test_an_argument_that_does_not_fit(change: dict[str, Any], kind: type[Exception], message: str) -> None:
    for function in (M.forward, M.value_and_grad):
        # What was right before does not make right what is wrong now.
        function(M.init_params(0), **GOOD)
        with pytest.raises(kind) as raised:
            function(M.init_params(0), **{**GOOD, **change})
        assert str(raised.value).startswith(f"{function.__name__}(): {message}")
        assert raised.type is kind


@pytest.mark.skipif(np.longdouble is np.float64, reason="long double is double here")
def test_long_doubles_are_refused() -> None:
    with pytest.raises(TypeError, match=r"X is float\d+, expected float32 or float64"):
        M.forward(M.init_params(0), **{**GOOD, "X": np.ones((2, 4), np.longdouble)})


def test_wrong_params() -> None:
    params = M.init_params(0)
    M.loss(params, **GOOD)
    with pytest.raises(ValueError, match=r"loss\(\): params lacks b, has c, which is not of the model; expected W, b"):
        M.loss({"W": params["W"], "c": params["b"]}, **GOOD)
    with pytest.raises(TypeError, match=r"loss\(\): params is a list, expected a dict of arrays"):
        M.loss([1], **GOOD)
    with pytest.raises(ValueError, match=r"W has shape \(3, 4\), expected \(4, 3\)  \[model.gc:4\]"):
        M.loss({**params, "W": params["W"].T}, **GOOD)


def test_what_is_taken_as_an_array() -> None:
    params = M.init_params(0)
    want = M.loss(params, **GOOD)
    lists = {name: value.tolist() for name, value in GOOD.items()}
    assert M.loss(params, **lists) == want
    assert M.loss(params, **{**GOOD, "X": np.ones((2, 4), np.uint8), "y": np.array([0, 2], np.int8)}) == want
    assert M.loss(params, **{**GOOD, "X": np.ones((2, 4), ">f8")}) == want
    assert M.loss({**params, "b": [0, 0, 0]}, **GOOD) == want


def test_layouts_are_remembered_where_nothing_is_converted() -> None:
    m = module_of(MODEL)
    params = m.init_params(0)
    m.loss(params, **{name: value.tolist() for name, value in GOOD.items()})
    m.loss(params, **{**GOOD, "y": np.array([0, 2], np.int32)})
    m.loss({**params, "b": params["b"].astype(np.float32)}, **GOOD)
    m.loss(MappingProxyType(params), **GOOD)
    assert not m._PASSED
    for _ in range(3):
        m.loss(params, **GOOD)
    assert len(m._PASSED) == 1
    m.loss(dict(reversed(params.items())), **GOOD)
    m.forward(params, **GOOD)
    assert len(m._PASSED) == 3


def test_every_call_is_checked_for_what_a_layout_does_not_tell() -> None:
    m = module_of(MODEL)
    params = m.init_params(0)
    m.loss(params, **GOOD)
    with pytest.raises(ValueError, match=r"loss\(\): y holds 3, expected 0 to 2  \[model.gc:2\]"):
        m.loss(params, **{**GOOD, "y": np.array([3, 0])})
    free = module_of("table: Input[K, 2]\nindex: Input[N, int64]\nf: Output = sum(table[index])\n", loss=())
    assert free.f(np.ones((3, 2)), np.array([0, 2])) == free.f(np.ones((3, 2)), np.array([2, 2])) == 4
    with pytest.raises(ValueError, match="index holds 3, expected 0 to 2"):
        free.f(np.ones((3, 2)), np.array([0, 3]))


def test_extra_params_after_a_good_call() -> None:
    m = module_of(MODEL)
    params = m.init_params(0)
    m.loss(params, **GOOD)
    with pytest.raises(ValueError, match="params has X, which is not of the model"):
        m.loss({**params, "X": GOOD["X"]}, **GOOD)
    with pytest.raises(TypeError, match="params is a list"):
        m.loss([*params.values()], **GOOD)
    for wrong in (MappingProxyType({**params, "b": np.ones(2)}), {**params, "b": np.ones(2)}):
        m.loss(MappingProxyType(params), **GOOD)
        with pytest.raises(ValueError, match=r"b has shape \(2,\), expected \(3,\)"):
            m.loss(wrong, **GOOD)


def test_layouts_tell_the_dicts_apart() -> None:
    x = np.ones(2)
    layouts = [
        _layout("f", {"a": x, "b": x}, {"c": x}),
        _layout("f", {"a": x}, {"b": x, "c": x}),
        _layout("f", {"a": x, "b": x, "c": x}, {}),
        _layout("g", {"a": x, "b": x}, {"c": x}),
        _layout("f", {"b": x, "a": x}, {"c": x}),
        _layout("f", {"a": x, "b": x}, {"c": x.astype(np.float32)}),
        _layout("f", {"a": x, "b": x}, {"c": x[:1]}),
        _layout("f", {"a": x, "b": x}, {"c": x[0]}),
        _layout("f", {"a": x, "b": x}, {"c": x[:1].reshape(())}),
    ]
    assert len({*layouts}) == len(layouts) and None not in layouts
    for other in (1.0, [1.0], None):
        assert _layout("f", {"a": other}) is None and _layout("f", other) is None


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_subclasses_are_plain_arrays_also_after_a_good_call() -> None:
    m = module_of("x: Input[2, 2]\ny: Output = x * x\n", loss=())
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    for given in (x, np.matrix(x), np.ma.masked_array(x, x > 9), x):
        found = m.y(given)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, x * x)


def test_scalars_are_numpy_scalars_also_after_a_good_call() -> None:
    m = module_of("x: Input\ny: Output = x\n", loss=())
    for given in (np.float64(2.0), np.array(2.0), 2, 2.0, np.float64(2.0)):
        assert type(m.y(given)) is np.float64 and m.y(given) == 2
    assert type(m.y(np.float32(2.0))) is np.float32


def test_what_is_remembered_stays_small_and_holds_no_array() -> None:
    m = module_of("x: Input[N]\ny: Output = sum(x)\n", loss=())
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(lambda n: float(m.y(np.ones(n))), range(1000))] == [*range(1000)]
    assert 0 < len(m._PASSED) <= 260
    x = np.ones(3)
    m.y(x)
    held = weakref.ref(x)
    del x
    gc.collect()
    assert held() is None


def test_integer_images_do_not_widen_float32() -> None:
    params = {name: value.astype(np.float32) for name, value in M.init_params(0).items()}
    assert M.loss(params, **{**GOOD, "X": np.ones((2, 4), np.uint8)}).dtype == np.float32


def test_no_examples_at_all() -> None:
    with pytest.warns(RuntimeWarning):
        assert np.isnan(M.loss(M.init_params(0), np.ones((0, 4)), [], []))


def test_indices_into_a_free_size() -> None:
    m = module_of("table: Input[K, 2]\nindex: Input[N, int64]\nf: Output = sum(table[index])\n", loss=())
    assert m.f(np.ones((3, 2)), [0, 2, 2]) == 6
    with pytest.raises(ValueError, match=r"f\(\): index holds 3, expected 0 to 2  \[model.gc:2\]"):
        m.f(np.ones((3, 2)), [3])


COMPUTED = """table: Input[K, 2]
y: Input[N, int64]
a: Output = sum(table[y - 1])
b: Output = sum(one_hot(y + 1, 4))
k = y[:2]
c: Output = sum(table[k])
d: Output = sum(pick(table, argmax(table, axis=1)))
e: Output = sum(table[arange(table.shape[0])])
"""


def test_computed_indices_are_checked() -> None:
    m = module_of(COMPUTED, loss="a")
    table = np.ones((3, 2))
    assert m.a(table, [1, 3, 3]) == 6
    assert m.b([-1, 2]) == 2
    for function, given, message in (
        (m.a, (table, [0, 1]), "a(): y - 1 holds -1, expected 0 to 2  [model.gc:3]"),
        (m.a, (table, [4, 1]), "a(): y - 1 holds 3, expected 0 to 2  [model.gc:3]"),
        (m.b, ([-2, 1],), "b(): y + 1 holds -1, expected 0 to 3  [model.gc:4]"),
        (m.c, (table, [0, -1, 0]), "c(): k holds -1, expected 0 to 2  [model.gc:6]"),
        (m.forward, (table, [0, 1]), "forward(): y - 1 holds -1, expected 0 to 2  [model.gc:3]"),
        (m.value_and_grad, (table, [0, 1]), "value_and_grad(): y - 1 holds -1, expected 0 to 2  [model.gc:3]"),
    ):
        with pytest.raises(ValueError) as raised:
            function(*given)
        assert str(raised.value) == message


def test_only_what_is_selected_is_an_index() -> None:
    assert module_of(COMPUTED, loss=()).c(np.ones((3, 2)), [0, 1, 99]) == 4


def test_indices_that_are_in_range_anyway_are_not_checked() -> None:
    text = "".join(linecache.cache[module_of(COMPUTED, loss=()).__file__][2])
    functions = text.split("_INPUTS")[0]
    assert functions.count("_in_range(") == 3
    assert functions.index("def d(") > functions.rindex("_in_range(")


def test_no_indices_at_all() -> None:
    m = module_of(COMPUTED, loss="a")
    assert m.a(np.ones((3, 2)), []) == 0
    assert m.a(np.ones((0, 2)), np.zeros(0, int)) == 0
    assert m.value_and_grad(np.ones((3, 2)), [1, 1])[1]["table"].tolist() == [[2, 2], [0, 0], [0, 0]]


def test_a_constant_index_beyond_a_free_size() -> None:
    m = module_of("x: Input[K]\ny: Input[int64]\nf: Output = x[y * 0 + 2]\n", loss=())
    assert m.f(np.arange(3.0), 0) == 2
    with pytest.raises(ValueError, match=r"holds 2, expected 0 to 1  \[model.gc:3\]"):
        m.f(np.arange(2.0), 0)


def test_the_text_of_an_index_is_no_placeholder() -> None:
    m = module_of("size: Input[N]\ny: Input[M, int64]\nf: Output = sum(size[y[1:2] - 1])  # 'size:N'\n", loss=())
    assert m.f([3.0, 4.0], [9, 2]) == 4
    text = emit_module(program_of("x: Input[N]\ny: Input[M, int64]\nf: Output = sum(x[y - 1])\n", "size:N float:"))
    assert '"size:N float:.gc:3"' in text


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_indices_of_any_width_are_checked_at_both_ends(dtype: str) -> None:
    extremes = np.iinfo(dtype)
    index = np.array([[0, 4], [3, 2]], dtype)[:, ::-1]
    assert _in_range("f", "k", index, 5, "") is index
    assert _in_range("f", "k", index[:, :0], 0, "").size == 0
    assert _in_range("f", "k", np.array([0, extremes.max], dtype), np.inf, "").size == 2
    for wrong, below, expected in ((-1, 5, "0 to 4"), (extremes.min, np.inf, "at least 0"), (5, 5, "0 to 4")):
        with pytest.raises(ValueError, match=rf"f\(\): k holds {wrong}, expected {expected}"):
            _in_range("f", "k", np.array([1, wrong], dtype), below, "")
    with pytest.raises(ValueError, match="k holds -1, expected at least 0"):
        _in_range("f", "k", np.dtype(dtype).type(-1), np.inf, "")
