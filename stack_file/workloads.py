"""Models of `workloads` in a stack file: who reads which keys, and how."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from stack_file.key_references import ExistingRead, FilePath, NamedRead, Read, ReadFile, Variable, WholeSecret
from stack_file.mistakes import matching, refusal
from stack_file.model import Model
from stack_file.secrets import SecretName

_INTERVAL = r"(?P<number>[1-9]\d{0,3})(?P<unit>[smh])"
_SECONDS = {"s": 1, "m": 60, "h": 3600}
# From the size of a Kubernetes object (etcd's limit is 1.5 MB) and, roughly, of one entry in a manifest.
_MOST_READS = 1_000


Label = Annotated[
    str,
    matching(
        r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
        "not a valid Kubernetes name",
        "The API server would reject the manifests",
        'Use 1 to 63 of the characters a-z 0-9 and "-"; begin and end with a letter or digit',
    ),
]
_Subdomain = Annotated[
    str,
    matching(
        r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*",
        "not a valid Kubernetes name",
        "The API server would reject the manifests",
        'Use 1 to 253 of the characters a-z 0-9 "-" and "."; begin and end each part with a letter or digit',
    ),
]


def _check_mount_path(path: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+", path) or ".." in path.split("/"):
        raise refusal(
            "not a valid mount path",
            "The pod would not start",
            'Use an absolute path, such as "/run/secrets/aws"',
        )
    return path


_Interval = Annotated[
    str,
    matching(
        _INTERVAL,
        "not a valid interval",
        "The operator would reject the manifests",
        'Use a number with s, m or h, such as "15m"',
    ),
]
_RoleArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:iam::\d{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}",
        "not the ARN of a role",
        "The operator could not assume the workload's role",
        "Use arn:aws:iam::ACCOUNT:role/NAME, the role of the operator's own pods",
    ),
]
_Cluster = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}",
        "not a valid EKS cluster name",
        "EKS would reject it",
        "Use 1 to 100 letters, digits, - and _, and start with a letter or digit",
    ),
]
_OidcProviderArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:iam::\d{12}:oidc-provider/.+",
        "not the ARN of an OIDC provider",
        "No pod could assume the role",
        "Use arn:aws:iam::ACCOUNT:oidc-provider/oidc.eks.REGION.amazonaws.com/id/ID",
    ),
]
Role = Annotated[
    str,
    matching(
        r"(arn:aws[a-z-]*:iam::\d{12}:role/)?[A-Za-z0-9_+=,.@/-]{1,576}",
        "not a valid role name or ARN",
        "Nobody could read the secrets",
        "Use a role's name, or the ARN of a role in another account",
    ),
]


class PodIdentity(Model):
    """EKS Pod Identity: the stack creates a role and associates it with the service account."""

    cluster: Annotated[
        _Cluster, Field(description="Name of the EKS cluster, in the stack's account and region")
    ]


_IDENTITIES = ("oidcProviderArn", "podIdentity", "operatorRole", "role")


class Kubernetes(Model):
    """A pod, and the operator that provides its secrets."""

    operator: Annotated[
        Literal["external-secrets", "secrets-store-csi"],
        Field(description="External Secrets Operator, or the Secrets Store CSI driver with AWS's provider"),
    ]
    namespace: Label = "default"
    service_account: _Subdomain = "default"
    oidc_provider_arn: Annotated[
        _OidcProviderArn | None,
        Field(description="OIDC provider of the cluster: creates a role for the service account (IRSA)"),
    ] = None
    pod_identity: Annotated[
        PodIdentity | None, Field(description="EKS Pod Identity for the pod; Secrets Store CSI driver only")
    ] = None
    operator_role: Annotated[
        _RoleArn | None,
        Field(
            description="ARN of the External Secrets Operator's own role, which assumes the role that is "
            "created"
        ),
    ] = None
    role: Annotated[
        Role | None, Field(description="An existing role: its name, or the ARN of one in another account")
    ] = None
    refresh: Annotated[_Interval, Field(description="How often the operator looks for new values")] = "1h"
    restart: Annotated[
        Literal["none", "reloader", "checksum"],
        Field(description="What restarts pods: reloader, on a new value; checksum, on a changed declaration"),
    ] = "none"

    @model_validator(mode="after")
    def _one_role(self) -> "Kubernetes":
        identities = (self.oidc_provider_arn, self.pod_identity, self.operator_role, self.role)
        if sum(identity is not None for identity in identities) != 1:
            raise refusal(
                f"kubernetes needs exactly one of {', '.join(_IDENTITIES)}",
                "",
                "Set oidcProviderArn to create a role for the service account, or role: NAME",
            )
        if self.pod_identity and self.operator == "external-secrets":
            raise refusal(
                "the External Secrets Operator cannot assume a role that Pod Identity gives to other pods",
                "It would read with its own role, or not at all",
                "Set operatorRole to the ARN of the operator's own role, or use oidcProviderArn",
            )
        if self.operator_role and self.operator != "external-secrets":
            raise refusal(
                "operatorRole is set for the Secrets Store CSI driver, which reads with the pod's role",
                "It would be ignored",
                "Use podIdentity: {cluster: NAME}, or oidcProviderArn",
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
        "not a valid ECS name",
        "Nothing would be redeployed, and tasks would keep the old value",
        "Use the name only, as in service/CLUSTER/SERVICE at the end of the service's ARN",
    ),
]


class Redeploy(Model):
    """The service that is redeployed when a secret that it reads changes."""

    cluster: Annotated[_EcsName, Field(description="Name of the ECS cluster, in this account and region")]
    service: Annotated[_EcsName, Field(description="Name of the ECS service")]
    automatic: Annotated[
        bool,
        Field(
            description="Whether the stack redeploys it as soon as a value changes; false: only the commands "
            "rotate and compromised do, in the order of restart.after"
        ),
    ] = True


class Ecs(Model):
    """A task of Amazon ECS."""

    role: Annotated[
        Role | None, Field(description="The task execution role; default: one that the stack creates")
    ] = None
    redeploy: Annotated[
        Redeploy | None, Field(description="A service to redeploy when a secret that it reads changes")
    ] = None


class Lambda(Model):
    """A Lambda function with AWS's Parameters and Secrets extension."""

    role: Annotated[
        Role, Field(description="The function's role: its name, or the ARN of one in another account")
    ]


_AlarmName = Annotated[
    str,
    matching(
        r"(?!arn:)[^\x00-\x1f\x7f]{1,255}",
        "not the name of an alarm",
        "Its state could not be queried",
        "Use the alarm's name, not its ARN",
    ),
]
_HealthUrl = Annotated[
    str,
    matching(
        r"https://[A-Za-z0-9.-]+(:\d{1,5})?(/[^\s#@]*)?",
        "not an https:// URL without user, password and fragment",
        "The check would fail, or would show a password",
        "Use a URL that needs no credentials, such as https://shop.example.com/health",
    ),
]


_SYSTEM_FOLDERS = re.compile(
    r"/(bin|boot|dev|etc|home|lib|lib64|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)"
    r"|/(dev|proc|sys|usr|etc/ssl|etc/pki)/.*"
    r"|/etc/(ssl|pki)|/var/(lib|log|run|tmp)|/run/secrets"
)


def _check_authorities_path(path: str) -> str:
    folder, _, file = path.rpartition("/")
    if not re.fullmatch(r"(/[A-Za-z0-9._-]+){2,}", path) or {".", ".."} & set(path.split("/")):
        raise refusal(
            "not the absolute path of a file in a folder",
            "Clients would not find the authorities",
            'Use a path such as "/etc/database-authorities/ca.pem"',
        )
    if file.startswith(".."):
        raise refusal(
            "Kubernetes reserves names that begin with ..",
            "The pod would not start",
            "Use another file name",
        )
    if _SYSTEM_FOLDERS.fullmatch(folder):
        raise refusal(
            f"the mount would hide {folder}, a folder of the image",
            "The container would miss its files",
            'Use a separate folder, such as "/etc/database-authorities/ca.pem"',
        )
    return path


class DatabaseAuthorities(Model):
    """A file with the certificate authorities of the workload's databases."""

    path: Annotated[
        Annotated[str, AfterValidator(_check_authorities_path)] | None,
        Field(
            description="Absolute path of the file; default: /etc/database-authorities/ca.pem, or "
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


class Restart(Model):
    """The place of a workload in the order of restarts, and its health checks, for the command `rotate`."""

    after: Annotated[
        tuple[str, ...],
        Field(description="Workloads that must be restarted and healthy first", max_length=100),
    ] = ()
    alarms: Annotated[
        tuple[_AlarmName, ...],
        Field(
            description="Names of CloudWatch alarms, in this account and region, that must not be in ALARM",
            max_length=100,
        ),
    ] = ()
    url: Annotated[
        _HealthUrl | None, Field(description="https:// URL that must answer with a status from 200 to 299")
    ] = None
    timeout_seconds: Annotated[
        int, Field(ge=1, le=7200, description="How long it may take until the workload is healthy")
    ] = 600
    watch_seconds: Annotated[
        int, Field(ge=0, le=3600, description="How long alarms and url must then stay good without a break")
    ] = 60


class Workload(Model):
    """A workload's reads and its platform: kubernetes, ecs or lambda."""

    kubernetes: Kubernetes | None = None
    ecs: Ecs | None = None
    lambda_: Annotated[Lambda | None, Field(alias="lambda")] = None
    environment: Annotated[
        dict[Variable, Read], Field(description="Environment variables with what they read")
    ] = Field(default_factory=dict)
    environment_from: Annotated[
        tuple[SecretName, ...],
        Field(description="Secrets whose declared keys all become variables of the same name"),
    ] = ()
    environment_from_all: Annotated[
        tuple[WholeSecret, ...],
        Field(description="Secrets whose keys in AWS all become variables; External Secrets Operator only"),
    ] = ()
    files: Annotated[
        dict[FilePath, ReadFile], Field(description="Files with what they read, by paths below mountPath")
    ] = Field(default_factory=dict)
    mount_path: Annotated[str, AfterValidator(_check_mount_path)] = "/run/secrets/aws"
    database_role: Annotated[
        Annotated[
            str,
            matching(
                r"[A-Za-z0-9_+=,.@/-]{1,576}",
                "not the name of a role",
                "The application could not log in to the database",
                "Use the name of a role in the stack's account, without arn:",
            ),
        ]
        | None,
        Field(
            description="The application's own role, for logins with authentication: iam: an ECS task role, "
            "or with operatorRole that of the pods; default: the role that reads the secrets"
        ),
    ] = None
    database_authorities: Annotated[
        DatabaseAuthorities | None,
        Field(description="Provides the authorities that sslmode=verify-full needs; {} for the defaults"),
    ] = None
    restart: Annotated[
        Restart | None,
        Field(description="How the command rotate restarts it: in which order, with which health checks"),
    ] = None

    @property
    def after(self) -> tuple[str, ...]:
        """Workloads that must be restarted first."""
        return self.restart.after if self.restart else ()

    @property
    def automatic_redeploy(self) -> Redeploy | None:
        """The service that the stack itself redeploys when a value changes."""
        service = self.ecs.redeploy if self.ecs else None
        return service if service and service.automatic else None

    @property
    def authorities_path(self) -> str:
        """Path of the file with the certificate authorities."""
        declared = self.database_authorities.path if self.database_authorities else None
        return declared or f"{'/opt' if self.lambda_ else '/etc'}/database-authorities/ca.pem"

    @property
    def reads(self) -> list[NamedRead]:
        """Its reads of this stack's secrets, except for environmentFrom."""
        whole = [secret.read(place, None, whole=True) for place, secret in self._wholes()]
        return [
            *(found for place, read in self._named() for found in read.reads(place)),
            *(found for found in whole if found is not None),
        ]

    @property
    def existing_reads(self) -> list[ExistingRead]:
        """Its reads of existing secrets."""
        whole = [secret.existing_read(place, None) for place, secret in self._wholes()]
        return [
            *(found for place, read in self._named() for found in read.existing_reads(place)),
            *(found for found in whole if found is not None),
        ]

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of the stack's secrets that it reads, sorted."""
        return tuple(sorted({*(read.secret for read in self.reads), *self.environment_from}))

    @property
    def existing_secrets(self) -> tuple[str, ...]:
        """Names or ARNs, as declared, of the other secrets that it reads, sorted."""
        return tuple(sorted({read.secret for read in self.existing_reads}))

    @property
    def role(self) -> str | None:
        """Name or ARN of the existing role that it uses; None if the stack creates a role."""
        platforms = (self.kubernetes, self.ecs, self.lambda_)
        return next((platform.role for platform in platforms if platform and platform.role), None)

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
        """Variables and files with a template."""
        entries = {**self.environment, **self.files}
        return [name for name, read in entries.items() if read.template is not None]

    @model_validator(mode="after")
    def _one_platform(self) -> "Workload":
        if sum(platform is not None for platform in (self.kubernetes, self.ecs, self.lambda_)) != 1:
            raise refusal(
                "a workload needs exactly one of kubernetes, ecs and lambda",
                "",
                "Keep one of them; declare a second workload for a second platform",
            )
        if self.files and not self.kubernetes:
            raise refusal(
                "ECS and Lambda do not support files",
                "",
                "Read them under environment",
            )
        if self.environment_from_all and not (
            self.kubernetes and self.kubernetes.operator == "external-secrets"
        ):
            raise refusal(
                "only the External Secrets Operator supports environmentFromAll",
                "",
                "Use environmentFrom for the keys that the stack file declares, or a variable or file with "
                "whole: true",
            )
        if self.templates and not (self.kubernetes and self.kubernetes.operator == "external-secrets"):
            raise refusal(
                f"only the External Secrets Operator supports templates, as in {', '.join(self.templates)}",
                "",
                "Store the whole text in a secret, or use operator: external-secrets",
            )
        return self

    @model_validator(mode="after")
    def _authorities_where_they_can_be(self) -> "Workload":
        folder = self.authorities_path.rpartition("/")[0]
        if self.lambda_ and not self.authorities_path.startswith(("/opt/", "/var/task/")):
            raise refusal(
                f"{self.authorities_path} cannot be a file of a Lambda function",
                "Its clients would not find the authorities",
                "Set databaseAuthorities: {path: /opt/...} for a layer, or /var/task/... for the package",
            )
        if self.kubernetes and f"{folder}/".startswith(f"{self.mount_path}/"):
            raise refusal(
                "the path of databaseAuthorities is inside mountPath",
                "The pod would not start",
                "Use a path outside mountPath",
            )
        return self

    @model_validator(mode="after")
    def _something_to_read(self) -> "Workload":
        reads = len(self.reads) + len(self.existing_reads)
        if not reads and not self.environment_from:
            raise refusal(
                "the workload reads nothing",
                "",
                "Add environment, environmentFrom or files, or remove it",
            )
        if reads > _MOST_READS:
            raise refusal(
                f"the workload has {reads} reads of single keys",
                "The manifests would be larger than Kubernetes accepts",
                f"Use at most {_MOST_READS}; environmentFrom reads a whole secret",
            )
        return self
