"""No artifact is a pickle, and no function travels as one."""

from __future__ import annotations

from turnout.components.base import Config
from turnout.components.policy import Policy, Violation
from turnout.materializers.builtin import BUILTIN
from turnout.model.plan import Plan, StepPlan
from turnout.model.records import Artifact

PICKLED = frozenset(materializer.name for materializer in BUILTIN if materializer.pickled)
"""The built-in materializers whose files execute what they say when they are read."""


class NoPickle(Policy[Config]):
    """Refuses to make or read pickles (scikit-learn's own files are, too), and functions defined in a notebook.

    What the plan leaves open, the type of a value or a plugin's materializer, is decided on the worker.
    """

    name = "no_pickle"

    def check(self, plan: Plan) -> tuple[Violation, ...]:
        return tuple(violation for step in plan.steps for violation in _violations(step))

    def check_artifact(self, artifact: Artifact, step: str) -> tuple[Violation, ...]:
        if not artifact.marked:
            return ()
        kind = artifact.type.replace(":", ".")
        return (Violation(what=f"the step {step} made a {kind}, which was saved as a pickle", step=step, fix=_FIX),)

    def check_read(self, artifact: Artifact) -> tuple[Violation, ...]:
        if not artifact.marked and artifact.materializer not in PICKLED:
            return ()
        what = f"the artifact {artifact.digest[:12]}, a {artifact.type.replace(':', '.')}, is a pickle, and is not read"
        return (Violation(what=what, fix="read it by a stack without the policy, where you trust who made it"),)


_FIX = "return plain values, tables or arrays, or write a materializer for its class: @turnout.materializer(TheClass)"


def _violations(step: StepPlan) -> list[Violation]:
    found = []
    if step.entrypoint is not None and step.entrypoint.value is not None:
        what = f"the function of the step {step.name} would travel as a pickle, for it is not defined in a module"
        found.append(Violation(what=what, step=step.name, place=step.place, fix="move it to a file of the project"))
    for output in step.outputs:
        if output.materializer in PICKLED:
            what = (
                f"the output {output.name!r} of the step {step.name}, a {output.type.text}, would be saved as a pickle"
            )
            found.append(Violation(what=what, step=step.name, place=step.place, fix=_FIX))
    return found
