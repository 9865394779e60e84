"""What the author of a plugin needs, and all that a plugin may import of turnout (tests: ``turnout.testing``).

A plugin is a class that implements one of the bases, a hook that returns it, and an entry point of the group
``turnout`` that names the hook's module.

What every plugin is found by is imported here; the rest when it is first asked for, since each command of turnout and
each worker finds all plugins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from turnout.base.late import late
from turnout.components.hookspecs import hookimpl
from turnout.components.lazy import Lazy

if TYPE_CHECKING:
    from turnout.base.canonical import digest, digest_of, encode, pretty
    from turnout.base.clock import parse as parse_time
    from turnout.base.context import log_artifact, log_metric, log_params
    from turnout.base.errors import (
        ArtifactError,
        ConfigError,
        DeployError,
        Location,
        PlanError,
        PluginError,
        RunError,
        TurnoutError,
        UnsupportedError,
        did_you_mean,
    )
    from turnout.base.identity import run_id
    from turnout.base.quantities import memory_bytes, plain_memory, plain_number
    from turnout.components.artifact_store import ArtifactStore, Entry
    from turnout.components.base import (
        Component,
        Config,
        ExistingLocalPath,
        ExistingPath,
        HostPort,
        LocalPath,
        Secret,
        SettingError,
        Uri,
        Url,
        WorkerPath,
    )
    from turnout.components.deployer import Deployer, EndpointStatus, VersionStatus
    from turnout.components.feature_store import ROW, FeatureStore, FeatureView, Materialized, Progress
    from turnout.components.materializer import Materializer
    from turnout.components.observer import Event, EventKind, Observer
    from turnout.components.orchestrator import Bundle, Orchestrator, RunHandle, RunStatus, StepStatus, started
    from turnout.components.policy import Policy, Violation
    from turnout.components.progress import Change, Watcher
    from turnout.components.secret_store import SecretStore
    from turnout.components.tracker import Batch, Promotion, Registered, Traced, Tracker, TrackerConfig
    from turnout.engines import pysource
    from turnout.engines.calling import (
        ENGINE_RUN,
        LOGS,
        Answer,
        Exit,
        Process,
        call,
        finish,
        finish_command,
        finished,
        log_name,
        log_of,
        step_command,
    )
    from turnout.engines.drive import end_with_driver
    from turnout.engines.driver import DriverOrchestrator, DriverRun, DriverSettings
    from turnout.engines.executor import Executor, Executors
    from turnout.engines.following import Follower, PolledRun, last_state
    from turnout.engines.graph import Graph
    from turnout.engines.http import HttpApi, NotFound, Upload
    from turnout.engines.kubernetes_names import KubernetesNames
    from turnout.engines.options import merged, options_of
    from turnout.engines.outputs import output_metadata
    from turnout.engines.placement import EngineFolder, Placed, engine_folder
    from turnout.engines.pods import (
        ImagePullPolicy,
        ImagePullSecrets,
        KeyOf,
        MountPath,
        PodOptions,
        ResourceName,
        Toleration,
        Variable,
    )
    from turnout.engines.schedules import cron_fields, see_defaults
    from turnout.engines.secret_variables import endpoint_secrets, secret_keys, secret_variables, secrets_of
    from turnout.engines.servers import TrialServers
    from turnout.engines.servers import command as trial_command
    from turnout.engines.yaml_text import yaml_text
    from turnout.environment.tool import tool_environment
    from turnout.model.capability import BY_RUNTIME, Capability, Support
    from turnout.model.endpoint_plan import EndpointPlan
    from turnout.model.endpoint_plan import decode as decode_endpoint
    from turnout.model.expressions import Expression, render
    from turnout.model.forms import in_text, plain
    from turnout.model.inputs import Collected, Element, InputSpec, Literal, Output, Param
    from turnout.model.plan import Code, Environment, OutputPlan, Plan, StepPlan, Worker
    from turnout.model.profile import ColumnProfile, Profile
    from turnout.model.records import (
        Artifact,
        Git,
        Options,
        OutputRecord,
        Point,
        Record,
        Reuse,
        RunInfo,
        RunState,
        State,
        StepResult,
        Submission,
    )
    from turnout.model.settings import Resources, Retry
    from turnout.model.spec import Entrypoint, ParamSpec, Place, Schedule
    from turnout.model.types import ANY, ParamType, TypeName
    from turnout.project.written import marked
    from turnout.serving.client import ask
    from turnout.serving.inference import metadata as endpoint_metadata
    from turnout.serving.monitoring import rule_groups
    from turnout.serving.service import Service
    from turnout.serving.tables import BadRequest
    from turnout.stores import layout
    from turnout.stores.keys import check as check_key
    from turnout.stores.layout import committed
else:
    __getattr__, __dir__ = late(__name__)

__all__ = [
    "ANY",
    "BY_RUNTIME",
    "ENGINE_RUN",
    "LOGS",
    "ROW",
    "Answer",
    "Artifact",
    "ArtifactError",
    "ArtifactStore",
    "BadRequest",
    "Batch",
    "Bundle",
    "Capability",
    "Change",
    "Code",
    "Collected",
    "ColumnProfile",
    "Component",
    "Config",
    "ConfigError",
    "DeployError",
    "Deployer",
    "DriverOrchestrator",
    "DriverRun",
    "DriverSettings",
    "Element",
    "EndpointPlan",
    "EndpointStatus",
    "EngineFolder",
    "Entry",
    "Entrypoint",
    "Environment",
    "Event",
    "EventKind",
    "Executor",
    "Executors",
    "ExistingLocalPath",
    "ExistingPath",
    "Exit",
    "Expression",
    "FeatureStore",
    "FeatureView",
    "Follower",
    "Git",
    "Graph",
    "HostPort",
    "HttpApi",
    "ImagePullPolicy",
    "ImagePullSecrets",
    "InputSpec",
    "KeyOf",
    "KubernetesNames",
    "Lazy",
    "Literal",
    "LocalPath",
    "Location",
    "Materialized",
    "Materializer",
    "MountPath",
    "NotFound",
    "Observer",
    "Options",
    "Orchestrator",
    "Output",
    "OutputPlan",
    "OutputRecord",
    "Param",
    "ParamSpec",
    "ParamType",
    "Place",
    "Placed",
    "Plan",
    "PlanError",
    "PluginError",
    "PodOptions",
    "Point",
    "Policy",
    "PolledRun",
    "Process",
    "Profile",
    "Progress",
    "Promotion",
    "Record",
    "Registered",
    "ResourceName",
    "Resources",
    "Retry",
    "Reuse",
    "RunError",
    "RunHandle",
    "RunInfo",
    "RunState",
    "RunStatus",
    "Schedule",
    "Secret",
    "SecretStore",
    "Service",
    "SettingError",
    "State",
    "StepPlan",
    "StepResult",
    "StepStatus",
    "Submission",
    "Support",
    "Toleration",
    "Traced",
    "Tracker",
    "TrackerConfig",
    "TrialServers",
    "TurnoutError",
    "TypeName",
    "UnsupportedError",
    "Upload",
    "Uri",
    "Url",
    "Variable",
    "VersionStatus",
    "Violation",
    "Watcher",
    "Worker",
    "WorkerPath",
    "ask",
    "call",
    "check_key",
    "committed",
    "cron_fields",
    "decode_endpoint",
    "did_you_mean",
    "digest",
    "digest_of",
    "encode",
    "end_with_driver",
    "endpoint_metadata",
    "endpoint_secrets",
    "engine_folder",
    "finish",
    "finish_command",
    "finished",
    "hookimpl",
    "in_text",
    "last_state",
    "late",
    "layout",
    "log_artifact",
    "log_metric",
    "log_name",
    "log_of",
    "log_params",
    "marked",
    "memory_bytes",
    "merged",
    "options_of",
    "output_metadata",
    "parse_time",
    "plain",
    "plain_memory",
    "plain_number",
    "pretty",
    "pysource",
    "render",
    "rule_groups",
    "run_id",
    "secret_keys",
    "secret_variables",
    "secrets_of",
    "see_defaults",
    "started",
    "step_command",
    "tool_environment",
    "trial_command",
    "yaml_text",
]
