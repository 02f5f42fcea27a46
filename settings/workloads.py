"""The shape of `workloads` in a stack file: who reads which keys, and how."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from settings.mistakes import matching, refusal
from settings.model import Model
from settings.reads import ExistingRead, FilePath, NamedRead, Read, ReadFile, Variable, WholeSecret
from settings.secrets import SecretName

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
_RoleArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:iam::\d{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}",
        "this is not the ARN of a role",
        "The operator could not take the workload's role",
        "Write arn:aws:iam::ACCOUNT:role/NAME, the role that the operator's own pods have",
    ),
]
_Cluster = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}",
        "this is no name of an EKS cluster",
        "EKS would refuse it",
        "Use 1 to 100 letters, digits, - and _, a letter or digit first",
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


class PodIdentity(Model):
    """EKS Pod Identity: a role is made and associated with the service account."""

    cluster: Annotated[
        _Cluster, Field(description="Name of the EKS cluster, in the stack's account and region")
    ]


_IDENTITIES = ("oidcProviderArn", "podIdentity", "operatorRole", "role")


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
    pod_identity: Annotated[
        PodIdentity | None, Field(description="EKS Pod Identity of the pod; Secrets Store CSI driver only")
    ] = None
    operator_role: Annotated[
        _RoleArn | None,
        Field(
            description="ARN of the External Secrets Operator's own role, which takes the role that is made"
        ),
    ] = None
    role: Annotated[
        Role | None, Field(description="A role that exists, by its name or another account's ARN")
    ] = None
    refresh: Annotated[_Interval, Field(description="How often the operator looks for new values")] = "1h"
    restart: Annotated[
        Literal["none", "reloader", "checksum"],
        Field(description="What restarts pods: Reloader, when a value changes; checksum, when this does"),
    ] = "none"

    @model_validator(mode="after")
    def _one_role(self) -> "Kubernetes":
        identities = (self.oidc_provider_arn, self.pod_identity, self.operator_role, self.role)
        if sum(identity is not None for identity in identities) != 1:
            raise refusal(
                f"kubernetes takes exactly one of {', '.join(_IDENTITIES)}",
                "It would be unclear who may read the secrets",
                "Write oidcProviderArn to have a role made for the service account, or role: NAME",
            )
        if self.pod_identity and self.operator == "external-secrets":
            raise refusal(
                "the External Secrets Operator cannot take a role that Pod Identity gives to other pods",
                "It would read with its own role, or not at all",
                "Write operatorRole: ARN, the operator's own role, or oidcProviderArn",
            )
        if self.operator_role and self.operator != "external-secrets":
            raise refusal(
                "the Secrets Store CSI driver reads with the role of the pod",
                "There is no role of an operator",
                "Write podIdentity: {cluster: NAME}, or oidcProviderArn",
            )
        return self

    @property
    def refresh_seconds(self) -> int:
        """The interval in seconds."""
        found = re.fullmatch(_INTERVAL, self.refresh)
        if found is None:
            raise ValueError(self.refresh)  # checked above
        return int(found["number"]) * _SECONDS[found["unit"]]


_EcsName = Annotated[
    str,
    matching(
        r"[A-Za-z0-9_-]{1,255}",
        "ECS takes no such name",
        "Nothing would be redeployed, and tasks would keep the old value",
        "Write the name alone, as in service/CLUSTER/SERVICE at the end of the service's ARN",
    ),
]


class Redeploy(Model):
    """The service that is deployed again when a secret that it reads changes."""

    cluster: Annotated[_EcsName, Field(description="Name of the ECS cluster, in this account and region")]
    service: Annotated[_EcsName, Field(description="Name of the ECS service")]


class Ecs(Model):
    """A task of Amazon ECS."""

    role: Annotated[Role | None, Field(description="The task execution role; made if left out")] = None
    redeploy: Annotated[
        Redeploy | None, Field(description="A service to deploy again when a secret that it reads changes")
    ] = None


class Lambda(Model):
    """A Lambda function with AWS's Parameters and Secrets extension."""

    role: Annotated[Role, Field(description="The function's role, by its name or another account's ARN")]


_SYSTEM_FOLDERS = re.compile(
    r"/(bin|boot|dev|etc|home|lib|lib64|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)"
    r"|/(dev|proc|sys|usr|etc/ssl|etc/pki)/.*"
    r"|/etc/(ssl|pki)|/var/(lib|log|run|tmp)|/run/secrets"
)


def _check_authorities_path(path: str) -> str:
    folder, _, file = path.rpartition("/")
    if not re.fullmatch(r"(/[A-Za-z0-9._-]+){2,}", path) or {".", ".."} & set(path.split("/")):
        raise refusal(
            "not an absolute path of a file in a folder",
            "Clients would not find the authorities",
            'Write a path such as "/etc/database-authorities/ca.pem"',
        )
    if file.startswith(".."):
        raise refusal(
            "Kubernetes reserves names that begin with ..",
            "The pod would not start",
            "Choose another file name",
        )
    if _SYSTEM_FOLDERS.fullmatch(folder):
        raise refusal(
            f"{folder} is a folder of the image, which the mount would hide",
            "The container would miss its files",
            'Write a folder of its own, such as "/etc/database-authorities/ca.pem"',
        )
    return path


class DatabaseAuthorities(Model):
    """A file with the certificate authorities of the databases that the workload logs in to."""

    path: Annotated[
        Annotated[str, AfterValidator(_check_authorities_path)] | None,
        Field(
            description="Absolute path of the file; /etc/database-authorities/ca.pem if left out, "
            "/opt/database-authorities/ca.pem on Lambda"
        ),
    ] = None
    variables: Annotated[
        tuple[Variable, ...],
        Field(
            description="Environment variables that hold the path: PGSSLROOTCERT for libpq and Go, "
            "NODE_EXTRA_CA_CERTS for Node.js"
        ),
    ] = ("PGSSLROOTCERT",)


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
    environment_from_all: Annotated[
        tuple[WholeSecret, ...],
        Field(description="Secrets of which every key in AWS becomes a variable; External Secrets only"),
    ] = ()
    files: Annotated[
        dict[FilePath, ReadFile], Field(description="Path below mountPath to what the file holds")
    ] = Field(default_factory=dict)
    mount_path: Annotated[str, AfterValidator(_check_mount_path)] = "/run/secrets/aws"
    database_authorities: Annotated[
        DatabaseAuthorities | None,
        Field(description="Brings the authorities that sslmode=verify-full needs; {} for the defaults"),
    ] = None

    @property
    def authorities_path(self) -> str:
        """Where the file with the certificate authorities is."""
        declared = self.database_authorities.path if self.database_authorities else None
        return declared or f"{'/opt' if self.lambda_ else '/etc'}/database-authorities/ca.pem"

    @property
    def reads(self) -> list[NamedRead]:
        """All that it reads of this stack's secrets, except for environmentFrom."""
        whole = [secret.read(place, None, whole=True) for place, secret in self._wholes()]
        return [
            *(found for place, read in self._named() for found in read.reads(place)),
            *(found for found in whole if found is not None),
        ]

    @property
    def existing_reads(self) -> list[ExistingRead]:
        """All that it reads of secrets that this stack does not make."""
        whole = [secret.existing_read(place, None) for place, secret in self._wholes()]
        return [
            *(found for place, read in self._named() for found in read.existing_reads(place)),
            *(found for found in whole if found is not None),
        ]

    def _wholes(self) -> Iterator[tuple[tuple[str | int, ...], WholeSecret]]:
        for index, secret in enumerate(self.environment_from_all):
            yield ("environmentFromAll", index), secret

    def _named(self) -> Iterator[tuple[tuple[str, str], Read]]:
        for variable, read in self.environment.items():
            yield ("environment", variable), read
        for path, file in self.files.items():
            yield ("files", path), file

    @property
    def templates(self) -> list[str]:
        """Variables and files that are made of several keys."""
        entries = {**self.environment, **self.files}
        return [name for name, read in entries.items() if read.template is not None]

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
        if self.environment_from_all and not (
            self.kubernetes and self.kubernetes.operator == "external-secrets"
        ):
            raise refusal(
                "only the External Secrets Operator makes variables of keys that nobody lists",
                "The workload would not have them",
                "Use environmentFrom for the keys that the stack file lists, or a variable or file with "
                "whole: true",
            )
        if self.templates and not (self.kubernetes and self.kubernetes.operator == "external-secrets"):
            raise refusal(
                f"only the External Secrets Operator takes templates, as of {', '.join(self.templates)}",
                "The workload would not have them",
                "Let a secret hold the whole text, or use operator: external-secrets",
            )
        return self

    @model_validator(mode="after")
    def _authorities_where_they_can_be(self) -> "Workload":
        folder = self.authorities_path.rpartition("/")[0]
        if self.lambda_ and not self.authorities_path.startswith(("/opt/", "/var/task/")):
            raise refusal(
                f"a Lambda function has no file {self.authorities_path}",
                "Its clients would not find the authorities",
                "Write databaseAuthorities: {path: /opt/...} for a layer, or /var/task/... for the package",
            )
        if self.kubernetes and f"{folder}/".startswith(f"{self.mount_path}/"):
            raise refusal(
                "databaseAuthorities and mountPath are mounted at the same place",
                "The pod would not start",
                "Write a path outside mountPath",
            )
        return self

    @model_validator(mode="after")
    def _something_to_read(self) -> "Workload":
        reads = len(self.reads) + len(self.existing_reads)
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
