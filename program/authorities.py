"""The certificate authorities of databases, for the workloads that ask for them: public data."""

import hashlib
import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pulumi

from functions import build
from program.lookup import Found
from settings import Mistake, SettingsError, StackFile
from settings.cross_checks import databases_of
from settings.mistakes import path_of
from settings.workloads import Workload

BUNDLE = Path(build.__file__).parent / "rotation" / "ca" / "rds.pem"
# An ECS task definition takes 64 KiB in all.
MOST_BYTES_FOR_ECS = 40_000

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s.+?-----END CERTIFICATE-----", re.DOTALL)
_REGION = re.compile(r"\b[a-z]{2}(?:-[a-z]+){1,3}-\d\b")
# The second form is that of endpoints in China.
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
        found = _REGION.search(self.name)
        return found[0] if found else None


@cache
def bundle(file: Path = BUNDLE) -> tuple[Authority, ...]:
    """Return the authorities of Amazon RDS that the rotation function trusts, in the order of the file."""
    return tuple(Authority(_common_name(pem), pem) for pem in certificates(file.read_text()))


def certificates(text: str) -> list[str]:
    """Return the certificates of a PEM text, each ending with a line break, without what is between them."""
    return [f"{found[0]}\n" for found in _CERTIFICATE.finditer(text.replace("\r\n", "\n"))]


def of_regions(regions: Iterable[str], file: Path = BUNDLE) -> str:
    """Return the PEM text of the authorities that sign for databases of these regions, and for RDS Proxy."""
    wanted = {*regions, None}
    return "".join(authority.pem for authority in bundle(file) if authority.region in wanted)


def region_of(host: str, default: str) -> str:
    """Return the region in an RDS endpoint's name; the default for any other host."""
    found = _RDS_HOST.fullmatch(host)
    return (found["region"] or found["china"]).lower() if found else default


def of_workloads(declared: StackFile, servers: Mapping[str, Found], region: str) -> dict[str, str]:
    """Return the PEM text for each workload that asks for authorities.

    Args:
        declared: the stack file.
        servers: database to what is known of its server.
        region: of the stack.

    Raises:
        SettingsError: the bundle has none for a database's region, or they are too large for ECS.
    """
    found: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for name, workload in declared.workloads.items():
        if workload.database_authorities is None:
            continue
        databases = databases_of(workload, declared)
        place = path_of(pulumi.get_project(), ("workloads", name, "databaseAuthorities"))
        mistakes += _unknown_regions(place, databases, servers, region)
        found[name] = _text([servers[database] for database in databases], region)
        mistakes += _too_large(place, workload, found[name])
    if mistakes:
        raise SettingsError(pulumi.get_stack(), mistakes)
    return found


def _text(servers: Sequence[Found], region: str) -> str:
    own = "".join(f"{server.certificate_authorities}\n" for server in servers)
    hosts = [host for server in servers for host in (server.server.host, server.reader_host) if host]
    # without hosts it connects to databases that the stack file does not name
    regions = {region_of(host, region) for host in hosts} or {region}
    return "".join(dict.fromkeys([*certificates(of_regions(regions)), *certificates(own)]))


def _unknown_regions(
    place: str, databases: Iterable[str], servers: Mapping[str, Found], default: str
) -> Iterable[Mistake]:
    known = {authority.region for authority in bundle()}
    for database in databases:
        server = servers[database]
        region = region_of(server.server.host, default)
        if region not in known and not server.certificate_authorities:
            yield Mistake(
                place,
                f"no authority of Amazon RDS in {region}, where {database} is, ships with this project",
                "Neither the workload nor the rotation function could verify the server",
                "Download AWS's bundle of that region and run `python functions/update_ca_bundle.py --also "
                f"FILE`, or write certificateAuthorities for {database}",
            )


def _too_large(place: str, workload: Workload, text: str) -> Iterable[Mistake]:
    if workload.ecs and len(text) > MOST_BYTES_FOR_ECS:
        yield Mistake(
            place,
            f"the authorities of its databases take {len(text)} bytes, and ECS has room for "
            f"{MOST_BYTES_FOR_ECS}",
            "ECS would refuse the task definition",
            "Read databases of fewer regions, or drop databaseAuthorities and put the file into the image",
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
