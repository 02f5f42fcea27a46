"""Select the secrets of a report: those that it changes, and those that its findings name."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from operations.report.model import Component, Finding
from operations.report.steps import SECRET, VERSION, Plan, Step

POLICY = "aws:secretsmanager/secretPolicy:SecretPolicy"
ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
# Type of a resource to the input that names its secret.
_REFERENCES = {POLICY: "secretArn", ROTATION: "secretId", VERSION: "secretId"}
_ARN_PARTS = 7


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A secret, with the steps that write its settings in AWS.

    Attributes:
        identifier: its ARN, or its name if the update creates it.
        component: the component that findings name.
        secret, policy, rotation: steps of its resources; None for one that the stack does not have.
    """

    identifier: str
    component: Component
    secret: Step | None = None
    policy: Step | None = None
    rotation: Step | None = None

    @property
    def created(self) -> bool:
        """Return whether the update creates the secret."""
        return self.secret is not None and self.secret.op == "create"


def subjects(plan: Plan, findings: Iterable[Finding]) -> list[Subject]:
    """Return the secrets that findings name or that steps change, in the order of their identifiers."""
    named = {finding.component for finding in findings}
    by_arn = {arn: step for step in plan.steps if step.type == SECRET and (arn := _arn(step))}
    roles: dict[str, dict[str, Step]] = {}
    selected: set[str] = set()
    components: dict[str, Component] = {}
    for step, identifier, role in _steps_of_secrets(plan, by_arn):
        roles.setdefault(identifier, {}).setdefault(role, step)
        owner = plan.component(step)
        if role == "secret" or identifier not in components:
            components[identifier] = owner
        if step.op != "same" or owner in named:
            selected.add(identifier)
    return [
        Subject(
            identifier=identifier,
            component=components[identifier],
            secret=steps.get("secret"),
            policy=steps.get("policy"),
            rotation=steps.get("rotation"),
        )
        for identifier, steps in sorted(roles.items())
        if identifier in selected
    ]


def account_of(identifier: str) -> str:
    """Return the account ID of an ARN; empty for anything else."""
    return _part(identifier, 4)


def region_of(identifier: str) -> str:
    """Return the region of an ARN; empty for anything else."""
    return _part(identifier, 3)


def _part(identifier: str, number: int) -> str:
    parts = identifier.split(":", _ARN_PARTS - 1)
    return parts[number] if len(parts) == _ARN_PARTS and parts[0] == "arn" else ""


def _steps_of_secrets(plan: Plan, by_arn: dict[str, Step]) -> Iterator[tuple[Step, str, str]]:
    """Yield each step that belongs to a secret, with the secret's identifier and the step's role."""
    roles = {SECRET: "secret", POLICY: "policy", ROTATION: "rotation", VERSION: "version"}
    names = {step.parent: name for step in plan.steps if step.type == SECRET and (name := _name(step))}
    for step in plan.steps:
        if step.type == SECRET:
            identifier = _arn(step) if step.op != "create" else _name(step)
        elif step.type in _REFERENCES:
            key = _REFERENCES[step.type]
            arn = str(step.old.inputs.get(key) or step.new.inputs.get(key) or "")
            identifier = arn if arn in by_arn or account_of(arn) else _of_parent(step, names, by_arn)
        else:
            continue
        if identifier:
            yield step, identifier, roles[step.type]


def _of_parent(step: Step, names: dict[str, str], by_arn: dict[str, Step]) -> str:
    """Return the identifier of the secret with the same parent; empty if there is none."""
    arns = {secret.parent: arn for arn, secret in by_arn.items() if secret.op != "create"}
    return arns.get(step.parent) or names.get(step.parent, "")


def _arn(step: Step) -> str:
    arn = str(step.old.outputs.get("arn") or "")
    return arn if account_of(arn) else ""


def _name(step: Step) -> str:
    return str(step.new.inputs.get("name") or "")
