"""What a run is in MLflow besides points: data sets, models, the registry, autologging."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installed import need

need("mlflow", "3.17")

from turnout_mlflow.trial import Trial  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own

SOURCE = """
import pandas as pd
from sklearn.linear_model import LinearRegression
from turnout import File, log_metric, pipeline, step

FEATURES = ["size", "rooms"]

@step(cache=True)
def load(path: File) -> pd.DataFrame:
    return pd.read_parquet(path)

@step
def fit(train: pd.DataFrame, *, positive: bool) -> LinearRegression:
    for number in range(3):
        log_metric("loss", 1 / (number + 1), x=number)
    return LinearRegression(positive=positive).fit(train[FEATURES], train["price"])

@step
def check(model: LinearRegression, test: pd.DataFrame) -> dict:
    score = model.score(test[FEATURES], test["price"])
    log_metric("score", score)
    return {"score": score, "first": float(model.predict(test[FEATURES])[0])}

@pipeline
def prices(path: File = "houses.parquet", positive: bool = False):
    houses = load(path)
    check(fit(houses, positive=positive), houses)
"""
POINTS = {"fit/loss": [(0, 1.0), (1, 0.5), (2, 1 / 3)]}


class Shop:
    """A project that learns the prices of houses, and an MLflow that `turnout mlflow up` has started."""

    def __init__(self, folder: Path) -> None:
        import pandas as pd

        self.folder = folder
        (folder / "pyproject.toml").write_text("[project]\nname = 'shop'\nversion = '1'\n")
        (folder / "pipeline.py").write_text(SOURCE)
        rows = [
            (30 + 7 * n % 120, 1 + n % 5, "ab"[n % 2], 3.5 * (30 + 7 * n % 120) + 10 * (n % 5) + n % 3)
            for n in range(50)
        ]
        pd.DataFrame(rows, columns=["size", "rooms", "town", "price"]).to_parquet(folder / "houses.parquet")
        self.server = Trial(folder / "mlflow")
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]

    def stack(self, name: str, *lines: str, **tracker: Any) -> None:
        """Write a stack whose tracker is this MLflow."""
        given = {"type": "mlflow", "uri": f"http://127.0.0.1:{self.port}", "experiment": name, **tracker}
        text = "\n".join(["extends: local", *lines, f"tracker: {json.dumps(given)}\n"])
        (self.folder / f"{name}.yaml").write_text(text)

    def call(self, *words: str, stack: str | None = None) -> Any:
        """What the command says, as JSON."""
        command = [str(Path(sys.executable).with_name("turnout")), *words, "--json"]
        command += [] if stack is None else ["--stack", str(self.folder / f"{stack}.yaml")]
        environ = {**os.environ, "TURNOUT_CACHE": str(self.folder / "cache")}
        done = subprocess.run(
            command, cwd=self.folder, env=environ, capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def run(self, stack: str | None = None) -> Any:
        """A run of the pipeline, made anew."""
        return self.call("run", "pipeline.py", "--no-cache", stack=stack)

    @property
    def client(self) -> Any:
        """MLflow's own."""
        from mlflow import MlflowClient

        return MlflowClient(f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.port}")

    def found(self, stack: str) -> Any:
        """The one run that MLflow has of a stack."""
        (found,) = self.client.search_runs([self.client.get_experiment_by_name(stack).experiment_id])
        return found

    def history(self, run: Any, name: str) -> list[tuple[int, float]]:
        """All points of a metric."""
        return [(one.step, one.value) for one in self.client.get_metric_history(run.info.run_id, name)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = Shop(tmp_path_factory.mktemp("shop"))
    made.server.up(made.port)
    yield made
    assert made.server.down() == ["server"]


@pytest.fixture(scope="module")
def untracked(shop: Shop) -> Any:
    """The run without a tracker."""
    return shop.run()


@pytest.fixture(scope="module")
def logged(shop: Shop) -> Any:
    """The run with autologging."""
    shop.stack("auto", autolog=["sklearn"])
    return shop.run("auto")


def outputs(run: Any) -> dict[str, Any]:
    return {step["step"]: step["outputs"] for step in run["steps"]}


def same(shop: Shop, stack: str, run: Any, untracked: Any, *more: str) -> Any:
    """Check a run in MLflow, value by value, and that its artifacts are those without a tracker."""
    assert outputs(run) == outputs(untracked)
    found = shop.found(stack)
    assert found.info.status == "FINISHED"
    assert found.data.tags["turnout.run"] == run["run"]
    assert shop.history(found, "fit/loss") == POINTS["fit/loss"]
    assert set(found.data.metrics) == {"fit/loss", "check/score", *more}
    assert found.data.metrics["check/score"] > 0.9
    inputs = {
        one.dataset.name: (json.loads(one.dataset.profile)["num_rows"], one.tags[0].value)
        for one in found.inputs.dataset_inputs
    }
    assert inputs.keys() == {"path", "load.output"}
    assert inputs["path"] == (50, "load(path)")
    assert inputs["load.output"][0] == 50
    (output,) = found.outputs.model_outputs
    assert shop.client.get_logged_model(output.model_id).tags["turnout.digest"] == outputs(run)["fit"]["output"][0]
    return found


def test_a_run_with_autologging(shop: Shop, logged: Any, untracked: Any) -> None:
    import mlflow

    training = {
        f"fit/training_{name}"
        for name in ("mean_absolute_error", "mean_squared_error", "r2_score", "root_mean_squared_error", "score")
    }
    found = same(shop, "auto", logged, untracked, *training)
    assert {
        "positive": "false",
        "fit/positive": "False",
        "fit/fit_intercept": "True",
    }.items() <= found.data.params.items()
    (data,) = [one.dataset for one in found.inputs.dataset_inputs if one.dataset.name == "load.output"]
    assert outputs(logged)["load"]["output"][0].startswith(data.digest)
    assert json.loads(data.source)["uri"].endswith(f"/artifacts/{outputs(logged)['load']['output'][0]}/files")
    columns = {one["name"]: one["type"] for one in json.loads(data.schema)["mlflow_colspec"]}
    assert columns == {"size": "long", "rooms": "long", "town": "string", "price": "double"}
    shown = shop.call("runs", "show", logged["run"], stack="auto")
    assert shown["run"] == logged["run"]
    assert shop.call("runs", "sync", logged["run"], stack="auto")["external_id"] == found.info.run_id
    again = shop.found("auto")
    assert (again.data.metrics, again.data.params) == (found.data.metrics, found.data.params)
    assert len(again.inputs.dataset_inputs) == len(found.inputs.dataset_inputs)
    (model,) = shop.client.search_logged_models([found.info.experiment_id])
    mlflow.set_tracking_uri(f"http://127.0.0.1:{shop.port}")
    saved = mlflow.models.Model.load(f"models:/{model.model_id}")
    assert saved.signature.inputs.input_names() == ["size", "rooms"]
    assert saved.saved_input_example_info["type"] == "dataframe"


def test_an_alias_is_one_of_the_registry_and_the_other_way_round(shop: Shop, logged: Any) -> None:
    import mlflow
    import pandas as pd

    digest = outputs(logged)["fit"]["output"][0]
    for _ in range(2):
        done = shop.call("promote", logged["run"], "fit", "--alias", "champion", stack="auto")
        assert done["registered"] == "models:/shop@champion"
    versions = shop.client.search_model_versions("name = 'shop'")
    assert [(one.version, one.tags["turnout.digest"]) for one in versions] == [("1", digest)]
    mlflow.set_tracking_uri(f"http://127.0.0.1:{shop.port}")
    houses = pd.read_parquet(shop.folder / "houses.parquet")
    predicted = mlflow.pyfunc.load_model("models:/shop@champion").predict(houses[["size", "rooms"]])

    (model,) = shop.client.search_logged_models([shop.found("auto").info.experiment_id])
    made = shop.client.create_model_version(
        "shop", model.artifact_location, model_id=model.model_id, await_creation_for=0
    )
    shop.client.set_registered_model_alias("shop", "by-hand", made.version)
    code = (
        "import pandas; from turnout import artifact; found = artifact('by-hand', stack='auto.yaml');"
        "houses = pandas.read_parquet('houses.parquet')[['size', 'rooms']];"
        "print(found.digest, found.registered, found.load().predict(houses)[0])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=shop.folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert told.stdout.split() == [digest, "models:/shop@by-hand", str(predicted[0])], told.stderr


def test_its_page_shows_what_was_logged(shop: Shop, logged: Any, tmp_path: Path) -> None:
    """The address that `turnout runs show` tells, opened in a browser."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        reason = "there is no chromium here"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    page = json.loads((shop.folder / f".turnout/store/shop/runs/{logged['run']}/tracker/page.json").read_text())
    assert page.startswith(f"http://127.0.0.1:{shop.port}/#/runs/")
    quiet = ("gpu", "quic", "background-networking", "component-update", "sync", "dev-shm-usage")
    command = [browser, "--headless", "--no-sandbox", "--no-first-run", *(f"--disable-{what}" for what in quiet)]
    command += [f"--user-data-dir={tmp_path / 'browser'}", "--virtual-time-budget=60000", "--dump-dom", page]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    for text in ("fit/loss", "check/score", "fit/training_r2_score", logged["run"], "load(path)"):
        assert text in done.stdout, done.stderr[-2000:] + done.stdout[-2000:]
