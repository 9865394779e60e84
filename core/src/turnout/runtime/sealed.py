"""Sealed processes: started by turnout with everything fixed that could make two machines differ."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping

MARK = "TURNOUT_SEALED"
PREPARED = "TURNOUT_PREPARED"
"""The variable with the digest of an environment, and the interpreter that was found to have its pins."""
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)


def threads_for(cpu: float) -> int:
    """The number of threads libraries may use in a step that asks for *cpu* cores."""
    return max(1, math.ceil(cpu))


def environment(threads: int) -> dict[str, str]:
    """The variables of a sealed process: hash seed, time zone, locale, threads, and no display."""
    fixed = {
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "LANG": "C.UTF-8",
        "MPLBACKEND": "Agg",
        MARK: str(threads),
    }
    return {**fixed, **dict.fromkeys(THREAD_VARIABLES, str(threads))}


def is_sealed(threads: int, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this process was started sealed, for that many threads."""
    return environ.get(MARK) == str(threads) and sys.flags.hash_randomization == 0


def is_prepared(locked: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this interpreter was found to have the pins of the environment *locked*, a digest, before it began."""
    return environ.get(PREPARED) == f"{locked}:{sys.executable}"


def reexecute(arguments: list[str], threads: int, interpreter: str, locked: str) -> None:
    """Replace this process by a sealed one that runs ``python -m turnout.runtime ARGUMENTS``. Does not return.

    Args:
        locked: the digest of the locked environment whose pins *interpreter* has.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(  # noqa: S606
        interpreter,
        [interpreter, "-m", "turnout.runtime", *arguments],
        {**os.environ, **environment(threads), PREPARED: f"{locked}:{interpreter}"},
    )
