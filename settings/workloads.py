"""The shape of `workloads` in a stack file: who reads which keys, and how."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from settings.mistakes import matching, refusal
from settings.model import Model
from settings.secrets import JsonKey, SecretName

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INTERVAL = r"(?P<number>[1-9]\d{0,3})(?P<unit>[smh])"
_SECONDS = {"s": 1, "m": 60, "h": 3600}
# What Kubernetes stores of one object (etcd's limit is 1.5 MB), and what a line of a manifest takes, roughly.
_MOST_READS = 1_000


Label = Annotated[
    str,
    matching(
        r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
        "Kubernetes takes no such name",
        "The API server would refuse the manifests",
        'Use 1 to 63 of the characters a-z 0-9 and "-", the last not at the ends',
    ),
]
_Subdomain = Annotated[
    str,
    matching(
        r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*",
        "Kubernetes takes no such name",
        "The API server would refuse the manifests",
        'Use 1 to 253 of the characters a-z 0-9 "-" and ".", a letter or digit at both ends of each part',
    ),
]


def check_variable(name: str) -> str:
    """Raises a refusal for what is no name of an environment variable."""
    if not _VARIABLE.fullmatch(name):
        raise refusal(
            "this is no name of an environment variable",
            "Shells and many programs could not read it",
            "Use letters, digits and _, not a digit first",
        )
    return name


def _check_path(path: str) -> str:
    parts = path.split("/")
    if path.startswith("/") or ".." in parts:
        raise refusal(
            "the file would be outside its mount",
            "It could take the place of a file of the image",
            "Write a path below mountPath, without a slash at the beginning and without ..",
        )
    if not re.fullmatch(r"[A-Za-z0-9._/-]{1,253}", path) or "" in parts or "." in parts:
        raise refusal(
            "this is no path that every platform takes",
            "The file could not be made",
            "Use 1 to 253 of the characters A-Z a-z 0-9 . _ - with single slashes between",
        )
    return path


def _check_mount_path(path: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+", path) or ".." in path.split("/"):
        raise refusal(
            "this is no folder to mount files in",
            "The pod could not start",
            'Write an absolute path such as "/run/secrets/aws"',
        )
    return path


_Interval = Annotated[
    str,
    matching(
        _INTERVAL,
        "this is no interval",
        "The operator would refuse the manifests",
        'Write a number with s, m or h, for example "15m"',
    ),
]
_OidcProviderArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:iam::\d{12}:oidc-provider/.+",
        "this is not the ARN of an OIDC provider",
        "No pod could take the role",
        "Write arn:aws:iam::ACCOUNT:oidc-provider/oidc.eks.REGION.amazonaws.com/id/ID",
    ),
]
Role = Annotated[
    str,
    matching(
        r"(arn:aws[a-z-]*:iam::\d{12}:role/)?[A-Za-z0-9_+=,.@/-]{1,576}",
        "this names no role",
        "Nobody could read the secrets",
        "Write a role's name, or the ARN of a role in another account",
    ),
]
Variable = Annotated[str, AfterValidator(check_variable)]
FilePath = Annotated[str, AfterValidator(_check_path)]


class Read(Model):
    """One key of one secret."""

    secret: Annotated[SecretName, Field(description="Name in AWS of a secret of this stack")]
    key: Annotated[JsonKey | None, Field(description="JSON key; the variable's name if left out")] = None
    required: Annotated[bool, Field(description="Warn while a placeholder has not been filled")] = False


class ReadFile(Model):
    """One key of one secret, as a file."""

    secret: Annotated[SecretName, Field(description="Name in AWS of a secret of this stack")]
    key: Annotated[JsonKey, Field(description="JSON key")]
    required: Annotated[bool, Field(description="Warn while a placeholder has not been filled")] = False


@dataclass(frozen=True)
class NamedRead:
    """A key that a workload reads under a name of its own.

    Attributes:
        place: below the workload: `environment` or `files`, and the name.
        secret, key: what it reads.
        required: see Read.
    """

    place: tuple[str, str]
    secret: str
    key: str
    required: bool


class Kubernetes(Model):
    """A pod, and the operator that brings secrets to it."""

    operator: Annotated[
        Literal["external-secrets", "secrets-store-csi"],
        Field(description="External Secrets Operator, or the Secrets Store CSI driver with AWS's provider"),
    ]
    namespace: Label = "default"
    service_account: _Subdomain = "default"
    oidc_provider_arn: Annotated[
        _OidcProviderArn | None,
        Field(description="The cluster's OIDC provider: a role for the service account is made (IRSA)"),
    ] = None
    role: Annotated[
        Role | None, Field(description="A role that exists, by its name or another account's ARN")
    ] = None
    refresh: Annotated[_Interval, Field(description="How often the operator looks for new values")] = "1h"
    restart: Annotated[
        Literal["none", "reloader", "checksum"],
        Field(description="How pods are restarted when a value changes"),
    ] = "none"

    @model_validator(mode="after")
    def _one_role(self) -> "Kubernetes":
        if (self.oidc_provider_arn is None) == (self.role is None):
            raise refusal(
                "kubernetes takes either oidcProviderArn or role",
                "It would be unclear who may read the secrets",
                "Write oidcProviderArn to have a role made for the service account, or role: NAME",
            )
        return self

    @property
    def refresh_seconds(self) -> int:
        """The interval in seconds."""
        found = re.fullmatch(_INTERVAL, self.refresh)
        if found is None:
            raise ValueError(self.refresh)  # checked above
        return int(found["number"]) * _SECONDS[found["unit"]]


class Ecs(Model):
    """A task of Amazon ECS."""

    role: Annotated[Role | None, Field(description="The task execution role; made if left out")] = None


class Lambda(Model):
    """A Lambda function with AWS's Parameters and Secrets extension."""

    role: Annotated[Role, Field(description="The function's role, by its name or another account's ARN")]


class Workload(Model):
    """What one workload reads, and where it runs: kubernetes, ecs or lambda."""

    kubernetes: Kubernetes | None = None
    ecs: Ecs | None = None
    lambda_: Annotated[Lambda | None, Field(alias="lambda")] = None
    environment: Annotated[
        dict[Variable, Read], Field(description="Environment variable to what it holds")
    ] = Field(default_factory=dict)
    environment_from: Annotated[
        tuple[SecretName, ...], Field(description="Secrets whose keys all become variables of the same name")
    ] = ()
    files: Annotated[
        dict[FilePath, ReadFile], Field(description="Path below mountPath to what the file holds")
    ] = Field(default_factory=dict)
    mount_path: Annotated[str, AfterValidator(_check_mount_path)] = "/run/secrets/aws"

    @property
    def reads(self) -> list[NamedRead]:
        """All that it reads key by key."""
        return [
            *(
                NamedRead(("environment", variable), read.secret, read.key or variable, read.required)
                for variable, read in self.environment.items()
            ),
            *(
                NamedRead(("files", path), file.secret, file.key, file.required)
                for path, file in self.files.items()
            ),
        ]

    @model_validator(mode="after")
    def _one_platform(self) -> "Workload":
        if sum(platform is not None for platform in (self.kubernetes, self.ecs, self.lambda_)) != 1:
            raise refusal(
                "a workload has exactly one of kubernetes, ecs and lambda",
                "It would be unclear how it reads",
                "Keep one; two platforms are two workloads",
            )
        if self.files and not self.kubernetes:
            raise refusal(
                "files are given where there are none",
                "ECS and Lambda bring secrets as variables only",
                "Write them under environment",
            )
        return self

    @model_validator(mode="after")
    def _something_to_read(self) -> "Workload":
        reads = len(self.environment) + len(self.files)
        if not reads and not self.environment_from:
            raise refusal(
                "this workload reads nothing",
                "It would have an empty role",
                "Add environment, environmentFrom or files, or remove it",
            )
        if reads > _MOST_READS:
            raise refusal(
                f"this workload reads {reads} keys one by one",
                "The manifests would be larger than Kubernetes takes",
                f"Read {_MOST_READS} at the most; environmentFrom takes a whole secret",
            )
        return self
