"""The function that sends notices: what it finds, what it writes, and where it sends it."""

# ruff: noqa: ANN401  boto3 is untyped

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from components.lambdas.common.labels import DEFERRAL, DEFERRED, Deferred
from components.lambdas.notices import age, assess, declared, handler, message, protocol, webhook
from components.lambdas.notices.age import Declared
from components.lambdas.notices.assess import Attention
from components.lambdas.notices.errors import NoticeError
from operations.status import rotation as status_rotation
from tools.localcloud.certificates import make_authority, write_server_certificate

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PATH = "/services/planted-token-8c1f"
TITLE = "aws-secrets/prod"


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def described(name: str = "app", **more: Any) -> dict[str, Any]:
    return {"Name": name, "VersionIdsToStages": {"v1": ["AWSCURRENT"]}, **more}


def found(secret: Declared, answer: Mapping[str, Any] | None, **dates: datetime) -> list[str]:
    return [f"{one.kind}: {one.text}" for one in assess.assess(secret, answer, lambda: dates, NOW)]


# what it finds


@pytest.mark.parametrize(
    ("expires", "expected"),
    [
        ("2026-11-23", "expired: TOKEN expired on 2026-11-23, 1 day ago"),
        ("2026-11-24", "aging: TOKEN expires on 2026-11-24, today"),
        ("2026-12-24", "aging: TOKEN expires on 2026-12-24, in 30 days"),
        ("2026-12-25", None),
    ],
)
def test_a_value_is_valid_on_its_last_day_and_reported_before(expires: str, expected: str | None) -> None:
    secret = Declared("app", expires={"TOKEN": expires}, remind_days=30)
    assert found(secret, described()) == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("days", "rotates", "expected"),
    [
        (100, False, "aging: The value is 100 days old; maxAgeDays is 100"),
        (100, True, "aging: The value is 100 days old; maxAgeDays is 100"),
        (75, False, "aging: The value is 75 days old, and will be too old on 2026-12-19; maxAgeDays is 100"),
        (99, True, None),  # its rotation is due before, or is overdue
        (74, False, None),  # a quarter of maxAgeDays, which is less than remindDays
    ],
)
def test_an_old_value_is_reported_by_its_versions_date(
    days: int,
    rotates: bool,
    expected: str | None,
) -> None:
    secret = Declared("app", max_age_days=100, rotates=rotates)
    # a tag changes LastChangedDate, and says nothing about the value
    answer = described(LastChangedDate=NOW, CreatedDate=ago(1_000))
    assert found(secret, answer, v1=ago(days)) == ([expected] if expected else [])


def test_the_age_of_a_value_that_a_deferred_rotation_copied_goes_on() -> None:
    secret = Declared("app", max_age_days=100, rotates=True)
    label = Deferred(2, int(ago(120).timestamp())).label(DEFERRAL)
    answer = described(VersionIdsToStages={"v1": ["AWSCURRENT", label]}, RotationEnabled=True)
    assert found(secret, answer, v1=ago(1)) == [
        "rotation: The last 2 rotations were deferred: clients still use an old password",
        "aging: The value is 120 days old; maxAgeDays is 100",
    ]
    [problem] = status_rotation.deferral_problems(answer)
    assert problem.text == "The last 2 rotations were deferred: clients still use an old password"
    assert "unchanged since 2026-07-27" in problem.remedy


@pytest.mark.parametrize("since", [int(ago(-900).timestamp()), 9_999_999_999, 999_999_999_999])
def test_a_forged_label_neither_renews_a_value_nor_breaks_the_report(since: int) -> None:
    """Whoever may put a value chooses the labels of its version."""
    secret = Declared("app", max_age_days=100, rotates=True)
    label = Deferred(1, since).label(DEFERRAL)
    answer = described(VersionIdsToStages={"v1": ["AWSCURRENT", label]}, RotationEnabled=True)
    assert found(secret, answer, v1=ago(120))[-1] == "aging: The value is 120 days old; maxAgeDays is 100"
    assert len(status_rotation.deferral_problems(answer)) == (since <= 9_999_999_999)


def test_a_waiting_placeholder_has_no_value_that_expires() -> None:
    secret = Declared("app", expires={"TOKEN": "2020-01-01"}, hints={"TOKEN": "Vendor > API"})
    waiting = described(VersionIdsToStages={"v1": ["AWSCURRENT", "aws-secrets-initial"]})
    assert found(secret, waiting) == ["waiting: TOKEN is not filled in yet"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, "unavailable: AWS has no secret with this name"),
        (described(DeletedDate=ago(-7)), "unavailable: Its deletion is scheduled for 2026-12-01 12:00 UTC"),
        (
            described(VersionIdsToStages={"v1": ["AWSPREVIOUS"]}),
            "unavailable: It has no current version; nobody can read it",
        ),
    ],
)
def test_a_secret_that_nobody_can_read_is_reported(answer: dict[str, Any] | None, expected: str) -> None:
    assert found(Declared("app", max_age_days=1, expires={"": "2020-01-01"}), answer) == [expected]


def test_the_function_and_the_status_agree_about_rotations() -> None:
    stages = (
        {"v1": ["AWSCURRENT"]},
        {"v1": ["AWSCURRENT", "AWSPENDING"]},
        {"v1": ["AWSCURRENT"], "v2": ["AWSPENDING"]},
        {"v1": ["AWSCURRENT"], "v2": ["AWSPENDING", "AWSPREVIOUS"]},
        {"v1": ["AWSCURRENT", Deferred(1, 0).label(DEFERRAL)]},
        {"v1": ["AWSCURRENT"], "v2": [Deferred(1, 0).label(DEFERRED)]},
    )
    moments = (None, ago(0.02), ago(10), ago(40))
    reported = 0
    for labels, enabled, due, last, created in product(stages, (True, False), moments, moments, moments):
        answer = described(
            ARN="arn",
            VersionIdsToStages=labels,
            RotationEnabled=enabled,
            RotationLambdaARN="arn:aws:lambda:us-east-1:123456789012:function:rotation",
            RotationRules={"AutomaticallyAfterDays": 30},
            NextRotationDate=due,
            LastRotatedDate=last,
            LastChangedDate=ago(40),
        )
        dates = dict.fromkeys(labels, created) if created else {}
        known = status_rotation.rotation_of(answer)
        assert known is not None
        _, problems = status_rotation.assess(known, answer, dates, NOW)
        problems += status_rotation.deferral_problems(answer)
        assert len(found(Declared("app"), answer, **dates)) == len(problems), answer
        reported += len(problems)
    assert reported > 20


def test_dates_are_requested_only_if_they_matter() -> None:
    def never() -> dict[str, datetime]:
        raise AssertionError

    rotating = described(RotationEnabled=True, NextRotationDate=ago(-5), LastRotatedDate=ago(3))
    assert assess.assess(Declared("app"), rotating, never, NOW) == []


def test_the_archives_file_keeps_what_was_declared() -> None:
    secrets = (Declared("a", 30, {"K": "2027-01-01"}, {"K": "x"}, rotates=True, remind_days=5), Declared("b"))
    assert declared.parse(declared.written(TITLE, secrets)) == declared.Stack(TITLE, secrets)


# what it writes


def attention(count: int, text: str = "TOKEN expired on 2026-11-01, 23 days ago") -> list[Attention]:
    return [Attention(f"vendor/{number}", "expired", text, "Get a new value.") for number in range(count)]


def test_the_message_groups_by_severity_and_names_everything() -> None:
    several = [
        Attention("vendor", "waiting", "TOKEN is not filled in yet", "Get the value here: Vendor > API."),
        *attention(1),
    ]
    text = message.compose(TITLE, "account 1, us-east-1", 9, several)
    assert text.title == "2 of 9 secrets of aws-secrets/prod need attention"
    assert text.urgent
    assert text.text.split("\n") == [
        "2 of 9 secrets of aws-secrets/prod need attention (account 1, us-east-1).",
        "",
        "Expired",
        "- vendor/0: TOKEN expired on 2026-11-01, 23 days ago. Get a new value.",
        "",
        "Waiting for manual input",
        "- vendor: TOKEN is not filled in yet. Get the value here: Vendor > API.",
        "",
        "Everything: python -m operations status",
    ]


def test_a_message_about_a_thousand_secrets_fits_everywhere() -> None:
    text = message.compose(TITLE, "here", 1_000, attention(1_000))
    shown = text.text.count("- vendor/")
    assert f"And {1_000 - shown} more." in text.text
    parameters = message.for_topic(text)
    assert len(parameters["Message"]) < 256 * 1024
    custom = json.loads(json.loads(parameters["Message"])["https"])
    assert len(custom["content"]["description"]) <= 8_000
    assert len(json.dumps(message.for_teams(text))) < 28 * 1024


def test_hostile_names_make_no_links_mentions_or_subjects() -> None:
    hostile = "<!channel> [x](https://evil.example) & \u00e9"
    text = message.compose(hostile, "here", 1, attention(1, hostile))
    parameters = message.for_topic(text)
    assert parameters["Subject"].isascii()
    assert len(parameters["Subject"]) <= 100
    custom = json.loads(json.loads(parameters["Message"])["https"])["content"]
    assert "<" not in custom["description"]
    assert "](" not in custom["description"]
    assert "<" not in str(message.for_slack(text)["text"])
    card = json.loads(json.dumps(message.for_teams(text)))["attachments"][0]["content"]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}


# where it sends it


@dataclass
class Server:
    """A TLS server: what it received, and how it answers."""

    port: int = 0
    received: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    status: int = 200
    slowly: bool = False


@contextmanager
def serving(folder: Path, host: str = "localhost") -> Iterator[Server]:
    authority, server = make_authority("webhooks"), Server()
    write_server_certificate(authority, host, folder / "server.pem", folder / "server.key")
    (folder / "ca.pem").write_bytes(authority.pem())

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.received.append((self.path, json.loads(body)))
            if server.slowly:
                try:
                    # complete in the end: whoever waits for it gets an answer
                    for byte in b"HTTP/1.1 200 OK\r\nX-Header: xxxxxxxxxxxxxxxx\r\n\r\n":
                        self.wfile.write(bytes([byte]))
                        time.sleep(0.05)
                except OSError:
                    pass
                return
            self.send_response(server.status)
            self.send_header("Location", f"https://localhost:{server.port}/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    listening.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    server.port = listening.server_port
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving(tmp_path) as running:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        yield running


def url(server: Server, path: str = PATH) -> str:
    return f"https://localhost:{server.port}{path}"


def test_a_webhook_gets_the_payload_over_verified_tls(server: Server) -> None:
    webhook.send(url(server, f"{PATH}?a=b"), {"text": "\u00e9"}, "URL of secret chat")
    assert server.received == [(f"{PATH}?a=b", {"text": "\u00e9"})]


@pytest.mark.parametrize("status", [301, 302, 307, 400, 500])
def test_a_redirect_is_not_followed_and_an_error_is_reported(server: Server, status: int) -> None:
    server.status = status
    with pytest.raises(NoticeError, match=f"HTTP {status}") as raised:
        webhook.send(url(server), {"text": "x"}, "URL of secret chat")
    assert [path for path, _ in server.received] == [PATH]
    assert_secret(raised.value)


def test_an_answer_that_takes_too_long_is_given_up(server: Server) -> None:
    server.slowly = True
    with pytest.raises(NoticeError, match="did not answer within") as raised:
        webhook.send(url(server), {"text": "x"}, "URL of secret chat", seconds=0.4)
    assert_secret(raised.value)


def test_an_untrusted_certificate_gets_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(NoticeError, match="not trusted") as raised:
        webhook.send(url(server), {"text": "x"}, "URL of secret chat")
    assert server.received == []
    assert_secret(raised.value)


def test_a_certificate_for_another_host_gets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path, "hooks.example") as running:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        with pytest.raises(NoticeError, match="not valid for its host"):
            webhook.send(url(running), {"text": "x"}, "URL of secret chat")
        assert running.received == []


@pytest.mark.parametrize(
    "wrong",
    [
        f"http://localhost{PATH}",
        f"file://{PATH}",
        f"https://user:pass@localhost{PATH}",
        f"https:{PATH}",
        f"https://localhost:x{PATH}",
        f"https://localhost{PATH}\r\nX-Header: y",
        f"https://localhost{PATH} y",
        f"https://localhost{PATH}/{'x' * 5_000}",
        f"planted{PATH}",
    ],
)
def test_a_value_that_is_not_a_url_is_not_repeated(wrong: str) -> None:
    with pytest.raises(NoticeError, match="begins with https://") as raised:
        webhook.send(wrong, {}, "URL of secret chat")
    assert_secret(raised.value)


def assert_secret(error: BaseException) -> None:
    """Fail if an error, or one that it is chained to, has the URL."""
    assert "planted" not in str(error)
    assert "localhost" not in str(error)
    assert error.__cause__ is None


# the whole function


@dataclass
class Aws:
    """Secrets Manager and SNS."""

    answers: dict[str, dict[str, Any] | str] = field(default_factory=dict)
    value: str = ""
    published: list[dict[str, Any]] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    topic_fails: bool = False

    exceptions: ClassVar[Any] = None

    def describe_secret(self, SecretId: str) -> Any:  # noqa: N803  boto3's name
        answer = self.answers[SecretId]
        if isinstance(answer, str):
            raise ClientError({"Error": {"Code": answer, "Message": "no"}}, "DescribeSecret")
        return answer

    def list_secret_version_ids(self, SecretId: str, MaxResults: int) -> Any:  # noqa: N803, ARG002  as above
        return {"Versions": [{"VersionId": "v1", "CreatedDate": datetime.now(UTC) - timedelta(days=400.5)}]}

    def get_secret_value(self, SecretId: str) -> Any:  # noqa: N803  as above
        self.read.append(SecretId)
        return {"SecretString": self.value}

    def publish(self, **parameters: Any) -> None:
        if self.topic_fails:
            raise ClientError({"Error": {"Code": "AuthorizationError", "Message": "no"}}, "Publish")
        self.published.append(parameters)


Deploy = Callable[..., None]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    fake = Aws(answers={name: described(name) for name in ("app", "chat", "vendor")})
    monkeypatch.setattr("boto3.client", lambda *_, **__: fake)
    monkeypatch.setattr(handler, "_SENT", set())
    return fake


@pytest.fixture
def deploy(monkeypatch: pytest.MonkeyPatch) -> Deploy:
    """Return a function that deploys with these secrets, to a topic and a webhook."""

    def deployed(
        *secrets: Declared, to: tuple[str, ...] = ("topic", "webhook"), key: str | None = None
    ) -> None:
        stack = declared.Stack(TITLE, secrets or (Declared("app", max_age_days=365), Declared("vendor")))
        monkeypatch.setattr(declared, "read", lambda: stack)
        if "topic" in to:
            monkeypatch.setenv(protocol.TOPIC_VARIABLE, "arn:aws:sns:us-east-1:123456789012:alerts")
        if "webhook" in to:
            monkeypatch.setenv(protocol.WEBHOOK_SECRET_VARIABLE, "chat")
        if key:
            monkeypatch.setenv(protocol.WEBHOOK_KEY_VARIABLE, key)

    return deployed


def test_nothing_is_sent_while_everything_is_healthy(aws: Aws, deploy: Deploy) -> None:
    deploy(Declared("app"), Declared("vendor"))
    assert handler.handle({"id": "1"}) == {"secrets": 2, "needAttention": 0}
    assert aws.published == []
    assert aws.read == []


def test_one_message_reaches_both_and_the_log_has_no_url(
    aws: Aws, deploy: Deploy, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(key="URL")
    aws.value = json.dumps({"URL": url(server), "OTHER": "another-planted-value"})
    assert handler.handle({"id": "1"}) == {"secrets": 2, "needAttention": 1}
    [published] = aws.published
    [(path, payload)] = server.received
    assert path == PATH
    assert "app: The value is 400 days old; maxAgeDays is 365" in payload["text"]
    assert json.loads(published["Message"])["default"] in payload["text"]
    assert aws.read == ["chat"]
    captured = capsys.readouterr()
    assert captured.out == "1 of 2 secrets need attention\n"
    assert "planted" not in str(payload) + str(published) + captured.out + captured.err


def test_a_retry_sends_only_what_was_not_accepted(aws: Aws, deploy: Deploy, server: Server) -> None:
    deploy()
    aws.value, server.status = url(server), 503
    with pytest.raises(NoticeError, match="HTTP 503"):
        handler.handle({"id": "1"})
    assert (len(aws.published), len(server.received)) == (1, 1)
    server.status = 200
    handler.handle({"id": "1"})
    handler.handle({"id": "1"})  # EventBridge may deliver an event twice
    assert (len(aws.published), len(server.received)) == (1, 2)
    handler.handle({"id": "2"})
    assert (len(aws.published), len(server.received)) == (2, 3)


def test_a_failing_topic_does_not_keep_the_message_from_the_webhook(
    aws: Aws, deploy: Deploy, server: Server
) -> None:
    deploy()
    aws.value, aws.topic_fails = url(server), True
    with pytest.raises(NoticeError, match="AuthorizationError"):
        handler.handle({"id": "1"})
    assert len(server.received) == 1


def test_a_killed_function_sends_its_message_when_it_is_retried(aws: Aws, deploy: Deploy) -> None:
    deploy(to=("topic",))

    class KilledError(BaseException):
        pass

    def killed(**_: Any) -> None:
        raise KilledError

    aws.publish, publish = killed, aws.publish  # type: ignore[method-assign]  # for this test
    with pytest.raises(KilledError):
        handler.handle({"id": "1"})
    aws.publish = publish  # type: ignore[method-assign]  # as above
    handler.handle({"id": "1"})
    assert len(aws.published) == 1


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("", None),
        ('{"URL": "planted"', "URL"),
        ('{"URL": 1}', "URL"),
        ("[]", "URL"),
        ('{"A": "planted"}', "URL"),
    ],
)
def test_a_webhook_without_a_value_is_named_and_not_shown(
    aws: Aws, deploy: Deploy, value: str, key: str | None
) -> None:
    deploy(to=("webhook",), key=key)
    aws.value = value
    with pytest.raises(NoticeError, match="secret chat is not a text, or empty") as raised:
        handler.handle({"id": "1"})
    assert "planted" not in str(raised.value)


def test_an_unexpected_error_shows_its_place_only(
    aws: Aws, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(to=("webhook",))
    aws.value = "https://localhost/planted"
    monkeypatch.setattr(webhook, "send", lambda url, *_: {}[url])
    with pytest.raises(NoticeError, match=r"KeyError at test_notices_function.py:\d+") as raised:
        handler.handle({"id": "1"})
    assert "planted" not in str(raised.value)
    assert raised.value.__context__ is None


def test_secrets_that_cannot_be_checked_are_named(aws: Aws, deploy: Deploy) -> None:
    deploy(Declared("app"), Declared("vendor"), to=("topic",))
    aws.answers["app"] = "AccessDeniedException"
    aws.answers["vendor"] = "ResourceNotFoundException"
    assert handler.handle({})["needAttention"] == 2
    text = json.loads(aws.published[0]["Message"])["default"]
    assert "vendor: AWS has no secret with this name" in text
    assert "Could not be checked\n- app: Secrets Manager rejected DescribeSecret" in text


def test_the_function_fails_if_nothing_can_be_checked(aws: Aws, deploy: Deploy) -> None:
    deploy(Declared("app"), Declared("vendor"), to=("topic",))
    aws.answers = dict.fromkeys(aws.answers, "AccessDeniedException")
    with pytest.raises(NoticeError, match="nothing was sent"):
        handler.handle({"id": "1"})
    assert aws.published == []


@pytest.mark.parametrize("event", [None, [], "event", {"id": 1}, {}])
def test_any_event_is_answered(aws: Aws, deploy: Deploy, event: Any) -> None:
    deploy(to=("topic",))
    handler.handle(event)
    handler.handle(event)
    assert len(aws.published) == 2  # by hand, as often as it is asked


def test_pagerduty_gets_one_incident_for_a_stack(
    aws: Aws, deploy: Deploy, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(to=("webhook",))
    monkeypatch.setenv(protocol.WEBHOOK_FORMAT_VARIABLE, protocol.PAGERDUTY)
    monkeypatch.setattr(webhook, "PAGERDUTY_URL", url(server, "/v2/enqueue"))
    aws.value = "planted-integration-key\n"
    handler.handle({"id": "1"})
    [(path, event)] = server.received
    assert (path, event["routing_key"]) == ("/v2/enqueue", "planted-integration-key")
    assert (event["event_action"], event["payload"]["severity"]) == ("trigger", "warning")
    assert event["dedup_key"] == f"aws-secrets {TITLE}"
    assert "planted" not in str(event["payload"])


def test_expired_values_come_first() -> None:
    secret = Declared("app", max_age_days=1, expires={"A": "2026-11-25", "B": "2026-11-01"})
    kinds = [one.kind for one in age.assess(secret, ago(5), NOW, waiting=False)]
    assert kinds == ["expired", "aging", "aging"]
