"""Parquet files as data: the numbers and labels that the same table has in a CSV file, and what is wrong with one."""

from __future__ import annotations

import datetime
import decimal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc
from graphc.errors import GraphcError
from graphc.training import conversion, parquet_table
from graphc.training.dataset import Dataset, dataset_of

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

MODEL = graphc.compile(
    "X: Input[N, 2]; y: Input[N, int64]; z = dense(X, 2); loss: Output = mean(cross_entropy(z, y)); p: Output = z"
)
GOOD = {"X0": [1.0, 3.0], "X1": [2.0, 4.0], "y": [0, 1]}


def read(folder: Path, columns: dict[str, Any], **options: Any) -> Dataset:
    parquet.write_table(pa.table(columns), folder / "d.parquet")
    return dataset_of(MODEL, folder / "d.parquet", **options)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"X0": [1, 3], "X1": pa.array([2, 4], pa.float32()), "y": [0.0, 1.0]},
        {"X0": [decimal.Decimal("1.0"), decimal.Decimal("3.0")], "y": [False, True]},
        {"X0": ["1", " 3e0 "], "X1": pa.array(np.array([2, 4], np.float16)), "y": ["0", "1"]},
        {"y": pa.array([0, 1], pa.uint8()), "other": [[1], [2]]},
    ],
)
def test_columns_are_read(tmp_path: Path, change: dict[str, Any]) -> None:
    found = read(tmp_path, {**GOOD, **change})
    np.testing.assert_array_equal(found.arrays["X"], [[1, 2], [3, 4]])
    assert found.arrays["y"].tolist() == [0, 1]
    assert not found.labels


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_texts_are_labels_in_sorted_order(tmp_path: Path, kind: Any) -> None:
    columns = {"y": pa.array(["dog", "cat"], pa.string()).cast(kind)}
    found = read(tmp_path, {**GOOD, **columns})
    assert found.arrays["y"].tolist() == [1, 0]
    assert found.labels == {"y": ["cat", "dog"]}
    assert read(tmp_path, {**GOOD, **columns}, labels={"y": ["dog", "cat"]}).arrays["y"].tolist() == [0, 1]


BAD = [
    ({"y": pa.array([], pa.int64()), "X0": [], "X1": []}, "GC513", "expected rows in d.parquet, found none"),
    ({"y": None}, "GC511", "expected a column y for the input y, found X0, X1 in d.parquet"),
    ({"X1": ["2", "b"]}, "GC512", "expected a number in the column X1, found 'b' in row 2 of d.parquet"),
    ({"X1": [2.0, None]}, "GC512", "expected a number in the column X1, found an empty cell in row 2 of d.parquet"),
    ({"X1": [2.0, np.nan]}, "GC512", "expected a finite number in the column X1, found 'nan' in row 2 of d.parquet"),
    ({"X1": [np.inf, 2.0]}, "GC512", "expected a finite number in the column X1, found 'inf' in row 1 of d.parquet"),
    ({"y": [0, 2]}, "GC512", "expected an integer from 0 to 1 in the column y, found '2' in row 2 of d.parquet"),
    ({"y": [0, 1.5]}, "GC512", "expected an integer in the column y, found '1.5' in row 2 of d.parquet"),
    ({"y": [0, np.nan]}, "GC512", "expected an integer in the column y, found 'nan' in row 2 of d.parquet"),
    ({"y": [0, None]}, "GC512", "expected an integer in the column y, found an empty cell in row 2 of d.parquet"),
    ({"y": ["a", None]}, "GC512", "expected a label in the column y, found an empty cell in row 2 of d.parquet"),
    ({"y": pa.nulls(2)}, "GC512", "expected an integer in the column y, found an empty cell in row 1 of d.parquet"),
    (
        {"y": pa.array([0, 2**64 - 1], pa.uint64())},
        "GC512",
        "expected an integer from 0 to 1 in the column y, found '18446744073709551615' in row 2 of d.parquet",
    ),
    (
        {"X1": [datetime.date(2020, 1, 1)] * 2},
        "GC512",
        "expected numbers or texts in the column X1 of d.parquet, found date32[day]",
    ),
]


@pytest.mark.parametrize(("change", "code", "message"), BAD)
@pytest.mark.parametrize("cells", [1, 1000])
def test_bad_files_are_refused_with_row_and_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], code: str, message: str, cells: int
) -> None:
    for module in (parquet_table, conversion):
        monkeypatch.setattr(module, "CELLS", cells)
    columns = {name: values for name, values in {**GOOD, **change}.items() if values is not None}
    with pytest.raises(GraphcError) as caught:
        read(tmp_path, columns)
    (found,) = caught.value.diagnostics
    assert (found.code, found.message) == (code, message)


def test_columns_with_one_name(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1.0])] * 2, names=["X0", "X0"])
    parquet.write_table(table, tmp_path / "d.parquet")
    with pytest.raises(GraphcError, match=r"expected columns with names of their own in d\.parquet, found X0 twice"):
        dataset_of(MODEL, tmp_path / "d.parquet")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("X0,X1,y\n1,2,0\n")
    (tmp_path / "empty.parquet").write_bytes(b"")
    parquet.write_table(pa.table({**GOOD, "X0": np.arange(2.0)}), tmp_path / "cut.parquet", compression="none")
    whole = (tmp_path / "cut.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:4] + bytes(60) + whole[64:])
    for name in ("text.parquet", "empty.parquet", "cut.parquet", "none.parquet", "."):
        with pytest.raises(GraphcError, match=r"expected a (Parquet )?file (of data )?at .*found") as caught:
            dataset_of(MODEL, tmp_path / name if name != "." else _folder(tmp_path / "folder.parquet"))
        assert caught.value.diagnostics[0].code == "GC513"


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_without_pyarrow_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(GraphcError) as caught:
        dataset_of(MODEL, tmp_path / "d.parquet")
    (found,) = caught.value.diagnostics
    assert (found.code, found.hint) == ("GC418", '`pip install "pyarrow>=17"`')


def test_a_file_is_read_in_parts(tmp_path: Path) -> None:
    columns = np.random.default_rng(0).normal(size=(3, 200_000))
    table = pa.table({"X0": columns[0], "X1": columns[1], "y": columns[2] > 0})
    parquet.write_table(table, tmp_path / "d.parquet", data_page_size=2**14, use_dictionary=False)
    usual, pool = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    pa.set_memory_pool(pool)
    try:
        found = dataset_of(MODEL, tmp_path / "d.parquet")
    finally:
        pa.set_memory_pool(usual)
    np.testing.assert_array_equal(found.arrays["X"], columns[:2].T)
    assert 0 < pool.max_memory() < columns.nbytes / 10
