"""A workload's contract: every name that it reads under, with the secret and key behind it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from program.desired import DesiredWorkload
from program.manifests.contract import Source, Template, Value, Workload
from stack_file.key_references import Origin, Read


@dataclass(frozen=True, kw_only=True)
class Known:
    """A workload's values that only the deployment knows.

    Attributes:
        region: the region of the secrets.
        role_arn: ARN of the workload's role.
        keys: name of each of the stack's secrets to its keys; None for a whole value.
        arns: name, or reference as declared, of each secret to its full ARN.
    """

    region: str
    role_arn: str
    keys: Mapping[str, Sequence[str] | None]
    arns: Mapping[str, str]

    def source(self, secret: str, key: str | None) -> Source:
        """Return the source of a key, or of the whole secret."""
        has_keys = self.keys.get(secret, ()) is not None
        return Source(secret_name=secret, secret_arn=self.arns[secret], key=key if has_keys else None)


def contract_of(workload: DesiredWorkload, known: Known) -> Workload:
    """Return a workload's contract, without certificate authorities."""
    declared, kubernetes = workload.declared, workload.declared.kubernetes

    def environment() -> Iterator[tuple[str, Value]]:
        for secret in declared.environment_from:
            yield from ((key, known.source(secret, key)) for key in known.keys[secret] or ())
        for variable, read in declared.environment.items():
            yield variable, _value(read, variable, known)

    return Workload(
        name=workload.name,
        region=known.region,
        environment=dict(environment()),
        environment_from_all=tuple(
            known.source(_reference(secret), None) for secret in declared.environment_from_all
        ),
        files={path: _value(file, path, known) for path, file in declared.files.items()},
        mount_path=declared.mount_path,
        operator=kubernetes.operator if kubernetes else "external-secrets",
        namespace=kubernetes.namespace if kubernetes else "default",
        service_account=kubernetes.service_account if kubernetes else "default",
        refresh_seconds=kubernetes.refresh_seconds if kubernetes else 0,
        restart=kubernetes.restart if kubernetes else "none",
        pod_identity=bool(kubernetes and kubernetes.pod_identity),
        assumed_role=known.role_arn if kubernetes and kubernetes.operator_role else None,
    )


def _reference(origin: Origin) -> str:
    """Return the name or ARN, as declared, of the secret that is read."""
    return origin.secret or origin.existing_secret or ""


def _value(read: Read, name: str, known: Known) -> Value:
    if read.template is None:
        return known.source(_reference(read), None if read.whole else read.key or name)
    parts = {part: known.source(_reference(origin), origin.key) for part, origin in read.keys.items()}
    return Template(pieces=read.pieces, sources=parts)
