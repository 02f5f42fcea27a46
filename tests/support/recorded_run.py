"""Run the program without an engine, and record its requests with their resource options."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from google.protobuf import json_format
from pulumi.runtime import mocks, set_all_config
from pulumi.runtime.settings import ROOT
from pulumi.runtime.stack import run_in_stack

from program import deploy
from stack_file import loading

PROJECT = "aws-secrets"
STACK = "test"
MASTER_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-1234-AbCdEf"
MASTER_KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/master"
_KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
_SECRET_SIGNATURE = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


def existing_arn(name: str) -> str:
    """Return the ARN of a secret that the stack does not create."""
    return f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-QwErTy"


@dataclass(frozen=True)
class Registered:
    """A RegisterResource request.

    Attributes:
        secret_inputs: names of inputs that are secrets.
        visible_inputs: the inputs with secrets replaced at any depth.
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
    """All requests of a run, in order, and the stack's outputs."""

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
        """Return the engine's URN, with the types of all ancestors, which pulumi's mocks omit."""
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


def _plain(value: object, instead: str | None = None) -> Any:
    """Return a value without the marks of secrets, or with each secret replaced by `instead`."""
    if _is_secret(value):
        assert isinstance(value, dict)
        return _plain(value["value"]) if instead is None else instead
    if isinstance(value, dict):
        return {key: _plain(item, instead) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, instead) for item in value]
    return value


_ELASTICACHE = "arn:aws:elasticache:us-east-1:123456789012"
_CACHES: dict[str, dict[str, Any]] = {
    "aws:elasticache/getReplicationGroup:getReplicationGroup": {
        "arn": f"{_ELASTICACHE}:replicationgroup:sessions",
        "memberClusters": ["sessions-001", "sessions-002"],
        "primaryEndpointAddress": "sessions.cache.example",
        "readerEndpointAddress": "sessions-ro.cache.example",
        "configurationEndpointAddress": "",
        "port": 6379,
    },
    "aws:elasticache/getCluster:getCluster": {
        "engine": "valkey",
        "subnetGroupName": "caches",
        "securityGroupIds": ["sg-2"],
    },
    "aws:elasticache/getServerlessCache:getServerlessCache": {
        "engine": "redis",
        "endpoint": {"address": "serverless.cache.example", "port": 6379},
        "readerEndpoint": {"address": "serverless.cache.example", "port": 6380},
        "subnetIds": ["subnet-d", "subnet-c"],
        "securityGroupIds": ["sg-2"],
    },
    "aws:memorydb/getCluster:getCluster": {
        "engine": "redis",
        "tlsEnabled": True,
        "clusterEndpoints": [{"address": "clustercfg.memorydb.example", "port": 6379}],
        "subnetGroupName": "caches",
        "securityGroupIds": ["sg-2"],
    },
}


class _Answers(mocks.Mocks):
    """Answers of AWS and of the random provider."""

    # identifier to RDS's description
    databases: ClassVar[dict[str, dict[str, Any]]] = {
        "example-db": {
            "engine": "postgres",
            "address": "example-db.rds.example",
            "resourceId": "db-SHOP",
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
            "clusterResourceId": "cluster-SHOP",
            "iamDatabaseAuthenticationEnabled": False,
            "readerEndpoint": "in-a-vpc-ro.rds.example",
            "port": 5433,
            "dbSubnetGroupName": "a-group",
            "vpcSecurityGroupIds": ["sg-1"],
            "masterUserSecrets": [{"secretArn": MASTER_ARN, "kmsKeyId": "", "secretStatus": "active"}],
        },
        "unmanaged": {"engine": "postgres", "address": "x", "port": 5432, "masterUserSecrets": []},
        "other-engine": {"engine": "mysql", "address": "x", "port": 3306, "masterUserSecrets": []},
    }

    # existing secrets, and the KMS keys of those that differ from the rest
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
                name = state.get("name") or f"{state['namePrefix']}1"
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

    def call(self, args: mocks.MockCallArgs) -> Any:
        match args.token:
            case "aws:index/getCallerIdentity:getCallerIdentity":
                return {"accountId": "123456789012", "arn": "arn:aws:iam::123456789012:user/u", "id": "x"}
            case "aws:index/getRegion:getRegion":
                return {"region": "us-east-1"}
            case "aws:rds/getInstance:getInstance" | "aws:rds/getCluster:getCluster":
                return self.databases[args.args.get("dbInstanceIdentifier") or args.args["clusterIdentifier"]]
            case "aws:secretsmanager/getSecret:getSecret":
                return {"arn": args.args["arn"], "kmsKeyId": self.keys.get(args.args["arn"], _KEY_ID)}
            case "aws:secretsmanager/getSecrets:getSecrets":
                [wanted] = args.args["filters"]
                assert wanted["name"] == "name"
                found = [name for name in self.existing if name.startswith(tuple(wanted["values"]))]
                return {"arns": [existing_arn(name) for name in found], "names": found, "filters": [wanted]}
        return _of_server(args)


def _of_server(args: mocks.MockCallArgs) -> dict[str, Any]:
    match args.token.rpartition(":")[2]:
        case "getSubnetGroup":
            subnets = ["subnet-b", "subnet-a"] if "aws:rds/" in args.token else ["subnet-d", "subnet-c"]
            return {"subnetIds": subnets, "name": args.args["name"], "vpcId": "vpc-1"}
        case "getUser":
            user = args.args.get("userId")
            return {"userId": user, "userName": f"{user}-name" if user else args.args["userName"]}
    return _CACHES[args.token]


class _RecordingMonitor(mocks.MockMonitor):
    def __init__(self, recording: Recording) -> None:
        super().__init__(_Answers())
        self.recording = recording

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  gRPC's name, untyped
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

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802  gRPC's name, untyped
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
    """Run the program with a stack configuration.

    Args:
        config: full key to value; structures as objects.
        secret_config: full key to secret text.
        secret_keys: further keys that are secrets.
        recording: where to record; it keeps the requests of a program that fails.
    """
    return record(lambda: deploy.declare(loading.load()), config, secret_config, secret_keys, recording)


def record(
    declare: Callable[[], object],
    config: Mapping[str, object] | None = None,
    secret_config: Mapping[str, str] | None = None,
    secret_keys: Sequence[str] = (),
    recording: Recording | None = None,
) -> Recording:
    """Return what a program asks for, by default one without configuration."""
    recording = recording or Recording()
    text = {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in (config or {}).items()
    }
    secrets = secret_config or {}

    def run_program() -> None:
        declare()

    async def in_stack() -> None:
        mocks.set_mocks(
            _Answers(), project=PROJECT, stack=STACK, preview=False, monitor=_RecordingMonitor(recording)
        )
        ROOT.set(None)  # set_mocks creates a stack without outputs; run_in_stack creates its own
        set_all_config({**text, **secrets}, [*secrets, *secret_keys])
        await run_in_stack(run_program)

    asyncio.run(in_stack())
    return recording
