"""Build the entries that a stack's state has of live secrets, from what a preview says the program wants.

Sources: pulumi/sdk, apitype (DeploymentV3, ResourceV3, StepEventMetadata) and resource/sig.go.
"""

import base64
import json
import secrets
import string
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from components import tokens
from components.initial_value import PLACEHOLDER
from operations.adopt.entries import Entry
from operations.adopt.model import LiveRotation, LiveSecret

Resource: TypeAlias = dict[str, Any]

_STACK = "pulumi:pulumi:Stack"
_PROVIDER = "pulumi:providers:"
_COMPONENT = "aws-secrets:index:Secret"
_ROTATION_COMPONENT = "aws-secrets:index:Rotation"
_SECRET = "aws:secretsmanager/secret:Secret"  # noqa: S105  a type
_VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
_POLICY = "aws:secretsmanager/secretPolicy:SecretPolicy"
_ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
_PASSWORD = "random:index/randomPassword:RandomPassword"  # noqa: S105  a type
_LOGINS = (tokens.POSTGRES_LOGIN, tokens.MYSQL_LOGIN, tokens.CACHE_LOGIN, tokens.SMTP_CREDENTIALS)
_COMPONENTS = (_COMPONENT, _ROTATION_COMPONENT)
_OF_A_SECRET = (*_LOGINS, *_COMPONENTS, _PASSWORD, _SECRET, _VERSION, _POLICY, _ROTATION)
# Components of a login, with what they add to its name (components/login_parts.py).
_OF_A_LOGIN = {f"${_COMPONENT}": "-login", f"${_ROTATION_COMPONENT}": "-rotation", "": ""}

_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SHOWN_FOR_SECRETS = "[secret]"
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  the engine's mark, no secret

# The defaults of random.RandomPassword, which its state has where the program leaves them out.
_PASSWORD_DEFAULTS: Mapping[str, Any] = {
    **dict.fromkeys(("keepers", "overrideSpecial")),
    **dict.fromkeys(("lower", "number", "numeric", "special", "upper"), True),
    **dict.fromkeys(("minLower", "minNumeric", "minSpecial", "minUpper"), 0),
}
_SPECIAL = "!@#$%&*()-_=+[]{}<>:?"


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of a preview: what the engine would do with a resource, and how the program wants it."""

    operation: str
    urn: str
    type: str
    changed: Sequence[str]
    wanted: Mapping[str, Any] = field(repr=False)

    @property
    def parent(self) -> str:
        """URN of the parent; empty if there is none."""
        return str(self.wanted.get("parent") or "")


@dataclass(frozen=True, kw_only=True)
class Additions:
    """The resources that a state lacks.

    Attributes:
        shared: the stack's own resource and providers.
        resources: name of each secret to its resources; without those that the state has all of.
        impossible: name of a secret to why its resources cannot be built.
    """

    shared: Sequence[Resource]
    resources: Mapping[str, Sequence[Resource]]
    impossible: Mapping[str, str]


def steps(events: Iterable[Mapping[str, Any]]) -> list[Step]:
    """Return the steps in a preview's events."""
    found = []
    for event in events:
        metadata = event.get("resourcePreEvent", {}).get("metadata")
        if metadata:
            found.append(
                Step(
                    operation=metadata["op"],
                    urn=metadata["urn"],
                    type=metadata["type"],
                    changed=tuple(metadata.get("diffs") or ()),
                    wanted=metadata.get("new") or {},
                )
            )
    return found


def of_secret(step: Step) -> str | None:
    """Return the component's name of the secret whose resource a step is about; None for other resources."""
    component = step.urn if step.type in (*_LOGINS, *_COMPONENTS) else step.parent
    qualified, _, name = component.rpartition("::")
    for kind, end in _OF_A_LOGIN.items():
        if qualified.endswith(tuple(f"::{login}{kind}" for login in _LOGINS)):
            return name.removesuffix(end)
    return name if qualified.endswith((f"::{_COMPONENT}", f"::{_ROTATION_COMPONENT}")) else None


def end_of_secret(entry: Entry) -> str:
    """Return the end of the URN of a secret's own resource."""
    return end_of_urn(entry.name, entry.login.component if entry.login else None)


def end_of_urn(name: str, login: str | None) -> str:
    """Return the end of the URN of a secret's own resource.

    Args:
        name: name of the secret.
        login: type token of the login's component; None for any other secret.
    """
    within, end = (f"{login}$", "-login") if login else ("", "")
    return f"::{within}{_COMPONENT}${_SECRET}::{name}{end}-secret"


def arns(state: Mapping[str, Any]) -> dict[str, str]:
    """Return the ARN of each secret that a state has, by its URN."""
    return {
        resource["urn"]: resource["id"]
        for resource in state.get("resources") or ()
        if resource["type"] == _SECRET and not resource.get("delete")
    }


def additions(planned: Sequence[Step], entries: Sequence[Entry]) -> Additions:
    """Return what the state lacks of these secrets."""
    created = [step for step in planned if step.operation == "create"]
    shared = [step for step in created if step.type == _STACK or step.type.startswith(_PROVIDER)]
    providers = {step.urn: str(uuid.uuid4()) for step in shared if step.type.startswith(_PROVIDER)}
    resources: dict[str, Sequence[Resource]] = {}
    impossible: dict[str, str] = {}
    by_name: dict[str, list[Step]] = {}
    for step in created:
        name = of_secret(step)
        if name is not None and step.type in _OF_A_SECRET:
            by_name.setdefault(name, []).append(step)
    for entry in entries:
        own = sorted(
            (step for step in by_name.get(entry.name, ()) if _is_in_aws(step, entry.live)),
            key=lambda step: _OF_A_SECRET.index(step.type),
        )
        built = [_resource(step, entry, own, providers) for step in own]
        unknown = sorted({name for resource in built for name in _unknown_inputs(resource)})
        if unknown:
            impossible[entry.name] = f"a preview does not show its {', '.join(unknown)}: an output decides it"
        elif built:
            resources[entry.name] = built
    return Additions(
        shared=[_shared(step, providers) for step in shared] if resources else [],
        resources=resources,
        impossible=impossible,
    )


def with_resources(state: Mapping[str, Any], added: Iterable[Resource]) -> dict[str, Any]:
    """Return a state with more resources, each after what it needs."""
    present = list(state.get("resources") or ())
    known = {resource["urn"] for resource in present if not resource.get("delete")}
    return {**state, "resources": [*present, *(one for one in added if one["urn"] not in known)]}


def without_resources(state: Mapping[str, Any], urns: Iterable[str]) -> dict[str, Any]:
    """Return a state without some resources, and without references to them."""
    removed = set(urns)
    # one that waits for its deletion has the same URN as the one that has replaced it
    remaining = [
        one
        for one in state["resources"]
        if one["urn"] not in removed or (one.get("delete") and one.get("parent") not in removed)
    ]
    return {**state, "resources": [_without_references(one, removed) for one in remaining]}


def resources_of(state: Mapping[str, Any], name: str) -> list[str]:
    """Return the URNs of a secret's components and of everything in them.

    Args:
        state: a stack's state.
        name: the component's name.
    """
    urns: list[str] = []
    for resource in state.get("resources") or ():
        qualified, _, own = resource["urn"].rpartition("::")
        is_component = own == name and qualified.endswith(tuple(f"::{one}" for one in _COMPONENTS))
        if is_component or resource.get("parent") in urns:
            urns.append(resource["urn"])
    return urns


def _without_references(resource: Resource, removed: set[str]) -> Resource:
    dependencies = resource.get("dependencies") or ()
    by_property = resource.get("propertyDependencies") or {}
    if removed.isdisjoint(dependencies) and not any(
        removed & set(each or ()) for each in by_property.values()
    ):
        return resource
    return {
        **resource,
        "dependencies": [urn for urn in dependencies if urn not in removed],
        "propertyDependencies": {
            name: [urn for urn in each or () if urn not in removed] for name, each in by_property.items()
        },
    }


def _is_in_aws(step: Step, live: LiveSecret) -> bool:
    """Return whether AWS has what a step would create; what it lacks, the next update creates."""
    if step.type == _POLICY:
        return live.policy is not None
    return step.type != _ROTATION or live.rotation is not None


def _shared(step: Step, providers: Mapping[str, str]) -> Resource:
    if step.type == _STACK:
        return {"urn": step.urn, "custom": False, "type": step.type}
    inputs = step.wanted.get("inputs") or {}
    # a preview does not show secret settings, such as a secret key: the next update adds them
    inputs = {name: value for name, value in inputs.items() if _SHOWN_FOR_SECRETS not in json.dumps(value)}
    return {
        "urn": step.urn,
        "custom": True,
        "id": providers[step.urn],
        "type": step.type,
        "inputs": inputs,
        "outputs": {name: value for name, value in inputs.items() if name != "__internal"},
    }


def _resource(step: Step, entry: Entry, own: Sequence[Step], providers: Mapping[str, str]) -> Resource:
    wanted, live = step.wanted, entry.live
    inputs = dict(wanted.get("inputs") or {})
    resource: Resource = {
        "urn": step.urn,
        "custom": step.type not in (*_LOGINS, *_COMPONENTS),
        "type": step.type,
        "inputs": inputs,
        "parent": step.parent,
        **({"protect": True} if wanted.get("protect") else {}),
    }
    if not resource["custom"]:
        # a configured value shows as [secret]: the next update writes it down
        return resource if _is_known(inputs) else {**resource, "inputs": {}}
    urn, _, identity = str(wanted["provider"]).rpartition("::")
    resource["provider"] = f"{urn}::{providers.get(urn, identity)}"
    if step.type == _PASSWORD:
        return {**resource, **_password(inputs)}
    if step.type == _SECRET:
        return {**resource, "id": live.arn, "outputs": _secret_outputs(inputs, live)}
    # whether its resource is added or in the state already
    secret = _urn_of_secret(step.urn, entry)
    if step.type == _POLICY:
        return {**resource, **_policy(inputs, live), "dependencies": [secret], "deletedWith": secret}
    if step.type == _ROTATION:
        version = [one.urn for one in own if one.type == _VERSION]
        if entry.login and live.rotation:
            # of another function, which the next update replaces by the stack's own
            inputs["rotationLambdaArn"] = live.rotation.function_arn
        return {**resource, **_rotation(inputs, live), "dependencies": [secret, *version]}
    return {
        **resource,
        **_version(inputs, live),
        "dependencies": [*(one.urn for one in own if one.type == _PASSWORD), secret],
        "retainOnDelete": True,
        "deletedWith": secret,
    }


def _urn_of_secret(urn: str, entry: Entry) -> str:
    stack, project, _ = urn.split("::", 2)
    return f"{stack}::{project}{end_of_secret(entry)}"


def _password(inputs: Mapping[str, Any]) -> Resource:
    stand_in = _stand_in({**_PASSWORD_DEFAULTS, **inputs})
    return {
        "id": "none",
        "outputs": {
            **_PASSWORD_DEFAULTS,
            **inputs,
            "number": inputs.get("numeric", True),
            "bcryptHash": _marked(""),
            "id": "none",
            "result": _marked(stand_in),
        },
        "additionalSecretOutputs": ["bcryptHash", "result"],
    }


def _stand_in(options: Mapping[str, Any]) -> str:
    """Return a text with these options that is in no secret."""
    classes = [
        (options["special"], options["minSpecial"], options["overrideSpecial"] or _SPECIAL),
        (options["lower"], options["minLower"], string.ascii_lowercase),
        (options["upper"], options["minUpper"], string.ascii_uppercase),
        (options["numeric"], options["minNumeric"], string.digits),
    ]
    alphabet = "".join(characters for allowed, _, characters in classes if allowed)
    chosen = [secrets.choice(characters) for _, minimum, characters in classes for _ in range(int(minimum))]
    chosen += [secrets.choice(alphabet) for _ in range(int(options["length"]) - len(chosen))]
    secrets.SystemRandom().shuffle(chosen)
    return "".join(chosen)


def _secret_outputs(inputs: Mapping[str, Any], live: LiveSecret) -> Resource:
    given = inputs.get("tags") or {}
    defaults = {key: value for key, value in (inputs.get("tagsAll") or {}).items() if key not in given}
    tags = {key: value for key, value in live.tags.items() if key in given or defaults.get(key) != value}
    return {
        "arn": live.arn,
        "description": live.description,
        "forceOverwriteReplicaSecret": False,
        "id": live.arn,
        "kmsKeyId": live.kms_key or "",
        "name": live.name,
        "namePrefix": "",
        "policy": "",
        "recoveryWindowInDays": inputs.get("recoveryWindowInDays"),
        **_region(inputs),
        "replicas": [
            {
                "kmsKeyId": replica.kms_key or "alias/aws/secretsmanager",
                "lastAccessedDate": "",
                "region": replica.region,
                "status": replica.status,
                "statusMessage": replica.status_message,
            }
            for replica in live.replicas
        ],
        "tags": tags or ({} if given else None),
        "tagsAll": dict(live.tags),
    }


def _version(inputs: dict[str, Any], live: LiveSecret) -> Resource:
    binary = "secretBinary" in inputs
    whole = base64.b64encode(PLACEHOLDER.encode()).decode() if binary else "{}"
    inputs["secretId"] = live.arn
    inputs["secretBinary" if binary else "secretString"] = _marked(whole)
    inputs["versionStages"] = sorted(live.labels)
    identity = f"{live.arn}|{live.current}"
    return {
        "id": identity,
        "outputs": {
            "arn": live.arn,
            "hasSecretStringWo": None,
            "id": identity,
            **_region(inputs),
            "secretArn": live.arn,
            "secretBinary": _marked(whole if binary else ""),
            "secretId": live.arn,
            "secretString": _marked("" if binary else whole),
            "secretStringWo": _marked(None),
            "secretStringWoVersion": None,
            "versionId": live.current,
            "versionStages": sorted(live.labels),
        },
        "additionalSecretOutputs": ["secretBinary", "secretString", "secretStringWo"],
    }


def _policy(inputs: dict[str, Any], live: LiveSecret) -> Resource:
    inputs["secretArn"] = live.arn
    return {
        "id": live.arn,
        "outputs": {
            "blockPublicPolicy": inputs.get("blockPublicPolicy"),
            "id": live.arn,
            # as AWS has it: were it another one than the program's, a preview would show it
            "policy": json.dumps(live.policy or {}),
            **_region(inputs),
            "secretArn": live.arn,
        },
    }


def _rotation(inputs: dict[str, Any], live: LiveSecret) -> Resource:
    inputs["secretId"] = live.arn
    rotation = live.rotation or LiveRotation(
        function_arn="", automatically_after_days=None, schedule_expression=None, duration=None
    )
    return {
        "id": live.arn,
        "outputs": {
            "__meta": '{"schema_version":"1"}',
            "id": live.arn,
            **_region(inputs),
            "rotateImmediately": inputs.get("rotateImmediately"),
            "rotationEnabled": live.rotation is not None,
            "rotationLambdaArn": rotation.function_arn,
            "rotationRules": {
                "automaticallyAfterDays": rotation.automatically_after_days or 0,
                "duration": rotation.duration or "",
                "scheduleExpression": rotation.schedule_expression or "",
            },
            "secretId": live.arn,
        },
    }


def _region(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"region": inputs["region"]} if "region" in inputs else {}


def _marked(value: object) -> dict[str, str]:
    """Return a value as `pulumi stack import` takes a secret one; it encrypts it."""
    return {_SIGNATURE: _SECRET_SIGNATURE, "plaintext": json.dumps(value)}


def _unknown_inputs(resource: Resource) -> list[str]:
    return [name for name, value in resource["inputs"].items() if not _is_known(value)]


def _is_known(value: object) -> bool:
    if isinstance(value, dict):
        return "ciphertext" not in value and all(_is_known(one) for one in value.values())
    if isinstance(value, list):
        return all(_is_known(one) for one in value)
    return value != _UNKNOWN
