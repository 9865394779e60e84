"""What reading a pickle costs whose checked bytes are the loaded ones, against checking a file and loading it then."""

from __future__ import annotations

import json
import shutil
import sys
from statistics import median

from measure import REPEATS, Result, project, run

SCRIPT = """
import hashlib
import json
import pickle
import sys
import time
from pathlib import Path
import numpy as np
from sklearn.neighbors import KNeighborsRegressor
from turnout.artifacts.artifacts import Artifacts
from turnout.materializers.builtin import BUILTIN
from turnout.materializers.choice import Materializers
from turnout.stores import layout
from turnout.stores.local import LocalStore

class Held:
    def __init__(self, values):
        self.values = values

draw = np.random.default_rng(7)
MADE = {
    "arrays": lambda: Held([draw.random(1 << 21) for _ in range(8)]),
    "model": lambda: KNeighborsRegressor(algorithm="brute").fit(draw.random((1 << 21, 7)), draw.random(1 << 21)),
    "objects": lambda: Held([{"number": number, "text": f"text {number}"} for number in range(1 << 19)]),
}
artifacts = Artifacts(LocalStore.from_url(str(Path("store").absolute())), Materializers(BUILTIN), Path("work"))
artifact = artifacts.save_value(MADE[sys.argv[1]]())
(file,) = artifacts.local_folder(artifact).iterdir()

def plain():
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    with file.open("rb") as stream:
        return pickle.load(stream)

def ours():
    return artifacts.load(artifact)

taken = {"plain": [], "ours": []}
for _ in range(int(sys.argv[2])):
    for name, read in (("plain", plain), ("ours", ours)):
        began = time.process_time()
        value = read()
        taken[name].append(time.process_time() - began)
        del value
print(json.dumps({"size": file.stat().st_size, **taken}))
"""
KINDS = {
    "arrays": "an object with arrays",
    "model": "an estimator of scikit-learn",
    "objects": "half a million small objects",
}
TARGET = 1.05


def measure() -> list[Result]:
    """Processor time of one process that reads each file both ways in turn."""
    return [_result(kind, text) for kind, text in KINDS.items()]


def _result(kind: str, text: str) -> Result:
    folder = project("")
    (folder / "reading.py").write_text(SCRIPT)
    output = run([sys.executable, "reading.py", kind, str(max(REPEATS, 7))], folder).output
    shutil.rmtree(folder)
    found = json.loads(output)
    ratio = median(ours / plain for ours, plain in zip(found["ours"], found["plain"], strict=True))
    return Result(
        f"Reading a pickle, {text}",
        f"{ratio:.2f} times checking the file and loading it then",
        f"≤ {TARGET} times",
        ratio <= TARGET,
        f"{median(found['ours']) * 1000:.0f} ms of processor time, {median(found['plain']) * 1000:.0f} ms for SHA-256 and "
        f"`pickle.load`, of a file of {found['size'] / 2**20:.0f} MiB",
    )
