"""IAM users, the secrets of their SMTP credentials, and an SMTP server that knows them as Amazon SES does."""

import asyncio
import base64
import json
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from components.lambdas.rotation import smtp_aws
from components.lambdas.rotation.handler import handle
from components.lambdas.rotation.smtp_aws import NewKey, User
from tests.support.rotation_world import unique
from tests.support.secret_parts import remember
from tools.localcloud.certificates import make_authority, write_server_certificate

REGION = "us-east-1"
HOST = f"email-smtp.{REGION}.amazonaws.com"
OWNER_TAG, USER_TAG = "aws-secrets:secret", "aws-secrets:rotation-user"


@dataclass
class Server:
    """An SMTP server on loopback, with a certificate for the endpoint of SES.

    Attributes:
        port: its TCP port, where TLS begins with the first byte.
        ca_file: the authority that signed its certificate.
        iam: a client of the IAM whose access keys it accepts.
        secret_keys, users: every access key's secret part, and its user's name, by its ID.
        late: how many more logins are rejected, as if access keys were not known yet.
        code: what it answers if that is not about the credentials.
        logins: how many it has seen.
        accepts: decides instead about an access key's ID and a password.
    """

    port: int
    ca_file: Path
    iam: Any
    secret_keys: dict[str, str] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    late: int = 0
    code: str = ""
    logins: int = 0
    accepts: Callable[[str, str], bool] | None = None

    def authenticate(self, _server: object, _session: object, _envelope: object, *given: Any) -> AuthResult:
        """Accept an access key that exists, with the password that AWS's own signing code derives."""
        self.logins += 1
        if self.code:
            return AuthResult(success=False, handled=False, message=self.code)
        mechanism, credentials = given
        assert isinstance(credentials, LoginPassword), mechanism
        if self.late:
            self.late -= 1
            return _rejected()
        key_id, password = credentials.login.decode(), credentials.password.decode()
        accepts = self.accepts or self.knows
        return AuthResult(success=True) if accepts(key_id, password) else _rejected()

    def knows(self, key_id: str, password: str) -> bool:
        secret = self.secret_keys.get(key_id)
        return secret is not None and password == derived(secret) and self.has(key_id)

    def has(self, key_id: str) -> bool:
        keys = self.iam.list_access_keys(UserName=self.users[key_id])["AccessKeyMetadata"]
        return any(key["AccessKeyId"] == key_id and key["Status"] == "Active" for key in keys)


def _rejected() -> AuthResult:
    message = "535 Authentication Credentials Invalid"
    return AuthResult(success=False, handled=False, message=message)


def derived(secret_key: str, region: str = REGION) -> str:
    """Return the SMTP password by botocore's Signature Version 4, as AWS documents the form."""
    signer = SigV4Auth(Credentials("unused", secret_key), "ses", region)
    request = AWSRequest()
    request.context["timestamp"] = "11111111T000000Z"
    return base64.b64encode(b"\x04" + bytes.fromhex(signer.signature("SendRawEmail", request))).decode()


@contextmanager
def smtp_server(folder: Path, iam: Any, host: str = HOST) -> Iterator[Server]:
    authority = make_authority("SMTP")
    write_server_certificate(authority, host, folder / "server.crt", folder / "server.key")
    (folder / "ca.crt").write_bytes(authority.pem())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    server = Server(0, folder / "ca.crt", iam)
    loop = asyncio.new_event_loop()
    options: dict[str, Any] = {
        "authenticator": server.authenticate,
        "auth_require_tls": False,  # it is there from the first byte
        "loop": loop,
    }
    listening = loop.run_until_complete(
        loop.create_server(lambda: SMTP(object(), **options), "127.0.0.1", 0, ssl=context)
    )
    server.port = listening.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        listening.close()
        loop.run_until_complete(listening.wait_closed())
        loop.close()


@dataclass(frozen=True)
class Mail:
    """An IAM with users, an SMTP server, and the Secrets Manager with the secrets."""

    server: Server
    secrets: Any
    iam: Any

    def a_user(self) -> User:
        arn = self.iam.create_user(UserName=unique("mail"))["User"]["Arn"]
        return User(arn=arn, name=arn.rpartition("/")[2])

    def tag(self, user: User, value: str, key: str = OWNER_TAG) -> None:
        self.iam.tag_user(UserName=user.name, Tags=[{"Key": key, "Value": value}])

    def keys(self, user: User) -> set[str]:
        found = self.iam.list_access_keys(UserName=user.name)["AccessKeyMetadata"]
        return {key["AccessKeyId"] for key in found}

    def key_by_hand(self, user: User) -> str:
        """Create an access key as an administrator does."""
        key_id: str = self.iam.create_access_key(UserName=user.name)["AccessKey"]["AccessKeyId"]
        return key_id

    def put_secret(self, user: User, **fields: object) -> str:
        """Create the secret as a deployment does, without credentials."""
        value = {"SMTP_ADDRESS": HOST, "SMTP_PORT": "587", "SMTP_USERNAME": "", "SMTP_PASSWORD": "", **fields}
        tags = {"aws-secrets:rotation": "smtp", USER_TAG: user.arn}
        arn: str = self.secrets.create_secret(
            Name=unique("smtp"),
            SecretString=json.dumps(value),
            Tags=[{"Key": key, "Value": text} for key, text in tags.items()],
        )["ARN"]
        return arn

    def name_of(self, arn: str) -> str:
        name: str = self.secrets.describe_secret(SecretId=arn)["Name"]
        return name

    def credentials(self, **fields: object) -> tuple[User, str]:
        """Create working credentials; return their user and their secret's ARN."""
        user = self.a_user()
        arn = self.put_secret(user, **fields)
        self.tag(user, self.name_of(arn))
        provision(user, arn)
        return user, arn

    def read(self, arn: str, stage: str = "AWSCURRENT") -> dict[str, Any]:
        text = self.secrets.get_secret_value(SecretId=arn, VersionStage=stage)["SecretString"]
        for secret in self.server.secret_keys.values():
            assert secret not in text
        value: dict[str, Any] = json.loads(text)
        remember(value.get("SMTP_PASSWORD"))
        return value

    def can_log_in(self, fields: Mapping[str, Any]) -> bool:
        """Log in as a workload does, without the code under test."""
        context = ssl.create_default_context(cafile=str(self.server.ca_file))
        try:
            with smtplib.SMTP_SSL(HOST, self.server.port, context=context, timeout=60) as session:
                session.login(fields["SMTP_USERNAME"], fields["SMTP_PASSWORD"])
        except smtplib.SMTPAuthenticationError:
            return False
        return True


def provision(user: User, arn: str, **more: object) -> Mapping[str, Any]:
    request = {"Smtp": {"user": user.arn}, **more}
    return handle({"Action": "provision", "SecretId": arn, **request}) or {}


def watched_keys(server: Server) -> Callable[[User], NewKey]:
    """Return CreateAccessKey that tells the server, as IAM tells SES, and the scan of the logs."""
    create, lock = smtp_aws.create_access_key, threading.Lock()

    def watched(user: User) -> NewKey:
        key = create(user)
        with lock:
            server.secret_keys[key.key_id], server.users[key.key_id] = key.secret_access_key, user.name
        remember(key.secret_access_key)
        return key

    return watched


def loopback(original: Any) -> Any:
    """Return getaddrinfo that finds the endpoint of SES on this machine."""

    def found(host: Any, port: Any, *more: Any, **options: Any) -> Any:
        return original("127.0.0.1" if host == HOST else host, port, *more, **options)

    return found


GETADDRINFO = socket.getaddrinfo
