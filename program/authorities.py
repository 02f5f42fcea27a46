"""Certificate authorities of databases, for the workloads that ask for them. Public data."""

import hashlib
import re
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from components.lambdas import build
from program.aws_lookups import DatabaseServer
from program.desired import Desired, DesiredWorkload
from stack_file import Mistake, SettingsError

BUNDLE = Path(build.__file__).parent / "rotation" / "ca" / "rds.pem"
# An ECS task definition holds 64 KiB in all.
MAX_BYTES_FOR_ECS = 40_000

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s.+?-----END CERTIFICATE-----", re.DOTALL)
_REGION = re.compile(r"\b[a-z]{2}(?:-[a-z]+){1,3}-\d\b")
# Endpoints in China have the second form.
_RDS_HOST = re.compile(
    r".+\.(?:(?P<region>[a-z0-9-]+)\.rds\.amazonaws\.com|rds\.(?P<china>cn-[a-z0-9-]+)\.amazonaws\.com\.cn)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Authority:
    """One certificate of the bundle.

    Attributes:
        name: common name of its subject, such as `Amazon RDS us-east-1 Root CA RSA2048 G1`.
        pem: the certificate.
    """

    name: str
    pem: str

    @property
    def region(self) -> str | None:
        """The region whose databases it signs for; None for all regions (Amazon's own, behind RDS Proxy)."""
        region = _REGION.search(self.name)
        return region[0] if region else None


@cache
def bundle(file: Path = BUNDLE) -> tuple[Authority, ...]:
    """Return Amazon RDS's authorities that the rotation function trusts, in the order of the file."""
    return tuple(Authority(_common_name(pem), pem) for pem in certificates(file.read_text()))


def certificates(text: str) -> list[str]:
    """Return the certificates of a PEM text, each with a final line break, without the text between them."""
    return [f"{match[0]}\n" for match in _CERTIFICATE.finditer(text.replace("\r\n", "\n"))]


def of_regions(regions: Iterable[str], file: Path = BUNDLE) -> str:
    """Return the PEM text of the authorities of databases in these regions, and of RDS Proxy."""
    wanted = {*regions, None}
    return "".join(authority.pem for authority in bundle(file) if authority.region in wanted)


def region_of(host: str, default: str) -> str:
    """Return the region in an RDS endpoint's name; the default for any other host."""
    endpoint = _RDS_HOST.fullmatch(host)
    return (endpoint["region"] or endpoint["china"]).lower() if endpoint else default


def of_workloads(desired: Desired, servers: Mapping[str, DatabaseServer], region: str) -> dict[str, str]:
    """Return the PEM text for each workload that asks for authorities.

    Args:
        desired: the stack.
        servers: database to its server.
        region: the stack's region.

    Raises:
        SettingsError: the bundle has no authority for a database's region, or they are too large for ECS.
    """
    texts: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for name, workload in desired.workloads.items():
        if workload.declared.database_authorities is None:
            continue
        path = desired.path("workloads", name, "databaseAuthorities")
        of_workload = {database: servers[database] for database in workload.databases}
        mistakes += _unknown_regions(path, of_workload, region)
        texts[name] = _text([*of_workload.values()], region)
        mistakes += _too_large(path, workload, texts[name])
    if mistakes:
        raise SettingsError(desired.stack, mistakes)
    return texts


def _text(servers: Sequence[DatabaseServer], region: str) -> str:
    own = "".join(f"{server.certificate_authorities}\n" for server in servers)
    hosts = [host for server in servers for host in (server.server.host, server.reader_host) if host]
    # without a host it connects to databases that the stack file does not name
    regions = {region_of(str(host), region) for host in hosts} or {region}
    return "".join(dict.fromkeys([*certificates(of_regions(regions)), *certificates(own)]))


def _unknown_regions(path: str, servers: Mapping[str, DatabaseServer], default: str) -> Iterator[Mistake]:
    known = {authority.region for authority in bundle()}
    for database, server in servers.items():
        region = region_of(str(server.server.host), default)
        if region not in known and not server.certificate_authorities:
            yield Mistake(
                path,
                f"this project has no Amazon RDS authority for {region}, the region of {database}",
                "Neither the workload nor the rotation function could verify the server",
                "Download AWS's bundle for the region and run `python "
                "components/lambdas/update_ca_bundle.py --also FILE`; or set certificateAuthorities for "
                f"{database}",
            )


def _too_large(path: str, workload: DesiredWorkload, text: str) -> Iterator[Mistake]:
    if workload.declared.ecs and len(text) > MAX_BYTES_FOR_ECS:
        yield Mistake(
            path,
            f"the authorities of its databases take {len(text)} bytes; the limit is {MAX_BYTES_FOR_ECS}",
            "ECS would reject the task definition",
            "Read databases of fewer regions, or remove databaseAuthorities and put the file into the image",
        )


def _common_name(pem: str) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pem)
    for authority in context.get_ca_certs():
        for relative in authority["subject"]:
            for key, value in relative:  # type: ignore[str-unpack] # pairs of texts
                if key == "commonName":
                    return str(value)
    return hashlib.sha256(pem.encode()).hexdigest()
