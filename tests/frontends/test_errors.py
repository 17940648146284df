"""Each error of a model text: line, column and code."""

from __future__ import annotations

import pytest

from graphc.errors import GraphcError
from graphc.frontends.text import parse_expression, parse_model
from graphc.source import Source
from tests.frontends.reading import errors, places

END = "\nx: Input\nf: Output = x\n"

REFUSED = {
    "import os": "1:1",
    "from os import path": "1:1",
    "class A: pass": "1:1",
    "while True: pass": "1:1",
    "a = lambda x: x": "1:5",
    "a = f'{1}'": "1:5",
    "a = (b := 2)": "1:6",
    "a = {1: 2}": "1:5",
    "a = {1}": "1:5",
    "a = {i for i in range(2)}": "1:5",
    "a = {i: i for i in range(2)}": "1:5",
    "a = sum(i for i in range(2))": "1:8",
    "a = [*range(3)]": "1:6",
    "a, *b = 1, 2": "1:1",
    "a = sum(*b)": "1:9",
    "a = sum(**b)": "1:5",
    "async def a(): pass": "1:1",
    "@cache\ndef a(): pass": "2:1",
    "def a(*b): pass": "1:1",
    "def a(): yield 1": "1:10",
    "try:\n    pass\nfinally:\n    pass": "1:1",
    "with a: pass": "1:1",
    "raise a": "1:1",
    "del a": "1:1",
    "global a": "1:1",
    "match 1:\n    case 2: pass": "1:1",
    "for i in [1]:\n    break": "2:5",
    "for i in [1]:\n    continue": "2:5",
    "for i in [1]: pass\nelse: pass": "1:1",
    "a = 1 < 2 < 3": "1:5",
    "a = 1 << 2": "1:5",
    "a = b'c'": "1:5",
    "a = 3j": "1:5",
    "a[0] = 1": "1:1",
    "a.b = 1": "1:1",
    "a = os.path": "1:5",
    "a = x.sum()": "1:5",
    "__a = 1": "1:1",
    "a = __import__('os')": "1:5",
    "def __a(): pass": "1:1",
    "a: int = 3": "1:1",
    "a: Input[3] = 3": "1:15",
    "1 + 1": "1:1",
    "return 3": "1:1",
    "def g():\n    z: Input\ng_ = g()": "3:6",
}


@pytest.mark.parametrize(("text", "place"), REFUSED.items(), ids=REFUSED)
def test_syntax_outside_the_language(text: str, place: str) -> None:
    assert places(text + END) == [f"{place} GC002"]


OTHERS = {
    "a = (1": "1:5 GC001",
    "a = 1 +* 2": "1:8 GC001",
    "  a = 1": "1:3 GC001",
    "é = 'é' § 1": "1:9 GC001",
    "a = b": "1:5 GC101",
    "é = 'é' + b": "1:11 GC101",
    "a = b + c": "1:5 GC101",
    "y: Input\ny: Input": "2:1 GC102",
    "y: Input\ny: Output = y": "2:1 GC102",
    "y: Input\nW: Param[2]\ndef g():\n    W: Param[2]\n    return W\nW = g()\ng_W: Param": "7:1 GC102",
    "def g(a, a): pass": "1:1 GC102",
    "y: Output": "1:1 GC106",
    "y: Output = sum": "1:13 GC106",
    "y: Output[3] = 1": "1:1 GC205",
    "y: Input[N]\nN = 3": "2:1 GC205",
    "y: Input[N]\nN: Input": "2:1 GC205",
    "y: Input[N]\nfor N in [1]: pass": "2:5 GC205",
    "y: Input\nz: Input[y]": "2:10 GC205",
    "y = 2.5\nz: Input[3, y]": "2:13 GC106",
    "z: Input[-1]": "1:10 GC205",
    "z: Input[3, int32, 4]": "1:13 GC106",
    "W: Param[3, int64]": "1:1 GC204",
    "q: Input[3, float16]": "1:13 GC204",
    "q: Input[uint8]": "1:10 GC204",
    "q = Input": "1:5 GC101",
    "a = (-8) ** 0.5": "1:5 GC107",
    "a = x_ +": "1:9 GC001",
    "W: Param[N] = zeros()": "1:4 GC106",
    "W: Param[3] = 'a'": "1:15 GC106",
    "W: Param[3] = normal(0, 'a')": "1:15 GC106",
    "a = 1 / 0": "1:5 GC107",
    "a = sqrt(-1)": "1:5 GC107",
    "a = [1][2]": "1:5 GC107",
    "a = [1][0, 0]": "1:5 GC106",
    "a = [1]['a']": "1:5 GC106",
    "a = 3[0]": "1:5 GC106",
    "a = 3 @ 'b'": "1:5 GC106",
    "a = -'b'": "1:5 GC106",
    "a = 3 .T": "1:5 GC106",
    "a, b = 1": "1:1 GC106",
    "a, b = 1, 2, 3": "1:1 GC106",
    "a = 3(4)": "1:5 GC103",
    "for i in 3: pass": "1:10 GC106",
    "y: Input\nif y > 0: pass": "2:4 GC106",
    "y: Input\na = y > 0 and y < 1": "2:5 GC106",
    "y: Input\na = not y": "2:9 GC106",
    "y: Input[3]\na = y[1.5]": "2:7 GC203",
    "y: Input[3]\na = y[5]": "2:5 GC203",
    "y: Input[3]\na = y[y]": "2:5 GC204",
    "y: Input[3]\nz: Input[4]\na = y + z": "3:5 GC202",
    "y: Input[3]\nz: Input[4]\na = y @ z": "3:5 GC201",
    "y: Input[N]\nz: Input[M]\na = 1 + y * z": "3:9 GC202",
    "y: Input[3]\na = y & y": "2:5 GC204",
    "y: Input[3]\na = grad(y, y)": "2:5 GC303",
    "a = use('b.gc')": "1:5 GC402",
    "@elementwise\ndef g(x):\n    return sum(x)": "3:12 GC106",
    "@elementwise\ndef g(): return 1": "2:1 GC103",
    "@elementwise\ndef g(x): pass": "2:1 GC106",
    "@elementwise\ndef g(x):\n    W: Param\n    return W": "3:5 GC106",
    "y: Input\n@elementwise\ndef g(x):\n    return x + y": "4:12 GC106",
    "y: Input\n@elementwise\ndef g(x):\n    return y": "3:1 GC106",
}


@pytest.mark.parametrize(("text", "place"), OTHERS.items(), ids=OTHERS)
def test_places(text: str, place: str) -> None:
    assert places(text + END)[0] == place
    assert len(places(text + END)) == (2 if text == "a = b + c" else 1)


def test_errors_of_one_file_are_reported_together_and_do_not_cascade() -> None:
    text = """X: Input[N, 4]
W: Param[5, 3] = he_normal()
h = X @ W
g = relu(h) + h[0]
y = softmx(X)
import os
z = os + g
for i in range(3):
    X = X + missing
q = X + 1
W: Param[2]
loss: Output = mean(g)
"""
    assert places(text) == ["3:5 GC201", "5:5 GC101", "6:1 GC002", "9:13 GC101", "11:1 GC102"]


def test_an_unknown_name_beside_another_error_is_reported_too() -> None:
    text = "A: Input[N, 3]\nh = A @ A + nope * missing(A)\nf: Output = (A + w) @ v\n"
    assert places(text) == ["2:5 GC201", "2:13 GC101", "2:20 GC101", "3:18 GC101", "3:23 GC101"]


def test_an_expression_that_breaks_off_is_wrong_at_its_end() -> None:
    assert places("x +") == ["1:4 GC001"]


def test_the_same_line_of_a_loop_is_reported_once() -> None:
    assert len(places("x: Input\nfor i in range(3):\n    a = b\nf: Output = x")) == 1


def test_a_model_needs_an_output() -> None:
    assert places("x: Input\ny = x\n\n") == ["2:1 GC104"]
    assert places("") == ["1:1 GC104"]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("x: Input\nf: Output = sigmiod(x)", "did you mean `sigmoid`?"),
        ("x: Input\nweights = x\nf: Output = wieghts", "did you mean `weights`?"),
        ("X: Input\nf: Output = x", "did you mean `X`?"),
        ("x: Input\nf: Output = qqqqqq", ""),
        ("x: Input\nf: Output = lambda * x", "`lambda` is a keyword of Python, which cannot be a name"),
        ("x: Input\nf: Output = x if x else", ""),
        ("h = zeros((2, 3))", "zeros is for parameters; a tensor of zeros is `broadcast_to(0.0, shape)`"),
        ("x: Input\nh = dense(x, 1, 2, 3, 4, 5)", ""),
        (
            "X: Input[N, 64]\nW1: Param[64, 128] = normal()\nW2: Param[64, 10] = normal()\nf: Output = X @ W1 @ W2",
            "`W2: Param[128, 10]` makes the rest of the model fit",
        ),
        (
            "X: Input[N, 64]\nW: Param[32, 10] = normal()\nf: Output = X @ W",
            "`W: Param[64, 10]` makes the rest of the model fit",
        ),
        (
            "X: Input[N, 6]\nV: Param[6, 9]\nU: Param[9, 3]\nW: Param[3]\nf: Output = X @ W + sum(X @ V) + sum(U @ W)",
            "",
        ),
    ],
)
def test_hints_are_checked(text: str, hint: str) -> None:
    with pytest.raises(GraphcError) as caught:
        parse_model(Source("m.gc", text))
    assert caught.value.diagnostics[0].hint == hint


def test_a_shape_error_names_both_operands_lines() -> None:
    with pytest.raises(GraphcError) as caught:
        parse_model(Source("m.gc", "X: Input[N, 6]\nW: Param[5, 3]\nf: Output = X @ W"))
    (found,) = caught.value.diagnostics
    assert [str(span) for span, _ in found.related] == ["m.gc:1:1", "m.gc:2:1"]


def test_an_error_in_a_function_shows_its_line_too() -> None:
    with pytest.raises(GraphcError) as caught:
        parse_model(Source("m.gc", "def g(x):\n    return x @ x\nX: Input[N, 6]\nf: Output = 1 + g(X)"))
    (found,) = caught.value.diagnostics
    assert (str(found.span), str(found.related[-1][0])) == ("m.gc:4:17", "m.gc:2:12")


def test_errors_of_expressions() -> None:
    with pytest.raises(GraphcError) as caught:
        parse_expression("  x + foo(y) ")
    assert [(str(d.span), d.code) for d in caught.value.diagnostics] == [("<expression>:1:5", "GC101")]
    assert places("x +* 2") == ["1:4 GC001"]
    assert places("[x, 1]") == ["1:1 GC106"]


def test_messages_say_what_was_expected_and_found() -> None:
    assert errors("def g(a, b=1): return a\nf: Output = g(c=2)")[0].endswith(
        "g takes (a, b=1), found no such argument: c"
    )
    assert "axis=None, keepdims=False" in errors("x: Input\nf: Output = sum(x, dim=1)")[0]
