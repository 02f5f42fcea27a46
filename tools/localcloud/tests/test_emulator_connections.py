"""Connections to the emulator: kept open, one write an answer, and requests that are sent again."""

import http.client
import json
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.emulator_process import Emulator
from tools.localcloud.emulator import http_server

WORD = "sentinel-of-a-test"


def headers_of(operation: str, region: str = "us-east-1") -> dict[str, str]:
    scope = f"Credential=test/20260101/{region}/secretsmanager/aws4_request"
    return {
        "X-Amz-Target": f"secretsmanager.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0",
    }


def body_of(**asked: object) -> bytes:
    return json.dumps({"ClientRequestToken": str(uuid.uuid4()), **asked}).encode()


def raw(operation: str, body: bytes, *more: str, length: int | None = None) -> bytes:
    lines = ["POST / HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in headers_of(operation).items()]
    lines += [*more] or [f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def asked(connection: http.client.HTTPConnection, operation: str, body: bytes) -> tuple[int, Any]:
    connection.request("POST", "/", body, headers_of(operation))
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def connected(emulator: Emulator) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=60)
    connection.connect()
    return connection


def dialled(emulator: Emulator) -> socket.socket:
    return socket.create_connection(("127.0.0.1", emulator.port), timeout=60)


def test_hundreds_of_parallel_creations_share_kept_connections(emulator: Emulator) -> None:
    root = f"kept/{uuid.uuid4()}"

    def make(worker: int) -> list[int]:
        connection = connected(emulator)
        kept, statuses = connection.sock, []
        for number in range(25):
            name = f"{root}/{worker}-{number}"
            statuses.append(asked(connection, "CreateSecret", body_of(Name=name, SecretString="first"))[0])
            assert connection.sock is kept  # http.client drops a connection that the server closes
        connection.close()
        return statuses

    with ThreadPoolExecutor(16) as pool:
        statuses = [status for made in pool.map(make, range(16)) for status in made]
    assert statuses == [200] * 400


def test_an_answer_arrives_whole_in_one_write(emulator: Emulator) -> None:
    with dialled(emulator) as client:
        for _ in range(20):
            client.sendall(raw("ListSecrets", b"{}"))
            head, _, body = client.recv(1 << 20).partition(b"\r\n\r\n")
            assert f"Content-Length: {len(body)}".encode() in head
            assert json.loads(body)["SecretList"] is not None


@pytest.mark.parametrize("value", [{"SecretString": "first"}, {}], ids=["with a value", "without a value"])
def test_a_creation_whose_answer_was_lost_is_repeated_without_an_error(
    emulator: Emulator, value: dict[str, str]
) -> None:
    name = f"lost/{uuid.uuid4()}"
    body = body_of(Name=name, **value)
    with dialled(emulator) as client:
        client.sendall(raw("CreateSecret", body))  # and hangs up
    connection = connected(emulator)
    answers = [asked(connection, "CreateSecret", body) for _ in range(2)]
    assert [status for status, _ in answers] == [200, 200]
    assert answers[0] == answers[1]
    status, another = asked(connection, "CreateSecret", body_of(Name=name, **value))
    assert (status, another["__type"]) == (400, "ResourceExistsException")
    connection.close()


def test_a_put_whose_answer_was_lost_makes_one_version(emulator: Emulator) -> None:
    name = f"lost/{uuid.uuid4()}"
    connection = connected(emulator)
    asked(connection, "CreateSecret", body_of(Name=name))
    body = body_of(SecretId=name, SecretString="first")
    with dialled(emulator) as client:
        client.sendall(raw("PutSecretValue", body))
    assert asked(connection, "PutSecretValue", body)[0] == 200
    _, listed = asked(connection, "ListSecretVersionIds", json.dumps({"SecretId": name}).encode())
    assert [version["VersionStages"] for version in listed["Versions"]] == [["AWSCURRENT"]]
    connection.close()


def test_half_a_request_is_never_run(emulator: Emulator) -> None:
    name = f"half/{uuid.uuid4()}"
    body = body_of(Name=name)
    with dialled(emulator) as client:
        client.sendall(raw("CreateSecret", body, length=len(body) + 1))
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""
    connection = connected(emulator)
    status, answer = asked(connection, "DescribeSecret", json.dumps({"SecretId": name}).encode())
    assert (status, answer["__type"]) == (400, "ResourceNotFoundException")
    connection.close()


def test_a_refused_request_leaves_the_connection_usable(emulator: Emulator) -> None:
    connection = connected(emulator)
    kept = connection.sock
    connection.request("POST", "/", b"x" * 100_000, headers_of("CreateSecret", "xx-nowhere-1"))
    answer = connection.getresponse()
    assert answer.status == 400
    answer.read()
    assert asked(connection, "ListSecrets", b"{}")[0] == 200
    assert connection.sock is kept
    connection.close()


def test_a_chunked_body_is_read_and_the_connection_stays(emulator: Emulator) -> None:
    name = f"chunked/{uuid.uuid4()}"
    body = body_of(Name=name)
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    with dialled(emulator) as client:
        for _ in range(2):
            client.sendall(raw("CreateSecret", chunks, "Transfer-Encoding: chunked"))
            head, _, answer = client.recv(1 << 16).partition(b"\r\n\r\n")
            assert b" 200 " in head.splitlines()[0]
            assert json.loads(answer)["Name"] == name


@pytest.mark.parametrize("length", ["many", "-1"])
def test_an_impossible_length_is_refused_and_ends_the_connection(emulator: Emulator, length: str) -> None:
    with dialled(emulator) as client:
        client.sendall(raw("ListSecrets", b"", f"Content-Length: {length}"))
        answer = client.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"Connection: close" in answer
        assert client.recv(100) == b""


def test_a_fault_of_the_emulator_is_answered_without_its_text(capfd: pytest.CaptureFixture[str]) -> None:
    def application(_environ: object, _start_response: object) -> list[bytes]:
        raise LookupError(WORD)

    status, headers, body = http_server.answer(application, {})
    assert status.startswith("500 ")
    assert ("x-amzn-ErrorType", "InternalFailure") in headers
    assert WORD not in body.decode()
    told = "".join(capfd.readouterr())
    assert "LookupError at test_emulator_connections.py" in told
    assert WORD not in told


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("CreateSecret", "InvalidRequestException"),
        ("UpdateSecret", "InvalidRequestException"),
        ("PutSecretValue", "InvalidRequestException"),
        ("RotateSecret", "InvalidParameterException"),
    ],
)
def test_a_request_without_a_token_is_refused_in_awss_words(
    emulator: Emulator, operation: str, code: str
) -> None:
    connection = connected(emulator)
    name = f"untold/{uuid.uuid4()}"  # the token is missed before the secret is
    named = {"Name": f"{name}/new"} if operation == "CreateSecret" else {"SecretId": name}
    value = {"SecretString": "x"} if operation == "PutSecretValue" else {}
    status, answer = asked(connection, operation, json.dumps({**named, **value}).encode())
    assert (status, answer) == (
        400,
        {
            "__type": code,
            "Message": "You must provide a ClientRequestToken value. We recommend a UUID-type value.",
        },
    )
    connection.close()


def test_errors_of_the_request_layer_spell_message_with_a_small_letter(emulator: Emulator) -> None:
    connection = connected(emulator)
    for body, code, text in (
        (b'{"SecretId": "not there"}', "ValidationException", "message"),
        (b'{"SecretId": 7}', "SerializationException", "message"),
        (b'{"SecretId": "not-there"}', "ResourceNotFoundException", "Message"),
    ):
        _, answer = asked(connection, "DescribeSecret", body)
        assert answer["__type"] == code
        assert set(answer) == {"__type", text}
    connection.close()
