"""The flights example in MLflow: on a database and on a server, from every engine, read back value by value."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from commands import Project
from installed import need

need("mlflow", "3.17")

from turnout_mlflow.trial import Trial  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own

ROOT = Path(__file__).parents[2]
SAMPLE = ("-p", "rows=4000", "-p", "iterations=20")
STORE = Path(".turnout", "store")
POINTS, STEPS = 10_000, 8
MANY = f"""
from turnout import log_artifact, log_metric, pipeline, step

@step
def parts() -> list[int]:
    log_artifact("note", "each is there once")
    log_artifact("settings", {{"parts": {STEPS}, "names": ["loss"]}})
    return list(range({STEPS}))

@step
def learn(part: int) -> int:
    for number in range({POINTS // STEPS}):
        log_metric("loss", part + 1 / (number + 1), x=number)
    return part

@pipeline
def many():
    learn.map(parts())
"""


class Flights(Project):
    """The example, a server that `turnout mlflow up` has started, and the run that no tracker has seen."""

    def __init__(self, folder: Path) -> None:
        super().__init__(ROOT / "examples" / "flights", folder / "flights", folder / "cache")
        self.server = Trial(folder / "mlflow")
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        self.uri = self.server.up(port)
        self.tracked("untracked", {"type": "none"})
        self.untracked = self.run("untracked")

    def tracked(self, name: str, tracker: dict[str, Any], orchestrator: dict[str, Any] | None = None) -> None:
        """Write a stack: but for the line of its tracker it is as the others of that orchestrator."""
        lines = ["extends: local", f"orchestrator: {json.dumps(orchestrator or {'type': 'local', 'workers': 2})}"]
        (self.folder / "stacks").mkdir(exist_ok=True)
        (self.folder / "stacks" / f"{name}.yaml").write_text("\n".join([*lines, f"tracker: {json.dumps(tracker)}\n"]))

    def on_server(self, name: str, orchestrator: dict[str, Any] | None = None, *, datasets: bool = True) -> Any:
        """The example run from an engine and checked against the server, where its experiment is called so."""
        settings = {"type": "mlflow", "uri": self.uri, "experiment": name, "datasets": datasets}
        self.tracked(name, settings, orchestrator)
        return self.check(self.uri, name, self.run(name), datasets=datasets)

    def run(self, stack: str) -> Any:
        """A run of the example, made anew."""
        return self.json("run", "pipeline.py", *SAMPLE, "--no-cache", "--tag", "team=ops", "--stack", stack)

    def check(self, uri: str, experiment: str, run: Any, *, datasets: bool = True) -> Any:
        """Hold what MLflow has of a run against its records, and its artifacts against those without a tracker."""
        from mlflow import MlflowClient

        assert outputs(run) == outputs(self.untracked)
        client, store = MlflowClient(uri, uri), self.folder / STORE / "flights" / "runs" / run["run"]
        (found,) = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
        assert found.info.status == "FINISHED"
        records = [json.loads(path.read_bytes()) for path in store.glob("steps/*/record.json")]
        logged = {
            f"{record['step']}/{point['name']}": [(point["sequence"], milliseconds(point["time"]), point["value"])]
            for record in records
            for point in record.get("logged", {}).get("points", ())
        }
        names = {"departures", "cancelled", "weather_reports", "weather_faults"}
        assert logged.keys() > {f"validate/{name}" for name in names} | {"evaluate/mae", "evaluate/baseline_mae"}
        assert len(logged) == 9
        histories = {name: client.get_metric_history(found.info.run_id, name) for name in found.data.metrics}
        assert {n: [(p.step, p.timestamp, p.value) for p in points] for n, points in histories.items()} == logged

        info = json.loads((store / "run.json").read_bytes())
        assert found.data.params == {name: str(value) for name, value in info["params"].items()}
        wanted = {"run": run["run"], "plan": info["plan"], "stack": info["stack"], "engine_run": info["engine_run"]}
        tags = {**{f"turnout.{name}": value for name, value in wanted.items()}, "team": "ops"}
        assert tags.items() <= found.data.tags.items()

        by_step = {record["step"]: record for record in records}
        figure = by_step["evaluate"]["logged"]["artifacts"]["calibration"]["digest"]
        copy = client.download_artifacts(found.info.run_id, "evaluate/calibration/figure.png", str(self.scratch))
        assert Path(copy).read_bytes() == (self.files(figure) / "figure.png").read_bytes()

        tables = {one.dataset.name: one.dataset.digest for one in found.inputs.dataset_inputs}
        read = (("load", "departures"), ("validate", "weather"), ("split", "train"), ("split", "test"))
        for step, output in read if datasets else ():
            assert by_step[step]["outputs"][output]["artifact"]["digest"].startswith(tables[f"{step}.{output}"])
        (model,) = found.outputs.model_outputs
        self.check_model(uri, client.get_logged_model(model.model_id), by_step["fit"]["outputs"]["output"]["artifact"])
        return found

    def check_model(self, uri: str, model: Any, artifact: Any) -> None:
        """What MLflow loads is the model that the step returned: for its own example, it says the same."""
        import joblib
        import mlflow

        assert model.tags["turnout.digest"] == artifact["digest"]
        mlflow.set_tracking_uri(uri)
        loaded = mlflow.pyfunc.load_model(f"models:/{model.model_id}")
        example = loaded.input_example
        ours = joblib.load(self.files(artifact["digest"]) / "model.pickle")
        assert list(loaded.predict(example)) == list(ours.predict(example))

    def files(self, digest: str) -> Path:
        """The files of an artifact."""
        return self.folder / STORE / "artifacts" / digest / "files"

    @property
    def scratch(self) -> Path:
        """A folder for what is downloaded."""
        (self.folder.parent / "scratch").mkdir(exist_ok=True)
        return self.folder.parent / "scratch"


def outputs(run: Any) -> dict[Any, Any]:
    return {(step["step"], step["index"]): step["outputs"] for step in run["steps"]}


def milliseconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp() * 1000)


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flights]:
    made = Flights(tmp_path_factory.mktemp("flights"))
    yield made
    assert made.server.down() == ["server"]


def test_on_a_server_from_parallel_workers(flights: Flights) -> None:
    found = flights.on_server("parallel")
    assert found.data.tags["turnout.orchestrator"] == "local"


def test_on_a_database_with_the_ready_made_stack(flights: Flights) -> None:
    stack = ROOT / "stacks" / "local-mlflow.yaml"
    (flights.folder / "stacks" / stack.name).write_text(stack.read_text())
    run = flights.run("local-mlflow")
    flights.check(f"sqlite:///{flights.folder}/.turnout/mlflow/mlflow.db", "flights/flights", run)


def test_another_tracker_is_another_line_of_the_stack(flights: Flights) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    flights.tracked("board", {"type": "tensorboard", "folder": str(flights.folder / "board")})
    run = flights.run("board")
    assert outputs(run) == outputs(flights.untracked)
    texts = [(flights.folder / "stacks" / f"{name}.yaml").read_text().splitlines() for name in ("board", "untracked")]
    assert len([pair for pair in zip(*texts, strict=True) if pair[0] != pair[1]]) == 1
    folder = flights.folder / "board" / "flights" / "flights" / run["run"] / "evaluate"
    reader = EventAccumulator(str(folder)).Reload()
    shown = {tag: make_ndarray(reader.Tensors(tag)[-1].tensor_proto) for tag in reader.Tags()["tensors"]}
    record = flights.folder / STORE / "flights" / "runs" / run["run"] / "steps" / "evaluate" / "record.json"
    logged = {point["name"]: point["value"] for point in json.loads(record.read_bytes())["logged"]["points"]}
    assert {name: shown[name].item() for name in logged} == logged
    assert logged.keys() >= {"mae", "r2", "tested"}
    assert shown["calibration"].tolist()[2].startswith(b"\x89PNG")


def test_from_kubeflow_pipelines(flights: Flights) -> None:
    need("kfp", "2.17")
    found = flights.on_server("kubeflow", {"type": "kubeflow-local"})
    assert found.data.tags["turnout.orchestrator"] == "kubeflow-local"


def test_from_airflow(flights: Flights, airflow_server: Any) -> None:
    given = {"url": airflow_server.url, "dags_folder": str(airflow_server.dags), "python": sys.executable}
    found = flights.on_server("airflow", {"type": "airflow", **given}, datasets=False)
    assert not found.inputs.dataset_inputs  # so the many steps that only read tables have nothing to send
    assert found.data.tags["turnout.orchestrator"] == "airflow"
    assert found.data.tags["turnout.engine_url"].startswith(airflow_server.url)


def test_many_points_of_parallel_steps_are_each_there_once(flights: Flights) -> None:
    from mlflow import MlflowClient

    (flights.folder / "many.py").write_text(MANY)
    settings = {"type": "mlflow", "uri": flights.uri, "experiment": "many", "required": True}
    flights.tracked("many", settings, {"type": "local", "workers": STEPS})
    flights.call("run", "many.py", "--no-cache", "--stack", "many")
    client = MlflowClient(flights.uri, flights.uri)
    (found,) = client.search_runs([client.get_experiment_by_name("many").experiment_id])
    assert found.data.metrics.keys() == {f"learn/{part}/loss" for part in range(STEPS)}
    for part in range(STEPS):
        history = client.get_metric_history(found.info.run_id, f"learn/{part}/loss")
        expected = [(number, part + 1 / (number + 1)) for number in range(POINTS // STEPS)]
        assert sorted((point.step, point.value) for point in history) == expected
    kept = Path(client.download_artifacts(found.info.run_id, "parts", str(flights.scratch)))
    shown = {path.parent.name: json.loads(path.read_text()) for path in kept.glob("*/value.json")}
    assert shown.pop("note") == "each is there once"
    assert shown["settings"].pop("$keys") == ["parts", "names"]  # what a JSON object cannot say: the order
    assert shown == {"settings": {"parts": STEPS, "names": ["loss"]}}
