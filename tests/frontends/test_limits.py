"""Hostile and huge texts: a clear error, quickly, nothing executed."""

from __future__ import annotations

import time

import pytest

from tests.frontends.reading import errors, places, read

END = "\nx: Input\nf: Output = x\n"

HOSTILE = {
    "10 MB": "x" * 10_000_000,
    "long chain": "a = " + "+".join(["1"] * 10_000),
    "brackets": "a = " + "(" * 5000 + "1" + ")" * 5000,
    "signs": "a = " + "-" * 100_000 + "1",
    "nots": "a = " + "not " * 20_000 + "1",
    "powers": "a = 9**9**9",
    "float powers": "a = 9.0**9**5",
    "products": "a = 2\nfor i in range(100):\n    a = a * a",
    "digits": "a = " + "9" * 5000,
    "hex digits": "a = 0x" + "f" * 100_000,
    "nested loops": "for i in range(100000):\n    for j in range(100000):\n        a = 1",
    "long range": "for i in range(10**12):\n    a = i",
    "list": "a = [0] * 10**9",
    "doubled lists": "a = [1]\nfor i in range(100):\n    a = a + a",
    "doubled texts": "a = 'a'\nfor i in range(100):\n    a = a + a",
    "comprehension": "a = [i for i in range(1000) for j in range(1000)]",
    "recursion": "def g(x):\n    return g(x)\na = g(1)",
    "sizes": "y: Input[A, B, C, D]\ns = A + B + C + D\nfor i in range(30):\n    s = s * s",
    "quotients": "y: Input[A]\ns = A\nfor i in range(3000):\n    s = (s + 1) // 3",
    "elementwise": "@elementwise\ndef g(x):\n    for i in range(200):\n        x = x * x\n    return x",
    "conditionals": "a = " + "1 if True else " * 3000 + "2",
    "indentation": "".join(" " * i + "if True:\n" for i in range(150)) + " " * 150 + "a = 1",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_bounds(text: str) -> None:
    start = time.process_time()
    found = errors(text + END)
    assert [error.split()[1] for error in found] == ["GC401"]
    assert any(character.isdigit() for character in found[0].split("GC401")[1])
    assert time.process_time() - start < 8  # of processor time; about 2.5 s for the loops


def test_lists_of_lists_are_never_walked() -> None:
    deep = "a = [1]\nb = [1]\nfor i in range(100):\n    a = [a, a]\n    b = [b, b]\n"
    assert places(f"{deep}c = a == b{END}") == ["6:5 GC106"]
    assert places(f"{deep}y: Input[3]\nc = sum(y, axis=a){END}") == ["7:5 GC103"]
    assert places(f"{deep}c = a + 1{END}") == ["6:5 GC106"]


def test_many_errors_are_cut_off() -> None:
    found = errors("a = b\n" * 50_000)
    assert len(found) == 21
    assert found[-2:] == [
        "m.gc:20:5 GC101 unknown name b",
        "m.gc:21:5 GC401 found more than 20 errors, those from here on are not listed",
    ]
    assert len(errors("a = b\n" * 20)) == 20
    assert len(errors("def f(x):\n    return x\n" + "    x.real = 1\n" * 50)) == 21


@pytest.mark.parametrize(
    "text",
    ["__import__('os').system('touch pwned')", "().__class__.__bases__[0]", "x = ().__class__", "open('pwned', 'w')"],
)
def test_nothing_is_executed(text: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert errors(text)
    assert list(__import__("pathlib").Path().iterdir()) == []


@pytest.mark.parametrize(("text", "place"), [("a = 1\n\0b", "2:1 GC001"), ("a = '\ud800'", "1:6 GC001")])
def test_characters_that_are_no_text(text: str, place: str) -> None:
    assert places(text) == [place]


def test_within_the_bounds() -> None:
    graph = read("x: Input\nf: Output = " + " + ".join(["x"] * 800))
    assert len(graph.nodes) == 800
    assert len(read("x: Input\nf: Output = " + "relu(" * 90 + "x" + ")" * 90).nodes) == 91


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"x: Input[{', '.join(['2'] * 65)}]\nf: Output = sum(x)", "1:4 GC401"),
        (f"x: Input[2]\nf: Output = sum(x[{', '.join(['None'] * 20_000)}, 0])", "2:17 GC401"),
        ("x: Input[2]\nf: Output = sum(expand_dims(x, list(range(90_000))))", "2:17 GC401"),
        ("x: Input[10**12]\nf: Output = sum(split(x, 10**12)[0])", "2:17 GC401"),
        ("d = instance(dense, 3)\n" + "d = instance(d)\n" * 5_000 + "x: Input\nf: Output = d(x)", "5003:13 GC203"),
    ],
    ids=["axes declared", "axes indexed", "axes added", "sections", "instances of instances"],
)
def test_more_than_numpy_or_memory_has(text: str, place: str) -> None:
    assert places(text) == [place]
