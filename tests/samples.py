"""What is run of the suite of orchestrators where all of it would try the same ways again."""

from __future__ import annotations

WITHOUT_A_RUN = (
    "test_every_capability_is_answered",
    "test_settings_and_options_are_described",
    "test_what_is_refused",
    "test_compiling_is_pure",
    "test_bundles_",
    "test_texts_never_become_code",
    "test_publishing_runs_nothing",
)
RUNS = (
    "test_a_run_is_known_by_the_engines_own_id",
    "test_the_status_of_a_run_can_be_asked",
    "test_a_failed_step_shows_in_its_log",
    "test_a_run_can_be_cancelled",
)


def cases(*names: str) -> tuple[str, ...]:
    """The cases of these names."""
    return tuple(f"test_a_case[{name}]" for name in names)


LARGEST = (
    "outputs", "empty-map", "failed-element", "chained-maps", "guards-half-open", "guarded-map-open", "retry", "timeout",
    "parameters", "logical-time", "sub-pipelines", "skipped-long-after-a-failure", "skipped-map-of-a-failure", "names",
    "secret", "quoting",
)  # fmt: skip
"""The cases that are part of no other: each takes a way through an engine that no other of them takes."""
SAMPLE = (*WITHOUT_A_RUN, *RUNS, *cases(*LARGEST))
"""What is run on one more engine."""
