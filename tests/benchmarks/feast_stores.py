"""What turnout adds to a look-up by Feast, on duckdb and SQLite: against the same look-up by Feast's own calls."""

from __future__ import annotations

import json
from pathlib import Path

from measure import Result, project, run

PYTHON = Path(__file__).parents[2] / ".venv-feast" / "bin" / "python"
ROWS, FEATURES, LOOK_UPS = 300_000, 10, 100
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
    "bare": lambda one, row: feast.get_online_features(features=features, entity_rows=one).to_dict(),
    "here": lambda one, row: here.call("online", look, row),
    "apart": lambda one, row: apart.call("online", look, row),
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

def beside():
    tasks = Path(f"/proc/{{apart._child.pid}}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

def paced():  # processor time of both processes, a read every few milliseconds as requests come: caches are cold
    found = {{name: [] for name in reads}}
    for turn in range(5):
        for name, read in reads.items():  # in blocks: Feast caches for one store in a process
            for number, (one, row) in enumerate(zip(asked, rows)):
                time.sleep(0.003)
                other, began = beside(), time.process_time()
                read(one, row)
                took = time.process_time() - began
                time.sleep(0.001)  # what the other process does after its answer is its share, too
                if number >= {LOOK_UPS} // 10:
                    found[name].append(took + beside() - other)
    return {{name: sorted(each)[len(each) // 2] for name, each in found.items()}}

print(json.dumps({{"join": medians(joins), "read": paced()}}))
"""


def measure() -> list[Result]:
    """The share of turnout, over what Feast itself takes, of a join and of a read of one row."""
    joined, read, apart = (
        f"{ROWS:,} rows joined with {FEATURES} features by Feast on duckdb",
        "One row online by Feast on SQLite",
        "The same, Feast in a process of its own",
    )
    if not PYTHON.exists():
        reason = "make test-engines makes its environment"
        return [
            Result(joined, "not measured", "≤ 5 % over Feast", None, reason),
            Result(read, "not measured", "≤ 1 times over Feast", None, reason),
            Result(apart, "not measured", "≤ 1 times over Feast", None, reason),
        ]
    found = json.loads(run([str(PYTHON), "-c", CODE], project("")).output.splitlines()[-1])
    join = found["join"]["here"] / found["join"]["bare"] - 1
    times = {name: seconds * 1e3 for name, seconds in found["read"].items()}
    return [
        Result(
            joined,
            f"{join:+.0%} over Feast",
            "≤ 5 % over Feast",
            join <= 0.05,
            f"{found['join']['here'] * 1e3:.0f} ms of processor time with each row put in its place, "
            f"{found['join']['bare'] * 1e3:.0f} ms by Feast's own call, which keeps no order",
        ),
        *(
            Result(
                title,
                f"{times[name] / times['bare'] - 1:.2f} times over Feast",
                "≤ 1 times over Feast",
                times[name] / times["bare"] <= 2,
                f"{times[name]:.2f} ms of processor time, {times['bare']:.2f} ms by Feast's own call in this process",
            )
            for title, name in ((read, "here"), (apart, "apart"))
        ),
    ]
