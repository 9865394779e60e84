"""Where DAG files are placed: a folder of this machine, or one behind a URL; what a user put beside them stays."""

import sys

import msgspec
import pytest
from fsspec.core import url_to_fs

from turnout.plugin_api import ConfigError, PlanError, RunError
from turnout.stores.local import LocalStore
from turnout.testing.plans import sample_plan
from turnout_airflow.orchestrator import AirflowOrchestrator
from turnout_airflow.settings import AirflowSettings

DAG = "sample.sample"


def test_placing_and_taking_away(tmp_path):
    orchestrator = AirflowOrchestrator(AirflowSettings(dags_folder=str(tmp_path / "dags")))
    plan, store = sample_plan(), LocalStore.from_url(str(tmp_path / "store"))
    bundle = orchestrator.compile(plan)
    with pytest.raises(ConfigError, match="there is no folder"):
        orchestrator.publish(plan, bundle, store)
    (tmp_path / "dags").mkdir()
    place = orchestrator.publish(plan, bundle, store)
    files = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "dags" / DAG).iterdir()}
    assert set(files) == {"sample_dag.py", "environment.json", ".turnout-files.json"}
    assert orchestrator.publish(plan, bundle, store) == place
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "dags" / DAG).iterdir()} == files
    assert orchestrator.unpublish(plan) == place
    assert list((tmp_path / "dags").iterdir()) == []
    with pytest.raises(ConfigError, match="does not say where Airflow reads DAG files from"):
        AirflowOrchestrator(AirflowSettings()).publish(plan, bundle, store)


def test_each_instance_has_a_dag_of_its_own(tmp_path):
    orchestrator = AirflowOrchestrator(AirflowSettings(dags_folder=str(tmp_path)))
    store = LocalStore.from_url(str(tmp_path / ".store"))
    plans = [sample_plan(instance=instance) for instance in ("airflow", "prod", "dev")]
    places = [orchestrator.publish(plan, orchestrator.compile(plan), store) for plan in plans]
    assert [place.rpartition("/")[2] for place in places] == [DAG, f"{DAG}.prod", f"{DAG}.dev"]
    assert [orchestrator.published_as(plan) for plan in plans] == [DAG, f"{DAG}.prod", f"{DAG}.dev"]
    orchestrator.unpublish(plans[1])
    assert sorted(path.name for path in tmp_path.glob("s*")) == [DAG, f"{DAG}.dev"]
    for instance in ("run", "team a", "x" * 41):
        with pytest.raises(PlanError, match="cannot be part of a DAG's id"):
            orchestrator.compile(sample_plan(instance=instance))


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_placing_behind_a_url(tmp_path, scheme):
    url = f"{scheme}://{tmp_path}/dags"
    files, root = url_to_fs(url)
    orchestrator = AirflowOrchestrator(AirflowSettings(dags_folder=f"{url}/"))
    plan, store = sample_plan(), LocalStore.from_url(str(tmp_path / "store"))
    bundle = orchestrator.compile(plan)
    if scheme == "file":
        with pytest.raises(RunError, match="cannot be written"):
            orchestrator.publish(plan, bundle, store)
    files.makedirs(root)
    assert orchestrator.publish(plan, bundle, store) == f"{url}/{DAG}"
    assert sorted(files.find(root)) == [f"{root}/{DAG}/environment.json", f"{root}/{DAG}/sample_dag.py"]
    assert files.cat_file(f"{root}/{DAG}/sample_dag.py") == bundle.files["sample_dag.py"]
    written = files.modified(f"{root}/{DAG}/sample_dag.py")
    other = orchestrator.compile(sample_plan(doc="other"))
    assert orchestrator.publish(plan, bundle, store) == f"{url}/{DAG}"
    assert files.modified(f"{root}/{DAG}/sample_dag.py") == written
    orchestrator.publish(plan, other, store)
    assert files.cat_file(f"{root}/{DAG}/sample_dag.py") == other.files["sample_dag.py"]
    files.pipe_file(f"{root}/{DAG}/notes.txt", b"of a user's own")
    assert orchestrator.unpublish(plan) == f"{url}/{DAG}"
    assert files.find(root) == [f"{root}/{DAG}/notes.txt"]


def test_urls_that_cannot_be_written_to(tmp_path, monkeypatch):
    plan, store = sample_plan(), LocalStore.from_url(str(tmp_path / "store"))

    def publish(url):
        orchestrator = AirflowOrchestrator(AirflowSettings(dags_folder=url))
        orchestrator.publish(plan, orchestrator.compile(plan), store)

    with pytest.raises(ConfigError, match="files cannot be sent to nosuch://x"):
        publish("nosuch://x/dags")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        publish(f"file://{tmp_path}/file/dags")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ConfigError, match="fsspec is not installed"):
        publish("memory://dags")


def test_what_a_user_put_beside_a_dag_file_stays(tmp_path):
    orchestrator = AirflowOrchestrator(AirflowSettings(dags_folder=str(tmp_path)))
    plan, store = sample_plan(), LocalStore.from_url(str(tmp_path / "store"))
    orchestrator.publish(plan, orchestrator.compile(plan), store)
    (tmp_path / DAG / "notes.txt").touch()
    orchestrator.unpublish(plan)
    assert [path.name for path in (tmp_path / DAG).iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["..", ".", "a/b", "x\n", "-x"])
def test_the_id_of_a_dag_is_the_name_of_a_folder(name):
    with pytest.raises(msgspec.ValidationError):
        AirflowOrchestrator(AirflowSettings()).compile(sample_plan(options={"airflow": {"dag_id": name}}))
