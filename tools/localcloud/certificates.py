"""A certificate authority and server certificates for servers on this machine.

Keys are ECDSA P-256: created in a millisecond, and accepted by every TLS 1.3 client.
"""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_A_DAY = dt.timedelta(days=1)
_TEN_YEARS = dt.timedelta(days=3650)


@dataclass(frozen=True)
class Authority:
    """A self-signed authority: its certificate, and the key which signs with it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def pem(self) -> bytes:
        """Return the certificate that clients must trust, as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def make_authority(name: str) -> Authority:
    """Make an authority that is valid for ten years."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _A_DAY)
        .not_valid_after(now + _TEN_YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def write_server_certificate(  # noqa: PLR0913  what a certificate needs, and two files
    authority: Authority,
    host: str,
    certificate_file: Path,
    key_file: Path,
    lifetime: dt.timedelta = _TEN_YEARS,
    *,
    others: Sequence[str] = (),
) -> None:
    """Sign a server certificate; write it and its key, which only the owner may read, as PEM.

    Args:
        authority: who signs.
        host: the DNS name that clients may reach the server by.
        certificate_file: where the certificate goes.
        key_file: where the private key goes.
        lifetime: counted from yesterday; a negative one makes a certificate that has expired.
        others: further addresses that clients may reach the server by, such as `::1`.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    start = dt.datetime.now(dt.UTC) - _A_DAY
    end = start + lifetime
    addresses = [x509.IPAddress(ipaddress.ip_address(other)) for other in others]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(start, end - _A_DAY))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host), *addresses]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False
        )
        .sign(authority.key, hashes.SHA256())
    )
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
