"""What a run leaves behind: artifacts, records, attempts, ``run.json``. Written once, read by everyone."""

from __future__ import annotations

import builtins
import threading
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from turnout.base import canonical
from turnout.base.errors import ArtifactError
from turnout.model.forms import plain
from turnout.model.profile import Profile

FORMAT = 2
"""The format version of records that this turnout writes, and the newest it reads."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
State = Literal["succeeded", "skipped", "failed"]
RunState = Literal["running", "succeeded", "failed", "cancelled", "unknown"]


class FileEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file of an artifact: its relative path, SHA-256 and size in bytes."""

    path: str
    sha256: str
    size: Count


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an artifact consists of. Its digest is the SHA-256 of the manifest's canonical bytes."""

    materializer: str
    type: str
    files: tuple[FileEntry, ...] = ()

    @property
    def digest(self) -> str:
        """The artifact's digest."""
        return canonical.digest_of(self)

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(entry.size for entry in self.files)

    def names(self, path: str) -> bool:
        """Whether a file of that path is among them."""
        return any(entry.path == path for entry in self.files)


class Artifact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A value by reference, or, where ``inline``, a small plain value in ``value`` (canonical JSON).

    ``digest`` is the manifest's digest, or for an inline value the SHA-256 of its materializer, type and
    canonical JSON: equal digests mean equal values either way.
    """

    digest: str
    materializer: str
    type: str
    size: Count = 0
    inline: bool = False
    value: Any = None
    marked: bool = False
    """Whether it is a pickle: readable only by its recorded digest."""
    profile: Profile | None = None
    """Of a table what it is like, where its step does not say ``profile=False``."""
    name: str = ""
    """Of a file or folder what it was called where it was written; no part of the digest."""


class OutputRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One output: an ``artifact``, or, for a list output, its ``elements`` in order.

    ``uses`` are the modules that reading them needs, as ``module:name`` or ``module``, of an installed package its
    name. None is nothing, but of a pickle not known.
    """

    artifact: Artifact | None = None
    elements: tuple[Artifact, ...] | None = None
    uses: tuple[str, ...] | None = None

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """The artifact, or each element's."""
        return self.elements or (() if self.artifact is None else (self.artifact,))

    @property
    def numbered(self) -> tuple[tuple[int | None, Artifact], ...]:
        """The artifact without a number, or each element with its own."""
        return tuple(enumerate(self.artifacts)) if self.elements else tuple((None, one) for one in self.artifacts)

    @property
    def digests(self) -> tuple[str, ...]:
        """The digest of the artifact, or of each element."""
        return tuple(one.digest for one in self.artifacts)


class InputRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one input was: the digests of the artifacts read, or the canonical value of a literal or parameter.

    ``step``, ``output`` and ``index`` say where artifacts came from; ``skipped`` that their step was skipped.
    """

    digests: tuple[str, ...] = ()
    collection: bool = False
    value: Any = None
    step: str | None = None
    output: str | None = None
    index: Count | None = None
    param: str | None = None
    skipped: bool = False


class Point(msgspec.Struct, frozen=True, omit_defaults=True):
    """One metric point. ``sequence`` counts within the attempt; with step, index and attempt it names the point."""

    name: str
    value: float | str
    """A number; NaN and the infinities, which JSON cannot hold, as ``"nan"``, ``"inf"`` and ``"-inf"``."""
    sequence: int
    time: str
    x: int | None = None
    """The position the user gave (an epoch, a batch), or None."""


class Logged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a step logged: metric points, params (canonical JSON) and artifacts by name.

    ``tags`` are what the run is to be found by in a tracker, as the feature store that was asked wants it.
    """

    points: tuple[Point, ...] = ()
    params: dict[str, Any] = {}
    artifacts: dict[str, Artifact] = {}
    tags: dict[str, str] = {}


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an attempt failed: the exception's type and text and the user's own frames, secrets redacted."""

    type: str
    message: str
    traceback: str = ""
    retryable: bool = True


Isolation = Literal["step", "process", "worker"]
"""What a step shares its process with: no other step, in a process forked for it or in one started for it; or whatever
steps its worker ran before it."""


class Host(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an attempt ran."""

    name: str
    pid: int
    python: str
    turnout: str
    sealed: bool = True
    isolation: Isolation = "step"


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt at a step, written when it ended. Times are ISO 8601 in UTC."""

    format: int = msgspec.field(default=FORMAT)
    id: str
    run: str
    step: str
    index: Count | None = None
    state: State
    started: str
    ended: str
    host: Host
    failure: Failure | None = None
    logged: Logged = Logged()


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A committed step: succeeded or skipped; created once, if absent.

    ``inputs``, ``key_parts`` and ``cache_key`` say what it was made from; ``value`` is a gate's decision;
    ``elements`` the count of each list output; ``reason`` why it was skipped; ``cached_from`` and
    ``reused_from`` name ``run/step[.index]`` whose outputs it took over. ``isolation`` is ``worker`` where the step
    shared its process with others, and ``step`` where not, however that came about.
    """

    format: int = msgspec.field(default=FORMAT)
    run: str
    step: str
    index: Count | None = None
    state: Literal["succeeded", "skipped"]
    attempt: str | None = None
    plan: str = ""
    inputs: dict[str, InputRecord] = {}
    outputs: dict[str, OutputRecord] = {}
    value: bool | None = None
    reason: str = ""
    cache_key: str = ""
    key_parts: dict[str, Any] = {}
    cached_from: str | None = None
    reused_from: str | None = None
    started: str = ""
    ended: str = ""
    sealed: bool = True
    isolation: Isolation = "step"
    logged: Logged = Logged()

    @property
    def elements(self) -> dict[str, int]:
        """The count of each list output."""
        return {n: len(output.elements) for n, output in self.outputs.items() if output.elements is not None}


class Git(msgspec.Struct, frozen=True, omit_defaults=True):
    """The commit a run's code came from, and whether the work tree differed from it."""

    commit: str
    dirty: bool = False


class Reuse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An earlier run whose records are taken over, but for ``from_`` and its descendants (or all but ``only``)."""

    run: str
    from_: str | None = None
    only: tuple[str, ...] = ()


class Options(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the submitter knows of a run besides its parameters; travels in ``TURNOUT_PARAMS``.

    ``at`` is the logical time, ``interval`` its start and end (ISO 8601, UTC). ``replace`` says by step and output what
    stands in for it: a digest, or an output on record, ``RUN/STEP[.INDEX]:OUTPUT``. The run's first worker puts the
    output itself in the place of its name; who triggers a run cannot describe one. ``effects`` says whether steps may
    act on what lies outside the store; None, as a schedule has it, is yes.
    """

    uuid: str | None = None
    at: str | None = None
    interval: tuple[str, str] | None = None
    tags: dict[str, str] = {}
    no_cache: bool = False
    effects: bool | None = None
    started_by: str = ""
    reuse: Reuse | None = None
    replace: dict[str, dict[str, str | OutputRecord]] = {}
    engine_url: str = ""
    stack_digest: str = ""
    git: Git | None = None


class Submission(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The one JSON object of ``TURNOUT_PARAMS``: parameters as the engine gave them, and options."""

    params: dict[str, Any] = {}
    options: Options = Options()


class RunInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``run.json``: what a run is, fixed by its first worker. ``params`` are typed and canonical.

    ``effects`` says whether its steps may act on what lies outside the store.
    """

    format: int = msgspec.field(default=FORMAT)
    id: str
    project: str
    pipeline: str
    plan: str
    params: dict[str, Any] = {}
    options: Options = Options()
    logical_time: str | None = None
    interval: tuple[str, str] | None = None
    created: str
    started_by: str = ""
    git: Git | None = None
    stack: str
    stack_digest: str = ""
    orchestrator: str
    instance: str
    engine_run: str
    engine_url: str = ""
    effects: bool = False

    @property
    def plain_params(self) -> dict[str, Any]:
        """The parameters for people and trackers: without what keeps order and tuples, times as texts."""
        return {name: plain(value) for name, value in self.params.items()}


MarkKind = Literal["begin", "resume", "cancel", "invalidate", "finish"]


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened to a run as a whole. Marks are numbered; the newest decides, whatever its time says.

    ``state``, ``steps`` and ``open`` are those of a ``finish``: how many steps (elements of mapped steps each) are in
    each state, and for each that is not committed, by its label, the ids of its attempts so far. The mark stands until
    one of these has another attempt, or a record. ``removed`` are the labels whose records an ``invalidate`` removed.
    """

    format: int = msgspec.field(default=FORMAT)
    kind: MarkKind = "finish"
    time: str
    state: RunState = "unknown"
    steps: dict[str, int] = {}
    open: dict[str, tuple[str, ...]] | None = None
    """None in a mark of turnout 0.1, which stands until there is another mark."""
    removed: tuple[str, ...] = ()


T = TypeVar("T", bound=msgspec.Struct)


class _Header(msgspec.Struct):
    format: int = 0


def encode(document: msgspec.Struct) -> bytes:
    """A document's canonical bytes, its format version always written."""
    content = {"format": FORMAT, **msgspec.to_builtins(document)}
    try:
        return canonical.encode(content)
    except ValueError:  # whatever a user's text or number is, what it is about goes on record
        return canonical.encode(canonical.writable(content))


_decoders: dict[builtins.type[msgspec.Struct], msgspec.json.Decoder[Any]] = {}
_making = threading.Lock()
"""Held while a decoder is made: msgspec crashes where two threads make decoders of types that share a part."""


def decode(data: bytes, kind: builtins.type[T], where: str) -> T:
    """Read a document's bytes.

    Raises:
        ArtifactError: when it is cut short, damaged, or of a newer format than this turnout knows.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        with _making:
            decoder = _decoders.setdefault(kind, msgspec.json.Decoder(kind))
    try:
        document = decoder.decode(data)
    except canonical.UNREADABLE as error:
        _check_format(data, where)
        raise ArtifactError(
            f"{where} cannot be read as a {kind.__name__}: {error}",
            fix="the file is damaged: `turnout runs invalidate` removes a step's record so that it runs again",
        ) from error
    if getattr(document, "format", FORMAT) > FORMAT:
        _check_format(data, where)
    return document  # type: ignore[no-any-return]


def _check_format(data: bytes, where: str) -> None:
    from turnout import __version__

    try:
        header = msgspec.json.decode(data, type=_Header)
    except canonical.UNREADABLE:
        return
    if header.format > FORMAT:
        raise ArtifactError(
            f"{where} has format {header.format}; this turnout {__version__} reads up to {FORMAT}",
            fix="install the turnout that wrote it, or a newer one",
        )


class StepResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an engine learns of a step: its state, the element count of each list output, the value of each guard.

    ``retryable`` says whether a failed step may be tried again; ``message`` is one line for the engine's log;
    ``adopted`` that an earlier commit of the same step was found and stands.
    """

    state: State
    elements: dict[str, int] = {}
    values: dict[str, bool] = {}
    retryable: bool = False
    adopted: bool = False
    message: str = ""

    @property
    def exit_code(self) -> int:
        """0 committed, 99 skipped, 1 failed and worth another try, 2 failed for good."""
        if self.state == "failed":
            return 1 if self.retryable else 2
        return {"succeeded": 0, "skipped": 99}[self.state]
