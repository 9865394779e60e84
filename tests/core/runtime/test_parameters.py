"""Parameters as engines give them: converted by their declared types once a run, or refused."""

from __future__ import annotations

import http.server
import threading
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from turnout.base.errors import ConfigError
from turnout.model.inputs import InputSpec, Literal
from turnout.model.records import Submission
from turnout.model.types import ParamType
from turnout.runtime import parameter_files
from turnout.runtime.parameters import parse_submission

UTC = timezone.utc


@pytest.fixture
def demo(bench):
    bench.write(
        """
        import enum

        class Colour(enum.Enum):
            RED = "red"
            BLUE = "blue"

        def paint(colour: Colour | None):
            return [isinstance(colour, Colour), repr(colour)]

        def keep(value):
            return [type(value).__name__, value]

        def read(file):
            return [str(type(file).__name__), file.name, file.read_text()]

        def spoil(file):
            text = file.read_text()
            file.write_text("spoilt")
            return text

        def names(folder):
            return sorted(path.name for path in folder.iterdir())
        """
    )
    return bench


INT_LIST = {"items": (ParamType(kind="int"),)}
GIVEN = [
    # declared, as an engine gives it, on record, as the step sees it
    ("int", {}, 3.0, 3, 3),
    ("int", {}, "3", 3, 3),
    ("int", {}, "3.0", 3, 3),
    ("int", {}, "123456789012345678901234567890", 123456789012345678901234567890, 123456789012345678901234567890),
    ("int", {}, 2**70, 2**70, 2**70),
    ("int", {"optional": True}, None, None, None),
    ("int", {"optional": True}, "null", None, None),
    ("float", {}, 3, 3.0, 3.0),
    ("float", {}, "0.5", 0.5, 0.5),
    ("bool", {}, "True", True, True),
    ("bool", {}, False, False, False),
    ("str", {}, "3", "3", "3"),
    ("str", {}, "null", "null", "null"),
    ("str", {}, "$(x) `y` {{ z }} \"'\n€", "$(x) `y` {{ z }} \"'\n€", "$(x) `y` {{ z }} \"'\n€"),
    ("str", {"choices": ("a", "b")}, "b", "b", "b"),
    ("datetime", {}, "2026-03-01T06:00:00+02:00", "2026-03-01T04:00:00Z", datetime(2026, 3, 1, 4, tzinfo=UTC)),
    ("date", {}, "2026-03-01", "2026-03-01", date(2026, 3, 1)),
    ("timedelta", {}, "PT1M30S", 90, timedelta(seconds=90)),
    ("timedelta", {}, 90.0, 90, timedelta(seconds=90)),
    ("list", INT_LIST, "[1, 2.0, 3]", [1, 2, 3], [1, 2, 3]),
    ("list", INT_LIST, [1.0, "2"], [1, 2], [1, 2]),
    ("dict", {}, '{"b": 1, "a": [true, null]}', {"a": [True, None], "b": 1}, {"a": [True, None], "b": 1}),
    ("json", {"optional": True}, {"z": 1.5}, {"z": 1.5}, {"z": 1.5}),
]


@pytest.mark.parametrize(("kind", "fields", "given", "recorded", "seen"), GIVEN)
def test_every_type_as_an_engine_gives_it(demo, kind, fields, given, recorded, seen):
    demo.make(demo.step("keep", value=demo.param("p")), params=(demo.declare("p", kind, **fields),))
    assert demo.call("keep", params={"p": given}).exit_code == 0
    assert demo.infos()[0].params == {"p": recorded}
    assert type(demo.infos()[0].params["p"]) is type(recorded)
    assert demo.value("keep") == [type(seen).__name__, seen]
    assert demo.record("keep").inputs["value"].value == recorded


def test_two_ways_to_write_a_value_give_one_cache_key(demo):
    demo.make(demo.step("keep", value=demo.param("p")), params=(demo.declare("p", "int"),))
    demo.call("keep", params={"p": 3.0}, run="run 1")
    demo.call("keep", params={"p": "3"}, run="run 2")
    assert demo.record("keep", run="run 1").cache_key == demo.record("keep", run="run 2").cache_key


WRONG = [
    ("int", {}, 3.5),
    ("int", {}, "three"),
    ("int", {}, True),
    ("int", {}, None),
    ("int", {}, 2.0**60),
    ("float", {}, "nan"),
    ("float", {}, [1.0]),
    ("bool", {}, 1),
    ("bool", {}, "yes"),
    ("str", {}, 3),
    ("str", {"choices": ("a", "b")}, "c"),
    ("datetime", {}, "tomorrow"),
    ("date", {}, "2026-02-30"),
    ("timedelta", {}, "soon"),
    ("list", INT_LIST, "[1, 2"),
    ("list", INT_LIST, [1, "x"]),
    ("dict", {}, [1]),
    ("file", {}, 3),
    ("file", {}, {"digest": "abc", "suffix": ""}),
    ("file", {}, {"digest": "0" * 64, "suffix": "/../../x"}),
    ("file", {}, "http://ann:secret-password@host/x.csv"),
]


@pytest.mark.parametrize(("kind", "fields", "given"), WRONG)
def test_what_does_not_fit_is_refused_and_no_run_is_made(demo, kind, fields, given):
    demo.make(demo.step("keep", value=demo.param("p")), params=(demo.declare("p", kind, **fields),))
    with pytest.raises(ConfigError, match="the parameter 'p") as caught:
        demo.open({"p": given})
    assert "secret-password" not in str(caught.value)
    assert demo.infos() == []


def test_the_texts_of_what_is_wrong(demo, snapshot):
    params = (demo.declare("depth", "int"), demo.declare("path", "file"), demo.declare("folder", "folder", default={}))
    demo.make(demo.step("keep", value=demo.param("depth")), params=params)
    texts = []
    for given in (
        {"depht": 3},
        {"path": "https://host/x"},
        {"depth": 3, "path": "data/flights.parquet"},
        {"depth": 3, "path": "file:///etc/passwd"},
        {"depth": 3, "path": "https://host/x", "folder": "https://host/folder"},
        {"depth": "3.5", "path": "https://host/x"},
    ):
        with pytest.raises(ConfigError) as caught:
            demo.open(given)
        texts.append(str(caught.value))
    assert texts == snapshot


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "null",
        '"{}"',
        '{"params": []}',
        '{"parameters": {}}',
        '{"options": {"no_such": 1}}',
        '{"options": {"tags": {"a": 1}}}',
        '{"params": {"x": NaN}}',
        '{"params": {"x": 1e400}}',
        "\udcff",
        '{"params":' + "[" * 100_000,
    ],
)
def test_what_is_no_submission(text):
    with pytest.raises(ConfigError, match="TURNOUT_PARAMS cannot be read") as caught:
        parse_submission(text)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("text", [None, "", "{}"])
def test_no_submission_is_an_empty_one(text):
    assert parse_submission(text) == Submission()


def test_a_big_number_in_json_keeps_its_digits():
    assert parse_submission('{"params": {"n": 123456789012345678901234567890}}').params == {
        "n": 123456789012345678901234567890
    }


def test_defaults_are_used_and_are_a_fresh_value_for_each_step(demo):
    demo.write("def spoil(values):\n    values.append(9)\n    return list(values)\n")
    params = (demo.declare("p", "list", default=[1]),)
    steps = [demo.step(name, "spoil", values=demo.param("p")) for name in ("first", "second")]
    demo.make(*steps, demo.step("literal", "spoil", values=[1]), params=params)
    demo.run()
    assert demo.value("first") == demo.value("second") == demo.value("literal") == [1, 9]
    assert demo.infos()[0].params == {"p": [1]}


def test_an_enum_reaches_the_step_as_its_member(demo):
    fields = {"name": f"{demo.module}:Colour", "bases": ("enum:Enum",)}
    demo.make(
        demo.step("paint", colour=demo.param("c", **fields)),
        params=(demo.declare("c", "str", choices=("red", "blue"), optional=True),),
    )
    demo.call("paint", params={"c": "blue"})
    assert demo.value("paint") == [True, "<Colour.BLUE: 'blue'>"]
    demo.call("paint", params={"c": None}, run="run 2")
    assert demo.value("paint", run="run 2") == [False, "None"]


# files


def test_a_file_by_digest(demo, tmp_path):
    (tmp_path / "some data.CSV").write_text("a,b\n")
    params = (demo.declare("f", "file"),)
    demo.make(*(demo.step(n, n, file=demo.param("f")) for n in ("spoil", "read")), params=params)
    artifact = _session(demo).artifacts.save_path(tmp_path / "some data.CSV", "file")
    given = {"f": {"digest": artifact.digest, "suffix": ".CSV"}}
    assert demo.run(given) == {"succeeded": 2}
    kind, name, text = demo.value("read")
    assert (kind, name, text) == ("File", "input.CSV", "a,b\n")
    assert demo.record("read").inputs["file"].digests == (artifact.digest,)


def _session(demo):
    given = {"f": {"digest": "0" * 64, "suffix": ""}}
    return demo.open(given, run="another")


def test_a_folder_by_digest(demo, tmp_path):
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "x.txt").write_text("x")
    demo.make(demo.step("names", folder=demo.param("f")), params=(demo.declare("f", "folder"),))
    artifact = _session(demo).artifacts.save_path(tmp_path / "data", "folder")
    demo.call("names", params={"f": {"digest": artifact.digest, "suffix": ""}})
    assert demo.value("names") == ["deep"]


def test_a_digest_that_nobody_has(demo):
    demo.make(demo.step("read", file=demo.param("f")), params=(demo.declare("f", "file"),))
    result = demo.call("read", params={"f": {"digest": "0" * 64, "suffix": ".csv"}})
    assert result.exit_code == 1
    assert "000000000000" in result.message


class Site:
    """A web site whose only page changes with each answer."""

    def __init__(self) -> None:
        site = self
        self.asked: list[str] = []
        self.short = False

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                if "missing" in self.path:
                    self.send_error(404)
                    return
                body = f"answer {len(site.asked)}".encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body) + (10 if site.short else 0)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def site():
    made = Site()
    yield made
    made.close()


def test_a_url_is_read_once_a_run(demo, site):
    params = (demo.declare("f", "file"),)
    demo.make(*(demo.step(n, "read", file=demo.param("f")) for n in ("first", "second")), params=params)
    given = {"f": f"{site.url}/data.csv?day=1"}
    for step in ("first", "second"):
        assert demo.call(step, params=given).exit_code == 0
    assert demo.value("first") == demo.value("second") == ["File", "input.csv", "answer 1"]
    assert demo.record("first").inputs["file"].digests == demo.record("second").inputs["file"].digests
    assert site.asked == ["/data.csv?day=1"]
    demo.call("first", params=given, run="run 2")
    assert demo.value("first", run="run 2")[2] == "answer 2"


def test_the_content_of_a_url_is_part_of_the_cache_key(demo, site):
    demo.make(demo.step("read", file=demo.param("f")), params=(demo.declare("f", "file"),))
    for run in ("run 1", "run 2"):
        demo.call("read", params={"f": f"{site.url}/data.csv"}, run=run)
    first, second = (demo.record("read", run=run) for run in ("run 1", "run 2"))
    assert first.inputs["file"].digests != second.inputs["file"].digests
    assert first.cache_key != second.cache_key


def test_a_literal_url_is_read_once_too(demo, site):
    url = InputSpec(source=Literal(value={"url": f"{site.url}/x.csv"}, type=ParamType(kind="file")))
    demo.make(*(demo.step(n, "read", file=url) for n in ("first", "second")))
    demo.run()
    assert demo.value("first") == demo.value("second") == ["File", "input.csv", "answer 1"]


def test_a_loser_of_two_first_readers_takes_the_winners_content(demo, site, monkeypatch):
    demo.make(
        *(demo.step(n, "read", file=demo.param("f")) for n in ("first", "second")), params=(demo.declare("f", "file"),)
    )
    given = {"f": f"{site.url}/data.csv"}
    demo.open(given)
    download = parameter_files._download

    def overtaken(name: str, url: str, path: Path) -> None:
        download(name, url, path)
        monkeypatch.setattr(parameter_files, "_download", download)
        demo.call("second")

    monkeypatch.setattr(parameter_files, "_download", overtaken)
    demo.call("first")
    assert demo.value("first")[2] == demo.value("second")[2] == "answer 2"


def test_a_url_that_cannot_be_read(demo, site):
    demo.make(demo.step("read", file=demo.param("f")), params=(demo.declare("f", "file"),))
    result = demo.call("read", params={"f": f"{site.url}/missing.csv?token=private"})
    assert result.exit_code == 1
    assert "'f' cannot be read from" in result.message
    assert "404" in result.message
    assert "private" not in result.message


def test_a_url_that_ends_too_early_is_not_taken_for_the_whole(demo, site):
    site.short = True
    demo.make(demo.step("read", file=demo.param("f")), params=(demo.declare("f", "file"),))
    result = demo.call("read", params={"f": f"{site.url}/data.csv"})
    assert result.exit_code == 1
    assert "it ended after 8 of 18 bytes" in result.message


@pytest.mark.parametrize("url", ["ftp://host/x", "http://", "http://[::1", "gopher+x://y/z", "http://127.0.0.1:1/x"])
def test_odd_urls_are_refused_with_a_reason(demo, url):
    demo.make(demo.step("read", file=demo.param("f")), params=(demo.declare("f", "file"),))
    try:
        result = demo.call("read", params={"f": url})
    except ConfigError:
        return
    assert result.state == "failed"
    assert demo.attempts("read")[0].failure.type.startswith("turnout.base.errors.")


def test_a_path_in_the_plan_is_refused_by_the_worker(demo):
    params = (demo.declare("f", "file", default={"path": "data/x.csv"}),)
    demo.make(demo.step("read", file=demo.param("f")), params=params)
    result = demo.call("read")
    assert result.exit_code == 2
    assert "is a local path, 'data/x.csv', which a worker cannot rely on" in result.message
