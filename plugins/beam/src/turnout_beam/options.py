"""Options of Beam: those that there are, checked before a job starts. Beam itself drops what it does not know."""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import socket
from collections.abc import Sequence
from typing import Any

from turnout.plugin_api import ConfigError, PluginError, RunError, did_you_mean

DIRECT = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
"""What DirectRunner stands for here, by its own name: Beam may put another in its place, which is not installed."""
PATIENCE = 2.0
"""Seconds within which a job service answers. Beam waits for one for ever."""


def _import_beam() -> None:
    """Import Beam without its warning, in every process, that it has no client for BigQuery."""
    root = logging.getLogger()  # the line is the root logger's own, so it goes by its text
    root.addFilter(_is_of_use)
    try:
        import apache_beam  # noqa: F401
    finally:
        root.removeFilter(_is_of_use)


def _is_of_use(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("apitools not found")


def names() -> frozenset[str]:
    """The names of all options that Beam knows, of every runner."""
    return frozenset(_parsed(())[0])


def checked(words: Sequence[str]) -> Any:
    """Options of Beam from words of a command line.

    Raises:
        ConfigError: for an option or a runner that Beam does not know, or a value that it refuses.
        PluginError: for a runner that takes more than is installed.
    """
    _import_beam()
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
    from apache_beam.runners.runner import create_runner

    known, unknown = _parsed(words)
    if unknown:
        name = unknown[0].lstrip("-").partition("=")[0]
        raise ConfigError(
            f"Beam has no option {name!r}. {did_you_mean(name, known)}".rstrip(" ."),
            fix="see the options of its runners: python -m apache_beam.examples.wordcount --help",
        )
    found = PipelineOptions(list(words))
    standard = found.view_as(StandardOptions)
    if (standard.runner or "DirectRunner") == "DirectRunner":
        standard.runner = DIRECT
    try:
        create_runner(standard.runner)
    except ImportError as error:
        raise PluginError(
            f"Beam's runner {standard.runner} cannot be imported: {error}",
            fix="install what it takes, for Dataflow: pip install 'apache-beam[gcp]'",
        ) from error
    except (ValueError, AttributeError):
        hint = did_you_mean(standard.runner, StandardOptions.KNOWN_RUNNER_NAMES)
        raise ConfigError(
            f"Beam has no runner {standard.runner!r}. {hint}".rstrip(" ."),
            fix=f"its runners are: {', '.join(StandardOptions.KNOWN_RUNNER_NAMES)}, or the path of a class",
        ) from None
    return found


def see_job_service(found: Any) -> None:
    """See that something listens where a portable runner will submit the job.

    Raises:
        RunError: where nothing does.
    """
    from apache_beam.options.pipeline_options import PortableOptions

    endpoint = found.view_as(PortableOptions).job_endpoint
    if not endpoint or endpoint == "embed":
        return
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()
    except (OSError, ValueError) as error:
        raise RunError(
            f"no job service answers at {endpoint}",
            why=str(error),
            fix="start one: python -m apache_beam.runners.portability.local_job_service_main -p PORT",
        ) from None


def _parsed(words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """What Beam reads from words, and the words that it does not know."""
    _import_beam()
    from apache_beam.options.pipeline_options import PipelineOptions

    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    for cls in {str(one): one for one in PipelineOptions.__subclasses__()}.values():
        cls._add_argparse_args(parser)
    refused = io.StringIO()
    try:
        with contextlib.redirect_stderr(refused):
            known, unknown = parser.parse_known_args(list(words))
    except SystemExit:
        raise ConfigError(
            f"Beam refuses an option: {refused.getvalue().strip().rpartition('error: ')[2]}",
            fix="mend the stack's orchestrator.options, or the command line",
        ) from None
    return vars(known), unknown
