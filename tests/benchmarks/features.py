"""What a look-up of features costs, against Polars' own join that keeps the order, and a bare look-up in SQLite."""

from __future__ import annotations

import json
import sys

from measure import Result, project, run

ROWS, FEATURES, LOOK_UPS = 300_000, 10, 2_000
SETUP = f"""
import json, sqlite3, sys, time
from datetime import datetime, timezone
import numpy as np, polars as pl, pyarrow as pa
from turnout.features import retrieval
from turnout.features.local.settings import LocalFeatureSettings, ViewSettings
from turnout.features.local.store import LocalFeatureStore

size = int(sys.argv[1])
draw = np.random.default_rng(7)
YEAR = 365 * 86_400
airports = np.array([f"A{{n:03}}" for n in range(300)])
NAMES = [f"f{{n}}" for n in range({FEATURES})]

def times(count):
    return pl.Series(draw.integers(0, YEAR, count) * 1_000_000).cast(pl.Datetime("us", "UTC"))

view = pl.DataFrame({{"airport": airports[draw.integers(0, 300, size)], "since": times(size),
                     **{{name: draw.normal(0, 1, size) for name in NAMES}}}})
view.write_parquet("v.parquet")
table = pl.DataFrame({{"airport": airports[draw.integers(0, 300, {ROWS})], "at": times({ROWS})}})
views = {{"v": ViewSettings(keys=("airport",), timestamp="since")}}
store = LocalFeatureStore(LocalFeatureSettings(folder=".", views=views))
features = [f"v:{{name}}" for name in NAMES]

def ours():
    return retrieval.historical(store, table, features, timestamp="at")

def bare():
    right = pl.read_parquet("v.parquet").sort("since")
    left = table.with_row_index("row").sort("at")
    joined = left.join_asof(right, left_on="at", right_on="since", by="airport", check_sortedness=False)
    return joined.sort("row").drop("row", "since")

def cpu(call):
    began = time.process_time()
    result = call()
    return time.process_time() - began, result
"""
JOIN = f"""{SETUP}
_, one = cpu(ours)
_, other = cpu(bare)
assert one.select(NAMES).equals(other.select(NAMES)), "the two joins differ"
found = {{"bare": [], "ours": []}}
for _ in range(5):
    for name, call in (("bare", bare), ("ours", ours)):
        found[name].append(cpu(call)[0])
print(json.dumps({{name: sorted(each)[2] for name, each in found.items()}}))
"""
ONLINE = f"""{SETUP}
store.materialize(datetime(2027, 1, 1, tzinfo=timezone.utc))
keys = [str(airports[n % 300]) for n in range({LOOK_UPS})]
tables = [pa.table({{"turnout_row": pa.array([0]), "airport": [key]}}) for key in keys]
frames = [pa.table({{"airport": [key]}}) for key in keys]
mapping = {{"airport": "airport"}}
connection = sqlite3.connect("online.sqlite")
stored = [row[0] for row in connection.execute("select key from entities order by key")]
wanted = [stored[n % len(stored)] for n in range({LOOK_UPS})]

def bare():
    for key in wanted:
        connection.execute("select since, body from entities where view = ? and key = ?", ("v", key)).fetchone()

def of_store():
    for one in tables:
        store.online(one, features, keys=mapping)

def whole():
    for one in frames:
        retrieval.online(store, one, features)

found = {{"bare": [], "store": [], "whole": []}}
for _ in range(5):
    for name, call in (("bare", bare), ("store", of_store), ("whole", whole)):
        found[name].append(cpu(call)[0] / {LOOK_UPS})
connection.close()
print(json.dumps({{name: sorted(each)[2] for name, each in found.items()}}))
"""


def measure() -> list[Result]:
    """The ratios of joins against views of two sizes, and of looking up one row."""
    rows = []
    for size in (26_000, 1_000_000):
        sides = _run(JOIN, size)
        ratio = sides["ours"] / sides["bare"]
        detail = (
            f"{ROWS:,} rows joined as of their times with {FEATURES} features of a view of {size:,} rows: "
            f"{sides['ours'] * 1000:.0f} ms of processor time, Polars' own join, put back in order, "
            f"{sides['bare'] * 1000:.0f} ms"
        )
        rows.append(
            Result(
                f"{ROWS:,} rows joined with {FEATURES} features of a view of {size:,} rows",
                f"{ratio:.2f} times Polars' own join, put back in order",
                "≤ 1.05 times",
                ratio <= 1.05,
                detail,
            )
        )
    sides = _run(ONLINE, 26_000)
    ratio = sides["store"] / sides["bare"]
    detail = (
        f"one row online with {FEATURES} features: {sides['bare'] * 1e6:.1f} µs bare in SQLite, "
        f"{sides['store'] * 1e6:.1f} µs by the local store, {sides['whole'] * 1e6:.0f} µs with all that turnout checks"
    )
    rows.append(
        Result(
            "One row of features online",
            f"{ratio:.1f} times a bare look-up in SQLite",
            "≤ 10 times",
            ratio <= 10,
            detail,
        )
    )
    return rows


def _run(code: str, size: int) -> dict[str, float]:
    found: dict[str, float] = json.loads(run([sys.executable, "-c", code, str(size)], project("")).output)
    return found
