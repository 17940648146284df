"""Tables as data: which columns are whose, labels as texts, and what is wrong with a file, at its place."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.errors import GraphcError
from graphc.training import conversion, csv_table
from graphc.training.dataset import Dataset, dataset_of

MODEL = graphc.compile(
    "X: Input[N, 2]; y: Input[N, int64]; z = dense(X, 2); loss: Output = mean(cross_entropy(z, y)); p: Output = z"
)


def read(folder: Path, text: str, columns: Mapping[str, Sequence[str]] | None = None, **options: Any) -> Dataset:
    path = folder / "d.csv"
    path.write_text(text, encoding="utf-8")
    return dataset_of(MODEL, path, columns, **options)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("X0,X1,y\n1,2,0\n3,4,1\n", {}),
        ("y,X1,X0,name\n0,2,1,a\n1,4,3,b\n", {}),
        ("width,y,height\n1,0,2\n3,1,4\n", {}),
        ("width,kind,height\r\n1,0,2\r\n\r\n3,1,4", {"y": ["kind"]}),
        ('a,"b, c",other,y\n1,2,9,0\n"3",4,9,1\n', {"X": ["a", "b, c"]}),
        ("\ufeffX0, X1 ,y\n 1 ,2.0,0\n3e0,4,1.0\n", {}),
    ],
)
def test_columns_are_found(tmp_path: Path, text: str, columns: dict[str, list[str]]) -> None:
    found = read(tmp_path, text, columns)
    np.testing.assert_array_equal(found.arrays["X"], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(found.arrays["y"], [0, 1])
    assert found.arrays["y"].dtype == np.int64
    assert found.count == 2
    assert not found.labels


def test_texts_are_labels_in_sorted_order(tmp_path: Path) -> None:
    found = read(tmp_path, "X0,X1,y\n1,2,dog\n3,4, cat \n5,6,dog\n")
    assert found.arrays["y"].tolist() == [1, 0, 1]
    assert found.labels == {"y": ["cat", "dog"]}
    again = read(tmp_path, "X0,X1,y\n1,2,dog\n", labels=found.labels)
    assert again.arrays["y"].tolist() == [1]


def test_axes_of_one_example_are_filled_row_by_row(tmp_path: Path) -> None:
    model = graphc.compile("X: Input[N, 2, 2]; b: Input[N, bool]; w: Param = 0; loss: Output = w * sum(X) * sum(b)")
    path = tmp_path / "d.csv"
    path.write_text("X0,X1,X2,X3,b\n1,2,3,4,0\n")
    np.testing.assert_array_equal(dataset_of(model, path).arrays["X"], [[[1, 2], [3, 4]]])


HEADER = "X0,X1,y\n"
BAD = [
    ("", {}, "GC513", "1:1", "expected a line with the names of columns, found an empty file"),
    ("\n\n", {}, "GC513", "1:1", "found an empty file"),
    (HEADER, {}, "GC513", "1:1", "expected rows below the names of the columns, found none"),
    ("X0,X0,y\n1,2,0\n", {}, "GC513", "1:1", "found X0 twice"),
    (HEADER + "1,2,0\n1,2\n", {}, "GC513", "3:1", "expected 3 values as the first line has, found 2"),
    (HEADER + '1,"2,0\n', {}, "GC513", "2:1", "expected comma-separated values"),
    (HEADER + "1,2,0\n1,b,0\n", {}, "GC512", "3:3", "expected a number in the column X1, found 'b'"),
    (HEADER + "1,,0\n", {}, "GC512", "2:3", "expected a number in the column X1, found an empty cell"),
    (HEADER + "1,nan,0\n", {}, "GC512", "2:3", "expected a finite number in the column X1, found 'nan'"),
    (HEADER + "1,1e999,0\n", {}, "GC512", "2:3", "expected a finite number in the column X1, found '1e999'"),
    (HEADER + '"1",x,0\n', {}, "GC512", "2:1", "expected a number in the column X1, found 'x'"),
    (HEADER + "1,2,0\n1,2,2\n", {}, "GC512", "3:5", "expected an integer from 0 to 1 in the column y, found '2'"),
    (HEADER + "1,2,-1\n", {}, "GC512", "2:5", "expected an integer from 0 to 1 in the column y, found '-1'"),
    (
        HEADER + "1,2,a\n1,2,b\n1,2,c\n",
        {},
        "GC512",
        "4:5",
        "expected at most 2 labels in the column y, found 'c' besides a, b",
    ),
    (HEADER + "1,2,1.5\n1,2,0\n", {}, "GC512", "2:5", "expected an integer in the column y, found '1.5'"),
    (HEADER + "1,2,0\n1,2,nan\n", {}, "GC512", "3:5", "expected an integer in the column y, found 'nan'"),
    (HEADER + "1,2,0\n1,2,\n", {}, "GC512", "3:5", "expected an integer in the column y, found an empty cell"),
    (HEADER + "1,2,1e300\n", {}, "GC512", "2:5", "expected an integer in the column y, found '1e300'"),
    (HEADER + f"1,2,{2**70}\n", {}, "GC512", "2:5", f"an integer from 0 to 1 in the column y, found '{2**70}'"),
    (HEADER + "1,1_0,0\n", {}, "GC512", "2:3", "expected a number in the column X1, found '1_0'"),
    (HEADER + "1,,0\n1,b,0\n", {}, "GC512", "2:3", "expected a number in the column X1, found an empty cell"),
    (HEADER + "1,-inf,0\n", {}, "GC512", "2:3", "expected a finite number in the column X1, found '-inf'"),
    (HEADER + "1,2,0,\n", {}, "GC513", "2:1", "expected 3 values as the first line has, found 4"),
    (HEADER + "1,2,0\n\n\r\n1,b,0\n", {}, "GC512", "5:3", "expected a number in the column X1, found 'b'"),
    ('X0,X1,"a\nb",y\n1,2,"c\nd",0\n1,b,"e\nf",0\n', {}, "GC512", "5:1", "in the column X1, found 'b'"),
    ("\ufeff" + HEADER + "b,2,0\n", {}, "GC512", "2:1", "expected a number in the column X0, found 'b'"),
    ("X0;X1;y\n1;2;0\n", {}, "GC511", "1:1", "expected a column y for the input y, found X0;X1;y"),
    ("\n\nX0,X1\n1,2\n", {}, "GC511", "3:1", "expected a column y for the input y, found X0, X1"),
    (",,y\n1,2,0\n", {}, "GC513", "1:1", "expected columns with names of their own, found no name twice"),
    (HEADER + "1,2,a\n1,2,\n", {}, "GC512", "3:5", "expected a label in the column y, found an empty cell"),
    ("X0,X1\n1,2\n", {}, "GC511", "1:1", "expected a column y for the input y, found X0, X1"),
    ("X0,y\n1,0\n", {}, "GC511", "1:1", "expected 2 columns for the input X, found X0"),
    ("a,b,c,y\n1,2,3,0\n", {}, "GC511", "1:1", "expected 2 columns for the input X, found a, b, c"),
    ("y\n0\n", {}, "GC511", "1:1", "expected a column X0, X1, … for the input X, found y"),
    (HEADER + "1,2,0\n", {"X": ["X0", "Z"]}, "GC511", "1:1", "expected a column Z, found X0, X1, y"),
    (HEADER + "1,2,0\n", {"Z": ["X0"]}, "GC511", "1:1", "expected columns for X, y, found some for Z"),
]


@pytest.mark.parametrize(("text", "columns", "code", "place", "message"), BAD)
def test_bad_files_are_refused_at_their_place(
    tmp_path: Path, text: str, columns: dict[str, list[str]], code: str, place: str, message: str
) -> None:
    with pytest.raises(GraphcError) as caught:
        read(tmp_path, text, columns)
    (found,) = caught.value.diagnostics
    assert (found.code, str(found.span)) == (code, f"d.csv:{place}")
    assert message in found.message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("X0;X1;y\n1;2;0\n", "the separator of d.csv seems to be ';', expected ','"),
        ("X0\tX1\ty\n1\t2\t0\n", "the separator of d.csv seems to be '\\t', expected ','"),
        ("X0,y\n1,0\n", ""),
        ("X\n1\n", ""),
    ],
)
def test_files_with_other_separators_are_known(tmp_path: Path, text: str, hint: str) -> None:
    with pytest.raises(GraphcError) as caught:
        read(tmp_path, text)
    assert caught.value.diagnostics[0].hint == hint


@pytest.mark.parametrize("row", ["1;2", "1,5;2,5", "'a';2"])
def test_other_separators_are_known_where_one_column_would_do(tmp_path: Path, row: str) -> None:
    (tmp_path / "d.csv").write_text(f"a;b\n{row}\n")
    with pytest.raises(GraphcError) as caught:
        list(dataset_of(graphc.compile("X: Input[N, K]\nloss: Output = mean(X * X)"), tmp_path / "d.csv"))
    assert "seems to be ';'" in caught.value.diagnostics[0].hint


def test_an_unknown_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphcError) as caught:
        read(tmp_path, HEADER + "1,2,cat\n1,2,cow\n", labels={"y": ["cat", "dog"]})
    (found,) = caught.value.diagnostics
    assert (found.code, str(found.span)) == ("GC512", "d.csv:3:5")
    assert found.message == "expected a label among cat, dog in the column y, found 'cow'"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes(b"X0,X1,y\n1,2,\xe9\n")
    (tmp_path / "fake.npz").write_bytes(b"nothing")
    cases = {"latin.csv": "found the byte 0xe9", "none.csv": "found none", "fake.npz": "found something else"}
    for name, message in cases.items():
        with pytest.raises(GraphcError, match=message) as caught:
            dataset_of(MODEL, tmp_path / name)
        assert caught.value.diagnostics[0].code == "GC513"


GOOD = {"X": np.zeros((3, 2)), "y": np.zeros(3, int)}


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"y": None}, "GC511", "expected data for y: int64[N], found none"),
        ({"X": np.zeros((3, 4))}, "GC511", "expected the shape (N, 2) for X, found (3, 4)"),
        ({"X": np.zeros(3)}, "GC511", "expected the shape (N, 2) for X, found (3,)"),
        ({"y": np.zeros(4, int)}, "GC511", "expected as many in y as in X, found 4 and 3 for N"),
        ({"Z": np.zeros(3)}, "GC511", "expected arrays for X, y, found one for Z"),
        ({"y": np.zeros(3)}, "GC512", "expected integers for y, found float64"),
        ({"X": np.array([["a", "b"]] * 3)}, "GC512", "expected numbers for X, found <U1"),
        ({"X": [[1, 2], [3]]}, "GC512", "expected an array for X, found none"),
        ({"X": [[1, 2], [3, np.nan], [5, 6]]}, "GC512", "expected finite numbers for X, found nan at [1, 1]"),
        ({"y": [0, 1, 2]}, "GC512", "expected labels from 0 to 1 for y, found 2 at [2]"),
        (
            {"y": np.array([0, 1, 2**63], np.uint64)},
            "GC512",
            "expected integers of int64 for y, found 9223372036854775808",
        ),
        ({"X": np.zeros((0, 2)), "y": np.zeros(0, int)}, "GC513", "expected examples, found none in X"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, Any], code: str, message: str) -> None:
    data = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(GraphcError) as caught:
        dataset_of(MODEL, data)
    assert caught.value.diagnostics[0].code == code
    assert message in caught.value.diagnostics[0].message


@pytest.mark.parametrize(
    ("y", "hint"),
    [
        ([1, 2, 2], "labels count from 0: `y - 1`"),
        ([0.0, 1.0, 1.0], "`y.astype(int)`"),
        ([0.5, 1.0, 1.0], ""),
        (["a", "b", "b"], "`texts, y = numpy.unique(y, return_inverse=True)` counts them from 0"),
        ([-1, 2, 2], ""),
    ],
)
def test_labels_in_another_form_are_told_the_right_one(y: list[Any], hint: str) -> None:
    with pytest.raises(GraphcError) as caught:
        dataset_of(MODEL, {**GOOD, "y": y})
    assert caught.value.diagnostics[0].hint == hint


def test_a_masked_array_is_refused() -> None:
    masked = np.ma.masked_greater(np.ones((3, 2)), 0.5)
    with pytest.raises(GraphcError, match="expected an array without a mask for X, found a masked one"):
        dataset_of(MODEL, {**GOOD, "X": masked})


@pytest.mark.parametrize("data", [None, (1, 2), np.zeros((3, 2))])
def test_what_is_no_data_is_refused(data: Any) -> None:
    with pytest.raises(GraphcError, match="expected a mapping with an array for each input, or the path of a table"):
        dataset_of(MODEL, data)


def test_columns_are_of_tables() -> None:
    with pytest.raises(GraphcError, match="columns are of tables"):
        dataset_of(MODEL, GOOD, {"X": ["a"]})


def test_arrays_of_a_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", **GOOD)
    assert dataset_of(MODEL, tmp_path / "d.npz").count == 3


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row at a time."""
    for module in (csv_table, conversion):
        monkeypatch.setattr(module, "CELLS", 1)


@pytest.mark.parametrize(("text", "columns", "code", "place", "message"), BAD)
def test_places_are_those_of_the_file_whatever_the_chunk(
    tmp_path: Path,
    small_chunks: None,
    text: str,
    columns: dict[str, list[str]],
    code: str,
    place: str,
    message: str,
) -> None:
    test_bad_files_are_refused_at_their_place(tmp_path, text, columns, code, place, message)


def test_arrays_are_the_same_whatever_the_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = [f"{x!r},{y!r},{kind}" for x, y, kind in zip(*rng.normal(size=(2, 99)).tolist(), "cab" * 33, strict=True)]
    model = graphc.compile("X: Input[N, 2]; y: Input[N, int64]; w: Param[3] = 0; loss: Output = sum(X) * sum(w[y])")
    (tmp_path / "d.csv").write_text("\n".join(["X0,X1,y", *rows]))
    whole = dataset_of(model, tmp_path / "d.csv")
    assert whole.arrays["y"].tolist() == [2, 0, 1] * 33
    np.testing.assert_array_equal(whole.arrays["X"], [[float(cell) for cell in row.split(",")[:2]] for row in rows])
    for cells in (1, 7, 100):
        for module in (csv_table, conversion):
            monkeypatch.setattr(module, "CELLS", cells)
        parts = dataset_of(model, tmp_path / "d.csv")
        assert parts.labels == whole.labels == {"y": ["a", "b", "c"]}
        assert all(np.array_equal(parts.arrays[name], whole.arrays[name]) for name in whole.arrays)


def test_one_text_makes_all_of_a_column_labels(tmp_path: Path, small_chunks: None) -> None:
    model = graphc.compile("c: Input[N, 2, int64]; w: Param[9] = 0; loss: Output = sum(w[c])")
    (tmp_path / "d.csv").write_text("c0,c1\n1,01\n2,1\n2,x\n")
    found = dataset_of(model, tmp_path / "d.csv")
    assert found.labels == {"c": ["01", "1", "2", "x"]}
    assert found.arrays["c"].tolist() == [[1, 0], [2, 1], [2, 3]]


def test_integers_are_exact_and_within_their_dtype(tmp_path: Path) -> None:
    model = graphc.compile("i: Input[N, int64]; b: Input[N, bool]; w: Param = 0; loss: Output = w * sum(i) * sum(b)")
    path = tmp_path / "d.csv"
    path.write_text(f"i,b\n{2**53 + 1},0\n{-(2**63)},1\n+7.0,1\n")
    found = dataset_of(model, path)
    assert found.arrays["i"].tolist() == [2**53 + 1, -(2**63), 7]
    assert found.arrays["b"].tolist() == [False, True, True]
    for text, message in (
        ("9223372036854775808,0", "expected an integer from -9223372036854775808"),
        ("0,2", "0 to 1"),
    ):
        path.write_text(f"i,b\n{text}\n")
        with pytest.raises(GraphcError, match=message):
            dataset_of(model, path)


def test_what_overflows_in_the_dtype_of_the_model_is_not_finite(tmp_path: Path) -> None:
    model = graphc.compile("x: Input[N]; w: Param = 0; loss: Output = w * sum(x)", dtype="float32")
    (tmp_path / "d.csv").write_text("x\n1\n1e300\n")
    with pytest.raises(GraphcError) as caught:
        dataset_of(model, tmp_path / "d.csv")
    assert str(caught.value.diagnostics[0].span) == "d.csv:3:1"
    with pytest.raises(GraphcError, match=r"expected finite numbers for x, found 1e\+300 at \[1\]"):
        dataset_of(model, {"x": [1.0, 1e300]})


def test_free_sizes_are_those_of_the_columns(tmp_path: Path) -> None:
    model = graphc.compile("X: Input[N, M]; Z: Input[N, M]; w: Param = 0; loss: Output = w * sum(X * Z)")
    (tmp_path / "d.csv").write_text("X0,X1,Z0,Z1,Z2\n1,2,3,4,5\n")
    with pytest.raises(GraphcError, match="expected as many in Z as in X, found 3 and 2 for M"):
        dataset_of(model, tmp_path / "d.csv")
    assert dataset_of(model, tmp_path / "d.csv", {"Z": ["Z0", "Z2"]}).arrays["Z"].tolist() == [[3, 5]]
    model = graphc.compile("X: Input[N, M, 2]; w: Param = 0; loss: Output = w * sum(X)")
    with pytest.raises(GraphcError, match=r"expected columns that fill the shape \(N, M, 2\) of X, found 3"):
        dataset_of(model, tmp_path / "d.csv", {"X": ["X0", "X1", "Z0"]})


def test_more_labels_than_the_model_has_classes(tmp_path: Path) -> None:
    with pytest.raises(GraphcError, match="expected at most 2 labels for y, found 3"):
        read(tmp_path, HEADER + "1,2,a\n", labels={"y": ["a", "b", "c"]})


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(HEADER + "1,2,dog\n3,4,cat\n",))
    writer.start()
    assert dataset_of(MODEL, tmp_path / "pipe").arrays["y"].tolist() == [1, 0]
    writer.join()


def test_one_line_without_end_does_not_get_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_table, "_LONGEST", 1000)
    with pytest.raises(GraphcError, match="found one of more than 1000 characters"):
        read(tmp_path, "[0, 1]," * 1000)


def test_no_room_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(conversion.tempfile, "TemporaryFile", full)
    with pytest.raises(GraphcError, match=r"expected room for the numbers of a table in .*: no space left on device"):
        read(tmp_path, HEADER + "1,2,0\n")


def test_arrays_that_numpy_maps_stay_on_disk(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", GOOD["X"])
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert np.shares_memory(dataset_of(MODEL, {**GOOD, "X": mapped}).arrays["X"], mapped)


def test_a_model_that_takes_no_examples_has_none_in_a_table(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("x\n1\n")
    with pytest.raises(GraphcError, match=r"for the rows of a table, found x: float64\[3\]"):
        dataset_of(graphc.compile("x: Input[3]; w: Param = 0; loss: Output = w * sum(x)"), tmp_path / "d.csv")
