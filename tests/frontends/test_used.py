"""Models used in other models, with saved parameters."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from graphc.frontends import used
from tests.evaluate import evaluate
from tests.frontends.reading import errors, params, places, read

ENCODER = """X: Input[N, D]
y: Input[N, int64]
W: Param[D, 3] = {init}
h: Output = relu(X @ W)
loss: Output = mean(cross_entropy(h, y)) * N
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "encoder.gc").write_text(ENCODER.replace(" = {init}", ""))
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "double.gc").write_text("x: Input[K]\nW: Param = ones()\ny: Output = 2 * x * W\n")
    (tmp_path / "outer.gc").write_text("d = use('parts/double.gc')\nz: Input[A, B]\nr: Output = d(z[0]) + d(z[1])\n")
    np.savez(tmp_path / "encoder.npz", W=np.arange(12.0).reshape(4, 3))
    np.savez(tmp_path / "wrong.npz", W=np.ones((5, 3)))
    np.savez(tmp_path / "other.npz", V=np.ones((4, 3)))
    np.savez(tmp_path / "pickled.npz", W=np.array([{}], dtype=object))
    return tmp_path


def test_calls_share_parameters_and_ask_for_what_they_need(folder: Path) -> None:
    text = """e = use("encoder.gc", params="encoder.npz")
X: Input[2 * B, 4]
f: Output = e(X, output="h") + e(X + 1, output="h")
"""
    graph = read(text, folder)
    assert params(graph) == ["e_W: float64[4, 3]"]
    assert [node.attrs["name"] for node in graph.inputs] == ["X"]
    W = np.arange(12.0).reshape(4, 3)
    init = graph.params[0].attrs["init"]
    assert np.frombuffer(init.array.data).reshape(init.array.shape).tolist() == W.tolist()  # type: ignore[attr-defined]
    assert graph.outputs["f"].tensor.shape == (*graph.inputs[0].tensor.shape[:1], 3)


def test_all_outputs_are_a_tuple_and_sizes_are_those_of_the_call(folder: Path) -> None:
    text = "e = use('encoder.gc')\nX: Input[5, 4]\ny: Input[5, int64]\nh, l = e(X, y)\na: Output = l\nb: Output = h"
    graph = read(text, folder)
    assert params(graph) == ["e_W: float64[4, 3]"]
    X, y, W = np.ones((5, 4)), np.zeros(5, int), np.ones((4, 3))
    assert evaluate(graph, {"X": X, "y": y, "e_W": W})["a"] == pytest.approx(5 * np.log(3))


def test_frozen_parameters_are_constants(folder: Path) -> None:
    text = "e = use('encoder.gc', params='encoder.npz', frozen=True)\nX: Input[N, 4]\nf: Output = e(X, output='h')"
    graph = read(text, folder)
    assert graph.params == ()
    assert np.asarray(evaluate(graph, {"X": np.eye(4)})["f"]).tolist() == np.arange(12.0).reshape(4, 3).tolist()


def test_models_nest(folder: Path) -> None:
    graph = read("o = use('outer.gc')\nz: Input[2, N]\nf: Output = o(z)", folder)
    assert params(graph) == ["o_d_W: float64[]"]
    assert graph.scopes[graph.outputs["f"]] == (("o",),)
    assert evaluate(graph, {"z": [[1.0, 2.0], [3.0, 4.0]], "o_d_W": 1.0})["f"].tolist() == [8, 12]  # type: ignore[attr-defined]


def test_places_go_inwards(folder: Path) -> None:
    graph = read("o = use('outer.gc')\nz: Input[2, N]\nf: Output = o(z)", folder)
    product = next(node for node in graph.nodes if node.op.name == "mul")
    assert [str(span) for span in graph.spans[product]] == ["m.gc:3:13", "outer.gc:3:13", "parts/double.gc:3:13"]


USE = "e = use('encoder.gc')\nX: Input[N, 4]\nf: Output = "

WRONG = {
    "f: Output = use('missing.gc')": "1:13 GC402",
    "f: Output = use('../encoder.gc')": "1:13 GC405",
    "f: Output = use('/etc/passwd')": "1:13 GC405",
    "f: Output = use('parts/../encoder.gc')": "1:13 GC405",
    "f: Output = use('link.gc')": "1:13 GC405",
    "f: Output = use('parts')": "1:13 GC402",
    "f: Output = use(3)": "1:13 GC103",
    "f: Output = use('encoder.gc', frozen=True)": "1:13 GC103",
    "f: Output = use('encoder.gc', params='missing.npz')": "1:13 GC402",
    "f: Output = use('encoder.gc', params='encoder.gc')": "1:13 GC406",
    "f: Output = use('encoder.gc', params='pickled.npz')": "1:13 GC406",
    "f: Output = use('m.gc')": "1:13 GC402",
    "e = use('encoder.gc', params='wrong.npz')\nX: Input[N, 4]\nf: Output = e(X, output='h')": "3:13 GC406",
    "e = use('encoder.gc', params='other.npz')\nX: Input[N, 4]\nf: Output = e(X, output='h')": "3:13 GC406",
    USE + "e(X)": "3:13 GC103",
    USE + "e(X, X, output='h')": "3:13 GC103",
    USE + "e(X, output='g')": "3:13 GC101",
    USE + "e(X, q=1, output='h')": "3:13 GC103",
    USE + "e(X[0], output='h')": "3:13 GC205",
    USE + "e(X > 0, output='h')": "3:13 GC204",
    USE + "e('a', output='h')": "3:13 GC205",
    USE + "e(X, cast(X[:3, 0], int64))[1]": "3:13 GC205",
}


@pytest.mark.parametrize(("text", "place"), WRONG.items(), ids=WRONG)
def test_errors(text: str, place: str, folder: Path) -> None:
    (folder / "link.gc").symlink_to("/etc/hostname")
    (folder / "m.gc").write_text(text)
    assert places(text, folder) == [place]


def test_an_error_in_the_other_file_says_where_that_is_used(folder: Path) -> None:
    (folder / "bad.gc").write_text("x: Input\ny: Output = x + zz\n")
    assert errors("b = use('bad.gc')\nf: Output = 1\n", folder) == ["bad.gc:2:17 GC101 unknown name zz"]


def test_circles(folder: Path) -> None:
    (folder / "a.gc").write_text("b = use('b.gc')\nx: Output = 1\n")
    (folder / "b.gc").write_text("a = use('a.gc')\nx: Output = 1\n")
    (found,) = errors("a = use('a.gc')\nx: Output = 1\n", folder)
    assert found.startswith("b.gc:1:5 GC402")


def test_models_that_use_each_other_twice_are_read_once_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(used, "COPY_COST", 200)
    twice = 'a = use("m{n}.gc")\nx: Input\nf: Output = a(x) + a(x)\n'
    for n in range(40):
        (tmp_path / f"m{n}.gc").write_text(twice.format(n=n + 1))
    (tmp_path / "m40.gc").write_text("x: Input\nf: Output = x * x\n")
    (found,) = errors(twice.format(n=0), tmp_path)
    assert "GC401 a model takes at most 1000000 steps" in found


def test_a_broken_model_is_read_once(tmp_path: Path) -> None:
    for n in range(40):
        (tmp_path / f"m{n}.gc").write_text(f'a = use("m{n + 1}.gc")\nb = use("m{n + 1}.gc")\nf: Output = 1.0\n')
    (tmp_path / "m40.gc").write_text("f: Output = nope\n")
    *found, last = errors('a = use("m0.gc")', tmp_path)
    assert len(found) == 20 and all("GC101 unknown name nope" in error for error in found)
    assert "GC401 found more than 20 errors" in last


def test_saved_parameters_that_claim_to_be_huge(tmp_path: Path) -> None:
    (tmp_path / "encoder.gc").write_text(ENCODER.replace(" = {init}", ""))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)})
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("W.npy", header.getvalue())
    assert places("a = use('encoder.gc', params='huge.npz')\nf: Output = 1.0", tmp_path) == ["1:5 GC406"]
