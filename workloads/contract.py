"""What a workload reads: the same for every platform."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from workloads.template import Placeholder


@dataclass(frozen=True, kw_only=True)
class Source:
    """One JSON key of one secret, or the whole of it.

    Attributes:
        secret_name: name in AWS, of the characters A-Z a-z 0-9 / _ + = . @ -
        secret_arn: full ARN.
        key: JSON key, of the characters A-Z a-z 0-9 _ . / -; None for the whole secret.
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
    """Certificate authorities of databases as a file: public data, no secret.

    Attributes:
        pem: the file's text, PEM.
        path: absolute path of the file for the workload's processes.
        variables: environment variables that hold the path.
    """

    pem: str
    path: str
    variables: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        """Variable to the path."""
        return dict.fromkeys(sorted(self.variables), self.path)

    @property
    def folder(self) -> str:
        """The folder of the file."""
        return self.path.rpartition("/")[0]

    @property
    def file(self) -> str:
        """The file's name in its folder."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Who reads what, under which names.

    Attributes:
        name: a label of RFC 1123; all that is made for the workload is named after it.
        region: of the secrets.
        environment: variable to what it holds.
        environment_from_all: whole secrets; every key that they have in AWS becomes a variable, where
            `environment` has no such variable.
        files: path below `mount_path` to what the file holds.
        mount_path: where files are.
        namespace, service_account: of the pod.
        refresh_seconds: how often Kubernetes operators look for new values.
        restart: how pods are restarted: by Reloader when a value changes, or when what is declared changes
            (its checksum is in the pod's annotations).
        pod_identity: pods have their role by EKS Pod Identity, not by their service account (IRSA).
        assumed_role: ARN of the role that the External Secrets Operator takes with its own identity.
        authorities: of the databases that it connects to; None if it does not ask for them.
    """

    name: str
    region: str
    environment: Mapping[str, Value] = field(default_factory=dict)
    environment_from_all: tuple[Source, ...] = ()
    files: Mapping[str, Value] = field(default_factory=dict)
    mount_path: str = "/run/secrets/aws"
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
        """Name of the Kubernetes Secret that holds the files, where one is needed for them."""
        return f"{self.name}-files"

    @property
    def authorities_config_map(self) -> str:
        """Name of the Kubernetes ConfigMap that holds the certificate authorities."""
        return f"{self.name}-database-authorities"


def sources(name: str, values: Mapping[str, Value]) -> dict[str, Source]:
    """The same, for a platform that makes no texts of several keys.

    Raises:
        ValueError: one is a template.
    """
    found = {key: value for key, value in values.items() if isinstance(value, Source)}
    if len(found) < len(values):
        raise ValueError(f"{name}: this platform makes no text of several keys")
    return found
