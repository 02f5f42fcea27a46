"""Runs the program without an engine and records what it asks the engine for, resource options included."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from google.protobuf import json_format
from pulumi.runtime import mocks, set_all_config
from pulumi.runtime.settings import ROOT
from pulumi.runtime.stack import run_in_stack

import program
import settings

PROJECT = "aws-secrets"
STACK = "test"
MASTER_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-1234-AbCdEf"
MASTER_KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/master"
_KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
_SECRET_SIGNATURE = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


def existing_arn(name: str) -> str:
    """The ARN of a secret that somebody else made."""
    return f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-QwErTy"


@dataclass(frozen=True)
class Registered:
    """One RegisterResource request.

    `secret_inputs` names the inputs that travel as secrets; `visible_inputs` is without secrets at any depth.
    """

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    protect: bool
    inputs: Mapping[str, Any]
    visible_inputs: Mapping[str, Any]
    secret_inputs: frozenset[str]
    ignore_changes: tuple[str, ...]
    deleted_with: str
    dependencies: frozenset[str]
    hooks: frozenset[str]
    retain_on_delete: bool


@dataclass
class Recording:
    """All requests of one run, in order, and the stack's outputs with the names of the secret ones."""

    resources: list[Registered] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def only(self, type_: str, name: str | None = None) -> Registered:
        found = [
            resource
            for resource in self.resources
            if resource.type == type_ and name in {None, resource.name}
        ]
        assert len(found) == 1, f"{len(found)} resources {type_} {name}"
        return found[0]

    def real_urn(self, resource: Registered) -> str:
        """As the engine makes it, with the types of all ancestors; pulumi's mocks leave most of them out."""
        known = {found.urn: found for found in self.resources}
        types, ancestor = [resource.type], known.get(resource.parent)
        while ancestor:
            types.insert(0, ancestor.type)
            ancestor = known.get(ancestor.parent)
        return f"urn:pulumi:{STACK}::{PROJECT}::{'$'.join(types)}::{resource.name}"

    def types(self) -> list[str]:
        return [resource.type for resource in self.resources]


def _is_secret(value: object) -> bool:
    return isinstance(value, dict) and _SECRET_SIGNATURE.items() <= value.items()


def _plain(value: object, instead: str | None = None) -> Any:  # noqa: ANN401  any property value
    """Without the marks of secrets; with `instead`, secrets are replaced by it."""
    if _is_secret(value):
        assert isinstance(value, dict)
        return _plain(value["value"]) if instead is None else instead
    if isinstance(value, dict):
        return {key: _plain(item, instead) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, instead) for item in value]
    return value


class _Answers(mocks.Mocks):
    """What AWS and the random provider would answer; `result` differs from run to run, as there."""

    # identifier to what RDS says of it
    databases: ClassVar[dict[str, dict[str, Any]]] = {
        "example-db": {
            "engine": "postgres",
            "address": "example-db.rds.example",
            "port": 5432,
            "dbSubnetGroup": "",
            "vpcSecurityGroups": [],
            "masterUserSecrets": [
                {"secretArn": MASTER_ARN, "kmsKeyId": MASTER_KEY_ARN, "secretStatus": "active"}
            ],
        },
        "in-a-vpc": {
            "engine": "aurora-postgresql",
            "endpoint": "in-a-vpc.rds.example",
            "readerEndpoint": "in-a-vpc-ro.rds.example",
            "port": 5433,
            "dbSubnetGroupName": "a-group",
            "vpcSecurityGroupIds": ["sg-1"],
            "masterUserSecrets": [{"secretArn": MASTER_ARN, "kmsKeyId": "", "secretStatus": "active"}],
        },
        "unmanaged": {"engine": "postgres", "address": "x", "port": 5432, "masterUserSecrets": []},
        "other-engine": {"engine": "mysql", "address": "x", "port": 3306, "masterUserSecrets": []},
    }

    # secrets that somebody else made, and the keys of those that have another than the rest
    existing: ClassVar[tuple[str, ...]] = ("platform/sentry", "platform/sentry-old", "rds!cluster-1a2b")
    keys: ClassVar[dict[str, str]] = {existing_arn("platform/sentry-old"): "alias/aws/secretsmanager"}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        state = dict(args.inputs)
        match args.typ:
            case "aws:secretsmanager/secret:Secret":
                state["arn"] = f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{state['name']}-AbCdEf"
            case "aws:lambda/function:Function":
                state |= {
                    "name": args.name,
                    "arn": f"arn:aws:lambda:us-east-1:123456789012:function:{args.name}",
                }
            case "aws:iam/role:Role":
                state |= {"name": args.name, "arn": f"arn:aws:iam::123456789012:role/{args.name}"}
            case "aws:iam/policy:Policy":
                state["arn"] = f"arn:aws:iam::123456789012:policy/{args.name}"
            case "aws:cloudwatch/logGroup:LogGroup":
                name = f"{state['namePrefix']}1"
                state |= {"name": name, "arn": f"arn:aws:logs:us-east-1:123456789012:log-group:{name}"}
            case "aws:cloudwatch/eventRule:EventRule":
                state |= {"name": args.name, "arn": f"arn:aws:events:us-east-1:123456789012:rule/{args.name}"}
            case "aws:lambda/invocation:Invocation":
                state["result"] = json.dumps({"Roles": ["a-role"], "Warnings": [], "Added": []})
            case "aws:kms/key:Key":
                state |= {"arn": "arn:aws:kms:us-east-1:123456789012:key/k", "keyId": "k"}
            case "random:index/randomPassword:RandomPassword":
                digits = state.get("overrideSpecial") == "0123456789abcdef"
                state["result"] = ("fbff" * 64 if digits else "R" * 4096)[: int(state["length"])]
        return f"{args.name}-id", state

    def call(self, args: mocks.MockCallArgs) -> Any:  # noqa: ANN401  a union in the base class
        match args.token:
            case "aws:index/getCallerIdentity:getCallerIdentity":
                return {"accountId": "123456789012", "arn": "arn:aws:iam::123456789012:user/u", "id": "x"}
            case "aws:index/getRegion:getRegion":
                return {"region": "us-east-1"}
            case "aws:rds/getInstance:getInstance" | "aws:rds/getCluster:getCluster":
                return self.databases[args.args.get("dbInstanceIdentifier") or args.args["clusterIdentifier"]]
            case "aws:rds/getSubnetGroup:getSubnetGroup":
                return {"subnetIds": ["subnet-b", "subnet-a"], "name": args.args["name"], "vpcId": "vpc-1"}
            case "aws:secretsmanager/getSecret:getSecret":
                return {"arn": args.args["arn"], "kmsKeyId": self.keys.get(args.args["arn"], _KEY_ID)}
            case "aws:secretsmanager/getSecrets:getSecrets":
                [wanted] = args.args["filters"]
                assert wanted["name"] == "name"
                found = [name for name in self.existing if name.startswith(tuple(wanted["values"]))]
                return {"arns": [existing_arn(name) for name in found], "names": found, "filters": [wanted]}
        raise AssertionError(args.token)


class _RecordingMonitor(mocks.MockMonitor):
    def __init__(self, recording: Recording) -> None:
        super().__init__(_Answers())
        self.recording = recording

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802, ANN401  gRPC's name, untyped
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]  # pulumi's mocks are untyped
        inputs = json_format.MessageToDict(request.object)
        if request.type != "pulumi:pulumi:Stack":
            self.recording.resources.append(
                Registered(
                    urn=response.urn,
                    type=request.type,
                    name=request.name,
                    parent=request.parent,
                    custom=request.custom,
                    protect=request.protect,
                    inputs=_plain(inputs),
                    visible_inputs=_plain(inputs, "[secret]"),
                    secret_inputs=frozenset(key for key, value in inputs.items() if _is_secret(value)),
                    ignore_changes=tuple(request.ignoreChanges),
                    deleted_with=request.deletedWith,
                    dependencies=frozenset(request.dependencies),
                    retain_on_delete=request.retainOnDelete,
                    hooks=frozenset(
                        [
                            *request.hooks.before_update,
                            *request.hooks.after_create,
                            *request.hooks.on_error,
                        ]
                    ),
                )
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802, ANN401  gRPC's name, untyped
        if "::pulumi:pulumi:Stack::" in request.urn:
            self.recording.outputs = json_format.MessageToDict(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]  # as above


def run(
    config: Mapping[str, object],
    secret_config: Mapping[str, str] | None = None,
    *,
    secret_keys: Sequence[str] = (),
    recording: Recording | None = None,
) -> Recording:
    """Runs the program with this stack configuration; structure is given as objects, secrets as text.

    A recording that is passed in shows what was asked for even where the program fails.
    """
    recording = recording or Recording()
    text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    secrets = secret_config or {}

    async def in_stack() -> None:
        mocks.set_mocks(
            _Answers(), project=PROJECT, stack=STACK, preview=False, monitor=_RecordingMonitor(recording)
        )
        ROOT.set(None)  # set_mocks made a stack that takes no outputs; run_in_stack makes its own
        set_all_config({**text, **secrets}, [*secrets, *secret_keys])
        await run_in_stack(lambda: program.declare(settings.load()))

    asyncio.run(in_stack())
    return recording
