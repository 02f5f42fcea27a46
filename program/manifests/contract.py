"""A workload's contract: its reads, which every platform's manifests are rendered from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from stack_file.template import Placeholder

Operator = Literal["external-secrets", "secrets-store-csi"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One JSON key of a secret, or the whole secret.

    Attributes:
        secret_name: name in AWS, of the characters A-Z a-z 0-9 / _ + = . @ -
        secret_arn: full ARN.
        key: JSON key; None for the whole secret.
    """

    secret_name: str
    secret_arn: str
    key: str | None


@dataclass(frozen=True, kw_only=True)
class Template:
    """A text made of several keys.

    Attributes:
        pieces: texts and placeholders, in order.
        sources: placeholder's name to its source.
    """

    pieces: tuple[str | Placeholder, ...]
    sources: Mapping[str, Source]


Value: TypeAlias = Source | Template


@dataclass(frozen=True, kw_only=True)
class Authorities:
    """Certificate authorities of databases as a file. Public data.

    Attributes:
        pem: PEM text of the file.
        path: absolute path of the file in the workload's containers.
        variables: environment variables that hold the path.
    """

    pem: str
    path: str
    variables: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        """Variable to path, sorted."""
        return dict.fromkeys(sorted(self.variables), self.path)

    @property
    def folder(self) -> str:
        """Folder of the file."""
        return self.path.rpartition("/")[0]

    @property
    def file(self) -> str:
        """Name of the file in its folder."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A workload with the names that it reads under.

    Attributes:
        name: an RFC 1123 label; every object created for the workload is named after it.
        region: region of the secrets.
        environment: variable to its value.
        environment_from_all: whole secrets whose keys in AWS all become variables; `environment` wins over
            them.
        files: path below `mount_path` to the file's value.
        mount_path: where files are mounted.
        operator: what brings the secrets into Kubernetes.
        namespace, service_account: of the pod.
        refresh_seconds: how often the operator looks for new values.
        restart: what restarts pods: Reloader when a value changes, or a change of the declaration, whose
            checksum is in the pod's annotations.
        pod_identity: whether pods get their role from EKS Pod Identity instead of IRSA.
        assumed_role: ARN of the role that the External Secrets Operator assumes.
        authorities: certificate authorities of its databases; None if it does not ask for them.
    """

    name: str
    region: str
    environment: Mapping[str, Value] = field(default_factory=dict)
    environment_from_all: tuple[Source, ...] = ()
    files: Mapping[str, Value] = field(default_factory=dict)
    mount_path: str = "/run/secrets/aws"
    operator: Operator = "external-secrets"
    namespace: str = "default"
    service_account: str = "default"
    refresh_seconds: int = 3600
    restart: Literal["none", "reloader", "checksum"] = "none"
    pod_identity: bool = False
    assumed_role: str | None = None
    authorities: Authorities | None = None

    @property
    def environment_secret(self) -> str:
        """Name of the Kubernetes Secret that holds the variables."""
        return f"{self.name}-environment"

    @property
    def environment_from_secret(self) -> str:
        """Name of the Kubernetes Secret that holds the keys of whole secrets."""
        return f"{self.name}-environment-from"

    @property
    def files_secret(self) -> str:
        """Name of the Kubernetes Secret that holds the files, if they need one."""
        return f"{self.name}-files"

    @property
    def authorities_config_map(self) -> str:
        """Name of the Kubernetes ConfigMap that holds the certificate authorities."""
        return f"{self.name}-database-authorities"


def sources(name: str, values: Mapping[str, Value]) -> dict[str, Source]:
    """Return the values as sources, for a platform without templates.

    Raises:
        ValueError: one of them is a template.
    """
    found = {key: value for key, value in values.items() if isinstance(value, Source)}
    if len(found) < len(values):
        raise ValueError(f"{name}: this platform has no templates")
    return found
