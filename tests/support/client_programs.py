"""Small programs in several languages that log in to PostgreSQL with widely used client libraries.

Their packages are pinned by checksum, downloaded by each language's package manager, and kept in pytest's
cache. They are only downloaded if TEST_CLIENTS=fetch is set (`make test-clients`); otherwise, tests whose
packages are missing are skipped.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tools.localcloud.engine_build import find_go
from tools.localcloud.files import exclusive
from tools.localcloud.layout import checkout

FETCH = os.environ.get("TEST_CLIENTS") == "fetch"

_HERE = Path(__file__).parents[1] / "clients"
_JDBC_VERSION = "42.7.8"
_JDBC_SHA256 = "2a32a9dcbc42d67a50ad3a0de5efd102c8d2be46720045f2cbd6689f160ab7c7"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
_PSQL = """exec psql --no-psqlrc --no-align --tuples-only --quiet "$DATABASE_URL" \
--command 'SELECT session_user, current_database()'"""


class UnavailableError(Exception):
    """The program cannot run on this machine; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Login:
    """The keys of a login's secret that a workload reads."""

    url: str = field(repr=False)
    host: str
    port: str
    dbname: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Result:
    """The user and database of a login, or its error."""

    who: str = ""
    database: str = ""
    error: str = ""


Results = Mapping[str, Sequence[Result]]  # by library, in the order of the logins
Run = Callable[[Path, Sequence[Login], Mapping[str, str]], Results]


@dataclass(frozen=True)
class Program:
    """A program with its packages.

    Attributes:
        tools: commands that it needs.
        download: puts the packages into an empty folder.
        sources: files and texts that the result of `download` depends on.
        run: runs the program in a folder with the packages, with logins and environment variables.
    """

    tools: tuple[str, ...]
    download: Callable[[Path], None]
    sources: tuple[Path | str, ...]
    run: Run


def ready(name: str, cache: Path) -> Path:
    """Return the folder with the program's packages.

    Raises:
        UnavailableError: a tool is missing, or the packages are missing and must not be downloaded.
    """
    program = PROGRAMS[name]
    missing = [tool for tool in program.tools if shutil.which(tool) is None]
    if missing:
        raise UnavailableError(f"{name}: {', '.join(missing)} is not installed")
    digest = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for source in program.sources:
        digest.update(source.read_bytes() if isinstance(source, Path) else source.encode())
    folder = cache / f"{name}-{digest.hexdigest()[:12]}"
    with exclusive(cache / f"{name}.lock", lambda: None):
        if not folder.is_dir():
            if not FETCH and program.sources:
                raise UnavailableError(
                    f"{name}: the packages have not been downloaded; `make test-clients` does it"
                )
            unfinished = Path(tempfile.mkdtemp(dir=cache))
            program.download(unfinished)
            unfinished.rename(folder)
    return folder


def _checked(
    command: Sequence[str | Path], folder: Path, environment: Mapping[str, str] | None = None
) -> None:
    completed = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stdout[-2_000:] + completed.stderr[-2_000:]


def _output(command: Sequence[str | Path], folder: Path, text: str, variables: Mapping[str, str]) -> str:
    """Return the output of a program that has only these variables and an empty home."""
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home, **variables}
        completed = subprocess.run(
            command, cwd=folder, env=environment, input=text, capture_output=True, text=True, check=False
        )
    assert completed.returncode == 0, completed.stderr[-2_000:]
    return completed.stdout


def _as_json(logins: Sequence[Login]) -> str:
    return json.dumps([asdict(login) for login in logins])


def _from_json(text: str) -> Results:
    return {library: [Result(**result) for result in each] for library, each in json.loads(text).items()}


def _run_psql(folder: Path, logins: Sequence[Login], variables: Mapping[str, str]) -> Results:
    results = []
    for login in logins:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DATABASE_URL": login.url,
            **variables,
        }
        completed = subprocess.run(
            ["sh", "-c", _PSQL], env=environment, capture_output=True, text=True, check=False
        )
        who, _, database = completed.stdout.strip().partition("|")
        results.append(Result(error=completed.stderr) if completed.returncode else Result(who, database))
    return {"psql": results}


def _download_python(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    pinned = ["--no-deps", "--require-hashes", "--only-binary=:all:"]
    _checked([*pip, *pinned, "--target", folder, "-r", _HERE / "python" / "requirements.txt"], folder)


def _run_python(folder: Path, logins: Sequence[Login], variables: Mapping[str, str]) -> Results:
    command = [sys.executable, str(_HERE / "python" / "client.py")]
    return _from_json(_output(command, folder, _as_json(logins), {"PYTHONPATH": str(folder), **variables}))


def _download_node(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_HERE / "node" / name, folder)
    _checked(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)


def _run_node(folder: Path, logins: Sequence[Login], variables: Mapping[str, str]) -> Results:
    shutil.copy(_HERE / "node" / "client.mjs", folder)  # Node.js looks for packages next to the program
    return _from_json(_output(["node", folder / "client.mjs"], folder, _as_json(logins), variables))


def _download_go(folder: Path) -> None:
    go = find_go(checkout())
    command = [go.program, "build", "-trimpath", "-o", str(folder / "client"), "."]
    _checked(command, _HERE / "go", dict(go.environment))


def _run_go(folder: Path, logins: Sequence[Login], variables: Mapping[str, str]) -> Results:
    return _from_json(_output([folder / "client"], folder, _as_json(logins), variables))


def _download_java(folder: Path) -> None:
    artifact = f"org.postgresql:postgresql:{_JDBC_VERSION}"
    _checked(["mvn", "-q", "-B", _COPY, f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"], folder)
    jar = folder / f"postgresql-{_JDBC_VERSION}.jar"
    assert hashlib.sha256(jar.read_bytes()).hexdigest() == _JDBC_SHA256, jar.name
    _checked(["javac", "-cp", jar, "-d", folder, _HERE / "java" / "Client.java"], folder)


def _run_java(folder: Path, logins: Sequence[Login], variables: Mapping[str, str]) -> Results:
    fields = ("host", "port", "dbname", "username", "password")
    text = "".join(f"{getattr(login, name)}\n" for login in logins for name in fields)
    classes = f"{folder}{os.pathsep}{folder}/postgresql-{_JDBC_VERSION}.jar"
    # without user.home, the driver looks for .postgresql/root.crt in the real home and ignores HOME
    home = f"-Duser.home={folder}"
    authority = [variables["PGSSLROOTCERT"]] if "PGSSLROOTCERT" in variables else []
    java = ["java", "-XX:TieredStopAtLevel=1", "-Xshare:auto", home, "-cp", classes]
    lines = _output([*java, "Client", *authority], folder, text, variables).splitlines()
    columns = [line.split("\t", 1) for line in lines]
    return {
        "JDBC": [Result(error=rest) if first == "error" else Result(first, rest) for first, rest in columns]
    }


PROGRAMS = {
    "psql": Program(("psql",), lambda _: None, (), _run_psql),
    "python": Program((), _download_python, (_HERE / "python" / "requirements.txt",), _run_python),
    "node": Program(("node", "npm"), _download_node, (_HERE / "node" / "package-lock.json",), _run_node),
    "go": Program((), _download_go, (_HERE / "go" / "go.sum", _HERE / "go" / "main.go"), _run_go),
    "java": Program(
        ("java", "javac", "mvn"), _download_java, (_JDBC_SHA256, _HERE / "java" / "Client.java"), _run_java
    ),
}
