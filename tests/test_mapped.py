"""Values as mapped files: what comes back is what was saved, to the last bit and type, and cannot be written to.

Mutations that turn these red: take a `np.float64` for plain data; write arrays in C order; load without `mmap_mode`;
let a table whose columns have a name of their own be saved.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from search.contract import Prepared
from search.mapped import Unmappable, load, save

ROOT = Path(__file__).parents[1]
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.characters(categories=["Cs"])
TYPES = st.sampled_from(
    ["?", "b", "H", "i", "q", "Q", "e", "f", "d", "F", "D", ">i4", ">f8", "<U3", "S4", "M8[ns]", "m8[s]"]
)
ARRAYS = TYPES.flatmap(
    lambda name: hnp.arrays(np.dtype(name), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)
VALUES = st.recursive(
    PLAIN | ARRAYS,
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.lists(parts, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), parts, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "value"
    made.mkdir()
    return made


def through(value: object, folder: Path) -> Any:
    save(value, folder)
    return load(folder)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are alike to the last bit, with NaN like NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return repr(one) == repr(other)


@given(value=VALUES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_arrays_and_plain_data_in_any_nesting_come_back(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    assert same(through(value, tmp_path_factory.mktemp("value")), value)


@pytest.mark.parametrize("scalar", [np.float64(0.1), np.float32(1), np.int64(3), np.bool_(True), np.str_("é")])
def test_scalars_of_numpy_stay_what_they_are(folder: Path, scalar: Any) -> None:
    assert same(through(scalar, folder), scalar)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 1, 0), (0, 2, 1), (1, 2, 0), (1, 0, 2), (2, 0, 1)])
def test_an_array_keeps_the_order_of_its_axes_in_memory(folder: Path, axes: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).normal(size=(5, 7, 3)).transpose(axes)
    back = through(array, folder)
    assert back.strides == array.strides
    assert same(back, array)


@pytest.mark.parametrize(
    "array", [np.arange(12.0)[::-1], np.arange(24).reshape(4, 6)[:, ::2], np.broadcast_to(3, (2, 4))]
)
def test_an_array_with_gaps_or_backwards_comes_back(folder: Path, array: np.ndarray[Any, Any]) -> None:
    assert same(through(array, folder), array)


@pytest.mark.parametrize("shape", [(0,), (0, 7), (3, 0, 2), (0, *[1] * 25)])
def test_arrays_of_nothing_come_back(folder: Path, shape: tuple[int, ...]) -> None:
    back = through(np.empty(shape, np.float32), folder)
    assert (back.shape, back.dtype) == (shape, np.float32)
    assert not back.flags.writeable


# --- tables ---

TEXTS = st.none() | st.text(max_size=4)
COLUMNS: dict[str, Any] = {
    "float64": st.floats(),
    "float32": st.floats(width=32),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint8": st.integers(0, 255),
    "bool": st.booleans(),
    "str": TEXTS,
    "category": TEXTS,
    "datetime64[ns]": st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)),
    "timedelta64[s]": st.integers(0, 10**6),
}


@st.composite
def tables(draw: Any) -> pd.DataFrame:
    rows = draw(st.integers(0, 5))
    kinds = draw(st.lists(st.sampled_from([*COLUMNS]), min_size=1, max_size=5))
    columns = {
        f"{index} {kind}": pd.Series(draw(st.lists(COLUMNS[kind], min_size=rows, max_size=rows)), dtype=kind)
        for index, kind in enumerate(kinds)
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(rows))


@given(table=tables())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_tables_of_numbers_text_categories_and_times_come_back(
    tmp_path_factory: pytest.TempPathFactory, table: pd.DataFrame
) -> None:
    pd.testing.assert_frame_equal(through(table, tmp_path_factory.mktemp("value")), table, check_exact=True)


def test_a_wide_table_comes_back_with_its_names(folder: Path) -> None:
    table = pd.DataFrame(np.arange(6000.0).reshape(3, 2000), columns=[f"größe {index}" for index in range(2000)])
    back = through({"rows": table}, folder)["rows"]
    pd.testing.assert_frame_equal(back, table)


def test_missing_text_and_empty_text_stay_apart(folder: Path) -> None:
    table = pd.DataFrame({"a": pd.Series(["", None, "x\0y", "ß" * 1000], dtype="str")})
    back = through(table, folder)
    assert back["a"].isna().tolist() == [False, True, False, False]
    pd.testing.assert_frame_equal(back, table)


def test_not_a_number_in_a_column_of_numbers_is_a_number(folder: Path) -> None:
    table = pd.DataFrame({"a": [1.0, np.nan, np.inf, -0.0]})
    assert through(table, folder)["a"].to_numpy().tobytes() == table["a"].to_numpy().tobytes()


# --- other kinds ---


@pytest.mark.parametrize("kind", ["csr_matrix", "csr_array", "csc_matrix", "csc_array"])
@pytest.mark.parametrize("shape", [(4, 3), (0, 3)])
def test_sparse_matrices_keep_class_order_and_types(folder: Path, kind: str, shape: tuple[int, int]) -> None:
    value = getattr(scipy.sparse, kind)(np.arange(12, dtype=np.float32).reshape(4, 3)[: shape[0]] % 3)
    back = through(value, folder)
    assert type(back) is type(value)
    for name in ("data", "indices", "indptr"):
        assert same(getattr(back, name), getattr(value, name))
        assert not getattr(back, name).flags.writeable
    assert back.shape == shape


@pytest.mark.parametrize("name", ["float32", "float16", "int64", "bool", "uint8"])
def test_tensors_come_back_in_their_memory_format(folder: Path, name: str) -> None:
    tensor = torch.arange(24).reshape(1, 2, 3, 4).to(getattr(torch, name)).to(memory_format=torch.channels_last)
    back = through(tensor, folder)
    assert torch.equal(back, tensor)
    assert (back.dtype, back.stride()) == (tensor.dtype, tensor.stride())


def test_writing_into_a_tensor_changes_no_file(folder: Path) -> None:
    one = through(torch.zeros(1000), folder)
    one += 1
    assert float(load(folder).sum()) == 0


class Label(str):
    """Text that is more than text."""


LABELLED = pd.DataFrame({"a": [1, 2]})


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1, 2},
        {1: "a"},
        b"bytes",
        Label("x"),
        Prepared,
        np.array([object()], dtype=object),
        np.zeros(2, dtype=[("a", "f4")]),
        np.ma.masked_array([1, 2], [True, False]),
        scipy.sparse.coo_matrix(np.eye(2)),
        torch.zeros(2, requires_grad=True),
        torch.nn.Parameter(torch.zeros(2)),
        torch.zeros(2, dtype=torch.bfloat16),
        torch.eye(2).to_sparse(),
        torch.zeros(2, device="meta"),
        pd.Series([1, 2]),
        LABELLED.set_axis(["x", "y"]),
        LABELLED[::-1],
        LABELLED.set_axis([1], axis=1),
        pd.concat([LABELLED, LABELLED], axis=1),
        LABELLED.rename_axis(columns="name"),
        pd.DataFrame({"a": [{"b": 1}, 2]}),
        pd.DataFrame({"a": [2**70, 1]}),
        pd.DataFrame({"a": pd.Series(["x", 1], dtype=object)}),
        pd.DataFrame({"a": pd.Series(["\ud800"], dtype=object)}),
        pd.DataFrame({"a": [1 + 2j]}),
        pd.DataFrame({"a": pd.Series([1, None], dtype="Int64")}),
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_whatever_would_not_come_back_as_it_was_is_refused(folder: Path, value: object) -> None:
    with pytest.raises(Unmappable):
        save([np.zeros(2), value], folder)


# --- read-only, and not copied ---


@pytest.mark.parametrize("nothing", [False, True])
def test_writing_into_what_was_loaded_raises(folder: Path, nothing: bool) -> None:
    rows = 0 if nothing else 3
    table = pd.DataFrame({"a": np.ones(rows), "b": np.ones(rows, bool)})
    array, back = through((np.ones((rows, 2)), table), folder)
    with pytest.raises(ValueError, match="read-only"):
        array += 1
    with pytest.raises(ValueError, match="read-only"):
        back["a"].to_numpy()[:] = 2
    back["c"] = 1  # a column of one's own is no writing into what is there
    assert "c" not in load(folder)[1]


def test_loading_takes_no_memory(folder: Path) -> None:
    rows = np.ones((4_000_000, 10), np.float32)  # 160 MB
    table = pd.DataFrame({f"c{index}": rows[:, index] for index in range(5)})
    save([rows, table], folder)
    code = """if True:
        import pathlib, re, sys, numpy, pandas, pyarrow.ipc
        from search.mapped import load
        def own():
            return int(re.search(r"RssAnon:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
        before = own()
        rows, table = load(pathlib.Path(sys.argv[1]))
        assert rows[3_999_999, 9] == 1 and table["c4"].iloc[-1] == 1
        print(own() - before)
    """
    out = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert int(out.stdout) < 20_000  # kB
