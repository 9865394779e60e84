"""What the local feature store has online: windows, pushes, changes of a view, and many at once."""

import os
import sqlite3
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from waiting import until

from turnout.base.errors import ConfigError, RunError
from turnout.features import retrieval
from turnout.features.local.settings import LocalFeatureSettings, ViewSettings
from turnout.features.local.store import LocalFeatureStore


def at(hour):
    return datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(hours=hour)


def put(folder, rows, **types):
    """Write rows of key, hour and value as the view's file."""
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    pa.parquet.write_table(
        pa.table(
            {
                "k": pa.array(columns[0], pa.string()),
                "t": pa.array(map(at, columns[1]), pa.timestamp("us", "UTC")),
                "x": pa.array(columns[2], types.get("x", pa.int64())),
            }
        ),
        folder / "v.parquet",
    )


def open_store(folder, **view):
    views = {"v": ViewSettings(keys=("k",), timestamp="t", **view)}
    return LocalFeatureStore(LocalFeatureSettings(folder=str(folder), views=views))


def look(store, *keys, feature="x"):
    return retrieval.online(store, pa.table({"k": list(keys)}), [f"v:{feature}"])[feature].to_pylist()


def push(store, *rows):
    columns = list(zip(*rows, strict=True))
    return store.push("v", pa.table({"k": columns[0], "t": list(map(at, columns[1])), "x": columns[2]}))


@pytest.fixture
def store(tmp_path):
    put(tmp_path, [("a", 1, 10), ("a", 5, 50), ("b", 2, 20)])
    return open_store(tmp_path)


def test_windows_are_told(store):
    (first,) = store.materialize(at(2))
    (second,) = store.materialize(at(6))
    (again,) = store.materialize(at(6))
    assert (first.since, first.until, first.rows) == (None, at(2), 2)
    assert (second.since, second.until, second.rows) == (at(2), at(6), 1)
    assert again.note == "it is online until 2026-01-01T06:00:00+00:00 already"


def test_late_rows_are_read_by_force(store, tmp_path):
    store.materialize(at(6))
    put(tmp_path, [("a", 1, 10), ("a", 5, 50), ("b", 2, 20), ("c", 3, 30), ("a", 4, 40)])
    store.materialize(at(7))
    assert look(store, "a", "c") == [50, None]
    store.materialize(at(7), force=True)
    assert look(store, "a", "c") == [50, 30]


def test_a_view_that_changed_is_read_from_its_beginning(store, tmp_path):
    store.materialize(at(6))
    table = pa.parquet.read_table(tmp_path / "v.parquet")
    pa.parquet.write_table(table.append_column("y", pa.array([1.5, 2.5, 3.5])), tmp_path / "v.parquet")
    changed = open_store(tmp_path)
    with pytest.raises(RunError, match="the feature 'y' of the view 'v' is not online"):
        look(changed, "a", feature="y")
    (done,) = changed.materialize(at(6))
    assert (done.since, done.rows) == (None, 2)
    assert look(changed, "a", "b", feature="y") == [2.5, 3.5]


def test_other_keys_leave_nothing_of_the_old_ones(store, tmp_path):
    store.materialize(at(6))
    table = pa.parquet.read_table(tmp_path / "v.parquet")
    pa.parquet.write_table(table.set_column(0, "k", pa.array([1, 1, 2])), tmp_path / "v.parquet")
    changed = open_store(tmp_path)
    changed.materialize(at(6))
    assert look(changed, 1, 2, 3) == [50, 20, None]
    with sqlite3.connect(tmp_path / "online.sqlite") as connection:
        assert connection.execute("select count(*) from entities").fetchone() == (2,)
    connection.close()


def test_pushed_rows_alone_are_online(store):
    assert push(store, ("a", 3, 30), ("a", 2, 20), ("z", 1, 1)) == 2
    assert look(store, "a", "b", "z") == [30, None, 1]
    (view,) = store.describe()
    assert view.materialized_until is None
    assert push(store, ("a", 1, 9)) == 0
    (done,) = store.materialize(at(6))
    assert done.since is None
    assert look(store, "a", "b", "z") == [50, 20, 1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"k": ["a"], "t": [at(1)]}, "have no column 'x'"),
        ({"k": ["a", None], "t": [at(1)] * 2, "x": [1, 2]}, "has no k"),
        ({"k": [3], "t": [at(1)], "x": [1]}, "never matches the key"),
        ({"k": ["a"], "t": ["soon"], "x": [1]}, "cannot be read as times"),
        ({"k": ["a"], "t": [at(1)], "x": ["one"]}, "have other types than its file"),
    ],
)
def test_rows_that_do_not_fit_are_not_pushed(store, rows, message):
    with pytest.raises(RunError, match=message):
        store.push("v", pa.table(rows))


def test_pushed_rows_are_converted(store):
    assert (
        store.push("v", pa.table({"x": [7.0], "t": ["2026-01-01T09:00"], "k": pa.array(["a"]).dictionary_encode()}))
        == 1
    )
    store.materialize(at(6))
    assert look(store, "a") == [7]


def test_what_cannot_be_online_is_said(tmp_path):
    put(tmp_path, [("a", 1, {"y": 1})], x=pa.struct([("y", pa.int64())]))
    with pytest.raises(ConfigError, match=r"'x' of the view 'v' is struct<y: int64>, which cannot be online"):
        open_store(tmp_path).materialize(at(2))


def test_times_of_a_view_may_be_texts(tmp_path):
    table = pa.table({"k": ["a", "a"], "t": ["2026-01-01T01:00", "2026-01-01T05:00+01:00"], "x": [1, 2]})
    pa.parquet.write_table(table, tmp_path / "v.parquet")
    store = open_store(tmp_path)
    asked = pa.table({"k": ["a", "a"], "t": [at(3), at(4)]})
    assert retrieval.historical(store, asked, ["v:x"])["x"].to_pylist() == [1, 2]
    store.materialize(at(3))
    assert look(store, "a") == [1]
    pa.parquet.write_table(table.set_column(1, "t", pa.array([1, 2])), tmp_path / "v.parquet")
    with pytest.raises(RunError, match="the column 't' of the feature view 'v' has numbers, not times"):
        retrieval.historical(store, asked, ["v:x"])


def test_a_view_may_be_a_folder_of_files(tmp_path):
    put(tmp_path, [("a", 1, 10), ("b", 2, 20)])
    (tmp_path / "v" / "2026").mkdir(parents=True)
    (tmp_path / "v.parquet").rename(tmp_path / "v" / "2026" / "one.parquet")
    put(tmp_path, [("a", 5, 50)])
    (tmp_path / "v.parquet").rename(tmp_path / "v" / "two.parquet")
    store = open_store(tmp_path)
    asked = pa.table({"k": ["a", "a", "b"], "t": [at(4), at(5), at(5)]})
    assert retrieval.historical(store, asked, ["v:x"])["x"].to_pylist() == [10, 50, 20]
    before = store.version(["v:x"])
    (tmp_path / "v" / "two.parquet").unlink()
    assert store.version(["v:x"]) != before


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (pa.float64(), float("inf")),
        (pa.string(), "ä\0"),
        (pa.bool_(), True),
        (pa.binary(), b"\x00\xff"),
        (pa.timestamp("ns", "Europe/Athens"), 1_700_000_000_000_000_001),
        (pa.timestamp("us"), datetime(2026, 1, 1)),  # noqa: DTZ001 -- it has no zone
        (pa.date32(), datetime(2026, 1, 1).date()),  # noqa: DTZ001
        (pa.decimal128(20, 3), Decimal("12345678901234567.125")),
        (pa.list_(pa.float64()), [1.5, None]),
        (pa.int64(), -(2**63)),
        (pa.uint64(), 2**64 - 1),
        (pa.float32(), 0.1),
    ],
    ids=str,
)
def test_values_come_back_as_they_are(tmp_path, type_, value):
    put(tmp_path, [("a", 1, value), ("b", 1, None)], x=type_)
    store = open_store(tmp_path)
    store.materialize(at(2))
    result = retrieval.online(store, pa.table({"k": ["a", "b"]}), ["v:x"])["x"]
    assert result.type == type_
    assert result.equals(pa.chunked_array([pa.array([value, None], type_)]))


def test_an_empty_view_is_materialized(tmp_path):
    put(tmp_path, [])
    store = open_store(tmp_path)
    (done,) = store.materialize(at(2))
    assert done.rows == 0
    assert look(store, "a") == [None]


def test_a_database_that_is_none_is_said(store, tmp_path):
    store.materialize(at(6))
    for path in tmp_path.glob("online.sqlite*"):
        path.unlink()
    (tmp_path / "online.sqlite").write_bytes(b"no database at all, but long enough to look like a file of one" * 20)
    with pytest.raises(RunError, match=r"online\.sqlite cannot be used: file is not a database"):
        look(store, "a")


def test_a_database_that_is_removed_is_made_again(store, tmp_path):
    store.materialize(at(6))
    assert look(store, "a") == [50]
    for path in tmp_path.glob("online.sqlite*"):
        path.unlink()
    with pytest.raises(RunError, match="was never materialized"):
        look(store, "a")
    store.materialize(at(2))
    assert look(store, "a") == [10]


WRITER = """
import sys
from pathlib import Path
from test_local_online import at, open_store, push
folder, hour = Path(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
store = open_store(folder)
for step in range(3):
    store.materialize(at(hour + 4 * step))
    push(store, (f"pushed {hour} {step}", hour, step))
"""


def test_four_processes_at_once_lose_nothing(tmp_path):
    put(tmp_path, [(str(n), n % 24, n) for n in range(240)])
    tests = Path(__file__).parent
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parents[1])])}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path, str(hour)],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for hour in range(4)
    ]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 4
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=300)
    assert [process.returncode for process in processes] == [0] * 4
    store = open_store(tmp_path)
    assert store.describe()[0].materialized_until == at(11)
    written = look(store, *(str(n) for n in range(240)))
    assert written == [n if n % 24 <= 11 else None for n in range(240)]
    assert look(store, *(f"pushed {hour} {step}" for hour in range(4) for step in range(3))) == [0, 1, 2] * 4


def test_reads_while_it_is_written_never_fail(tmp_path):
    put(tmp_path, [(str(n), 1, n) for n in range(2000)])
    store = open_store(tmp_path)
    store.materialize(at(2))
    stop, failures, reads = threading.Event(), [], [0]

    def read():
        while not stop.is_set():
            try:
                assert look(store, "7", "none", "1999") == [7, None, 1999]
                reads[0] += 1
            except BaseException as error:
                failures.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(5):
            open_store(tmp_path).materialize(at(2), force=True)
        until(lambda: reads[0] or failures)
    finally:
        stop.set()
    for reader in readers:
        reader.join()
    assert failures == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_a_forked_process_has_connections_of_its_own(store):
    store.materialize(at(6))
    assert look(store, "a") == [50]
    before = list(store._database._idle)
    child = os.fork()
    if child == 0:
        os._exit(0 if store._database._connection() not in before else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert look(store, "a") == [50]
