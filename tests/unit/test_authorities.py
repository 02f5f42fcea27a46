"""Certificate authorities for workloads, without an engine."""

import re
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from program import authorities
from stack_file import SettingsError
from tests.support.recorded_run import MASTER_ARN, run
from tools.localcloud.certificates import Authority, make_authority, write_server_certificate

REGIONS = sorted({found.region for found in authorities.bundle() if found.region})
HOST = "db.example"


def test_every_certificate_of_the_bundle_is_for_a_region_or_for_all() -> None:
    found = authorities.bundle()
    assert len(found) == authorities.BUNDLE.read_text().count("BEGIN CERTIFICATE") > 90
    assert {authority.name for authority in found if authority.region is None} == {
        *(f"Amazon Root CA {number}" for number in range(1, 5)),
        "Starfield Services Root Certificate Authority - G2",
    }


@pytest.mark.parametrize("region", REGIONS)
def test_a_region_has_exactly_its_own_authorities(region: str) -> None:
    text = authorities.of_regions([region])
    chosen = [found.name for found in authorities.bundle() if found.pem in text]
    assert text.count("BEGIN CERTIFICATE") == len(chosen)
    for kind in ("RSA2048", "RSA4096", "ECC384"):
        assert f"Amazon RDS {region} Root CA {kind} G1" in chosen
    assert all(region in name or not re.search(r"-\d", name) for name in chosen)
    assert len(text) < authorities.MAX_BYTES_FOR_ECS / 2


@pytest.fixture(scope="module")
def mirrored() -> Iterator[tuple[Path, dict[str, ssl.SSLContext]]]:
    """Yield a bundle with the same names, of authorities whose keys we have, and a TLS server of each."""
    made: dict[str, Authority] = {found.name: make_authority(found.name) for found in authorities.bundle()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bundle.pem").write_bytes(b"# as rds.pem\n".join(found.pem() for found in made.values()))
        servers = {}
        for common_name, authority in made.items():
            write_server_certificate(authority, HOST, folder / "crt", folder / "key")
            servers[common_name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            servers[common_name].load_cert_chain(folder / "crt", folder / "key")
        yield folder / "bundle.pem", servers


@pytest.mark.parametrize("region", REGIONS)
def test_authorities_of_a_region_verify_only_its_servers(
    mirrored: tuple[Path, dict[str, ssl.SSLContext]], region: str
) -> None:
    file, servers = mirrored
    client = ssl.create_default_context(cadata=authorities.of_regions([region], file))
    other = REGIONS[REGIONS.index(region) - 1]
    for name, server in servers.items():
        if f" {region} " in name or "RDS" not in name:
            shake_hands(client, server)
        elif f" {other} " in name:
            with pytest.raises(ssl.SSLCertVerificationError):
                shake_hands(client, server)


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """Do a TLS handshake in memory; raise the client's error."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname=HOST)
    there = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (here, there):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert here.getpeercert()


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("shop.cabc123.eu-west-1.rds.amazonaws.com", "eu-west-1"),
        ("shop.cluster-ro-cabc123.AP-SOUTH-2.rds.amazonaws.com", "ap-south-2"),
        ("shop.cabc123.rds.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("pool.proxy-cabc123.us-gov-west-1.rds.amazonaws.com", "us-gov-west-1"),
        ("db.example", "us-east-1"),
        ("::1", "us-east-1"),
        ("eu-west-1.rds.amazonaws.com.example", "us-east-1"),
    ],
)
def test_an_endpoints_region_wins_over_the_stacks(host: str, region: str) -> None:
    assert authorities.region_of(host, "us-east-1") == region


def workload_text(region: str, *, own: str = "", host: str = "db.example", **platform: Any) -> str:  # noqa: ANN401
    """Return the authorities of an ECS workload in a stack of this region."""
    database = {
        "host": host,
        "outsideVpc": True,
        "admin": {"secretArn": MASTER_ARN},
        "logins": {"shop": {"username": "shop", "database": "shop"}},
        **({"certificateAuthorities": own} if own else {}),
    }
    recording = run(
        {
            "aws:region": region,
            "aws-secrets:databases": {"x": database},
            "aws-secrets:workloads": {
                "web": {
                    "ecs": {},
                    "environment": {"DATABASE_URL": {"secret": "shop"}},
                    "databaseAuthorities": platform,
                }
            },
        }
    )
    [entry] = recording.outputs["workloads"]["web"]["databaseAuthorities"]["container"]["environment"]
    return str(entry["value"])


def test_a_database_in_another_region_has_that_regions_authorities() -> None:
    host = "shop.cabc123.eu-west-1.rds.amazonaws.com"
    assert workload_text("us-east-1", host=host) == authorities.of_regions(["eu-west-1"])


def test_a_databases_own_authorities_are_added_without_comments(tmp_path: Path) -> None:
    pem = make_authority("ours").pem().decode()
    file = tmp_path / "own.pem"
    file.write_text(f"subject=ours\r\n{pem}# the end, {pem}".replace("\n", "\r\n"))
    assert workload_text("us-east-1", own=str(file)) == authorities.of_regions(["us-east-1"]) + pem


def test_a_region_without_authorities_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="update_ca_bundle") as raised:
        workload_text("il-central-1")
    assert [mistake.path for mistake in raised.value.mistakes] == [
        "aws-secrets:workloads.web.databaseAuthorities"
    ]
    (tmp_path / "own.pem").write_bytes(make_authority("ours").pem())
    assert "BEGIN" in workload_text("il-central-1", own=str(tmp_path / "own.pem"))
