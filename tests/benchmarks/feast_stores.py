"""What turnout adds to a look-up by Feast, on duckdb and SQLite: against the same look-up by Feast's own calls."""

from __future__ import annotations

import json
from pathlib import Path

from measure import Result, project, run

PYTHON = Path(__file__).parents[2] / ".venv-feast" / "bin" / "python"
ROWS, FEATURES, LOOK_UPS = 300_000, 10, 400
CODE = f"""
import json, sys, time, warnings
warnings.filterwarnings("ignore")
from datetime import timedelta
from pathlib import Path
import numpy as np, pandas as pd, pyarrow as pa
from feast import Entity, FeatureStore, FeatureView, Field, FileSource
from feast.types import Float64
from feast.value_type import ValueType
from turnout_feast.process import Process
from turnout_feast.service import Service
from turnout_feast.settings import FeastSettings

folder, draw, first = Path.cwd(), np.random.default_rng(7), pd.Timestamp("2026-01-01", tz="UTC")
names = [f"f{{n}}" for n in range({FEATURES})]
airports = np.array([f"A{{n:04}}" for n in range(1000)])
Path("feature_store.yaml").write_text(
    "project: bench\\nprovider: local\\nregistry: registry.db\\noffline_store: {{type: duckdb}}\\n"
    "online_store: {{type: sqlite, path: online.db}}\\nentity_key_serialization_version: 3\\n"
)

def times(count):
    return first + pd.to_timedelta(draw.integers(0, 365 * 86400, count), "s")

pd.DataFrame({{"airport": airports[draw.integers(0, 1000, 26_000)], "since": times(26_000),
              **{{name: draw.normal(size=26_000) for name in names}}}}).to_parquet("v.parquet")
airport = Entity(name="airport", join_keys=["airport"], value_type=ValueType.STRING)
source = FileSource(path=str(folder / "v.parquet"), timestamp_field="since")
schema = [Field(name=name, dtype=Float64) for name in names]
view = FeatureView(name="v", entities=[airport], ttl=timedelta(0), schema=schema, source=source)
feast = FeatureStore(repo_path=str(folder))
feast.apply([airport, view])
entities = pd.DataFrame({{"airport": airports[draw.integers(0, 1000, {ROWS})], "event_timestamp": times({ROWS})}})
table = pa.table({{"airport": pa.array(entities["airport"]), "turnout_row": np.arange({ROWS}),
                  "at": pa.array(entities["event_timestamp"]).cast(pa.timestamp("us", "UTC"))}})
features, keys, settings = [f"v:{{name}}" for name in names], {{"airport": "airport"}}, FeastSettings(repo=str(folder))
here = Service(settings)
join = {{"features": features, "keys": keys, "timestamp": "at", "known_at": False}}
joins = {{
    "bare": lambda: feast.get_historical_features(entity_df=entities.copy(), features=features).to_arrow(),
    "here": lambda: here.call("historical", join, table),
}}
window = {{"until": "2027-01-01T00:00:00+00:00", "since": None, "views": [], "force": False}}
here.call("materialize", window)
apart = Process(sys.executable, settings)
feast = FeatureStore(repo_path=str(folder))
rows = [table.slice(n, 1) for n in range({LOOK_UPS})]
asked = [[{{"airport": row["airport"][0].as_py()}}] for row in rows]
look = {{"features": features, "keys": keys}}
reads = {{
    "bare": lambda: [feast.get_online_features(features=features, entity_rows=one).to_dict() for one in asked],
    "here": lambda: [here.call("online", look, row) for row in rows],
}}

def medians(calls):
    found = {{name: [] for name in calls}}
    for turn in range(6):
        for name, call in calls.items():
            began = time.process_time()
            call()
            if turn:
                found[name].append(time.process_time() - began)
    return {{name: sorted(each)[2] for name, each in found.items()}}

waits = []
for row in rows:
    began = time.perf_counter()
    apart.call("online", look, row)
    waits.append(time.perf_counter() - began)
print(json.dumps({{"join": medians(joins), "read": medians(reads), "apart": sorted(waits)[len(waits) // 2]}}))
"""


def measure() -> list[Result]:
    """The share of turnout, over what Feast itself takes, of a join and of a read of one row."""
    joined, read = (
        f"{ROWS:,} rows joined with {FEATURES} features by Feast on duckdb",
        "One row online by Feast on SQLite",
    )
    if not PYTHON.exists():
        reason = "make test-engines makes its environment"
        return [
            Result(joined, "not measured", "≤ 5 % over Feast", None, reason),
            Result(read, "not measured", "≤ 1 times over Feast", None, reason),
        ]
    found = json.loads(run([str(PYTHON), "-c", CODE], project("")).output.splitlines()[-1])
    join = found["join"]["here"] / found["join"]["bare"] - 1
    one = found["read"]["here"] / found["read"]["bare"] - 1
    times = {name: seconds / LOOK_UPS * 1e3 for name, seconds in found["read"].items()}
    return [
        Result(
            joined,
            f"{join:+.0%} over Feast",
            "≤ 5 % over Feast",
            join <= 0.05,
            f"{found['join']['here'] * 1e3:.0f} ms of processor time with each row put in its place, "
            f"{found['join']['bare'] * 1e3:.0f} ms by Feast's own call, which keeps no order",
        ),
        Result(
            read,
            f"{one:.2f} times over Feast",
            "≤ 1 times over Feast",
            one <= 1,
            f"{times['here']:.2f} ms of processor time, {times['bare']:.2f} ms by Feast's own call; asked of a process of "
            f"its own the answer takes {found['apart'] * 1e3:.2f} ms",
        ),
    ]
