"""The metrics say what the status says, in a form that Prometheus reads."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as text_format

from operations.status.metrics import metrics
from operations.status.model import Rotation, Status
from tests.support.sample_status import FUNCTION, NOW, sample_status

PLACE = {"project", "stack", "account", "region"}
DASHBOARD = Path("examples/grafana/dashboard.json")


def samples(
    status: Status, parse: Callable[[str], Iterable[Metric]] = open_metrics
) -> dict[tuple[str, frozenset[str]], float]:
    """Return the value of each sample by its name and those labels that vary within a stack."""
    return {
        (
            sample.name,
            frozenset(text for key, text in sample.labels.items() if key not in PLACE),
        ): sample.value
        for family in parse(metrics(status))
        for sample in family.samples
    }


def test_each_problem_is_counted_by_secret_and_kind() -> None:
    status = sample_status(30, 3)
    found = samples(status)
    assert found["aws_secrets_secrets", frozenset()] == 30
    assert found["aws_secrets_healthy_secrets", frozenset()] == status.summary.well < 30
    for secret in status.secrets:
        for kind in ("unavailable", "rotation", "readers", "drift", "waiting", "unknown"):
            expected = sum(problem.kind == kind for problem in secret.problems)
            assert found["aws_secrets_problems", frozenset({secret.name, kind})] == expected


def test_a_rotation_has_its_times_and_exactly_one_state() -> None:
    status = sample_status(1, 1)
    rotation = Rotation(
        state="overdue",
        schedule="every 30 days",
        last_rotated=NOW - timedelta(days=40),
        next_by=NOW - timedelta(days=10),
        pending_since=None,
        function=FUNCTION,
    )
    secret = replace(status.secrets[0], rotation=rotation)
    [function] = status.functions
    ringing = replace(status, secrets=(secret,), functions=(replace(function, alarm="ALARM"),))
    found = samples(ringing)
    name = secret.name
    assert found["aws_secrets_rotated_timestamp_seconds", frozenset({name})] == NOW.timestamp() - 40 * 86_400
    assert found["aws_secrets_rotation_due_timestamp_seconds", frozenset({name})] == NOW.timestamp() - 864_000
    states = {
        labels - {name}: value for (each, labels), value in found.items() if each.endswith("rotation_state")
    }
    assert [labels for labels, value in states.items() if value] == [{"overdue"}]
    assert found["aws_secrets_function_alarm", frozenset({FUNCTION.rpartition(":")[2]})] == 1
    assert found["aws_secrets_asked_timestamp_seconds", frozenset()] == NOW.timestamp()


def test_readers_are_counted_only_from_complete_events() -> None:
    status = sample_status(30, 3, observed=True)
    found = samples(status)
    assert sum(value for (name, _), value in found.items() if name == "aws_secrets_undeclared_readers") == 5
    silent = [len(one.readings.silent) for one in status.secrets if one.readings]
    assert sum(silent) == sum(
        value for (name, _), value in found.items() if name == "aws_secrets_silent_readers"
    )
    assert found["aws_secrets_unread_usd", frozenset()] == 0.4
    assert status.observation is not None
    incomplete = replace(status, observation=replace(status.observation, is_complete=False))
    names = {name for name, _ in samples(incomplete)}
    assert "aws_secrets_last_accessed_timestamp_seconds" in names
    assert not names & {"aws_secrets_undeclared_readers", "aws_secrets_unread", "aws_secrets_unread_usd"}


def test_node_exporters_older_parser_reads_the_same() -> None:
    status = sample_status(30, 3)
    assert samples(status, text_format) == samples(status)


def test_a_rehearsal_has_its_time_and_outcome() -> None:
    secret = next(one for one in sample_status(30, 3).secrets if one.rehearsal)
    assert secret.rehearsal is not None
    for works in (True, False):
        one = replace(secret, rehearsal=replace(secret.rehearsal, works=works))
        found = samples(replace(sample_status(1, 1), secrets=(one,)))
        assert found["aws_secrets_rehearsal_works", frozenset({one.name})] == works
        when = found["aws_secrets_rehearsed_timestamp_seconds", frozenset({one.name})]
        assert when == NOW.timestamp() - 3 * 3600
    none = replace(secret, rehearsal=replace(secret.rehearsal, at=None, works=None))
    names = {name for name, _ in samples(replace(sample_status(1, 1), secrets=(none,)))}
    assert not [name for name in names if "rehears" in name]


def test_a_hostile_name_cannot_add_a_sample() -> None:
    status = sample_status(1, 1)
    hostile = 'app"} 1\naws_secrets_secrets{stack="x\\'
    found = samples(replace(status, secrets=(replace(status.secrets[0], name=hostile),)))
    assert ("aws_secrets_problems", frozenset({hostile, "drift"})) in found
    assert len([name for name, _ in found if name == "aws_secrets_secrets"]) == 1


def test_the_manual_lists_every_metric() -> None:
    documented = set(re.findall(r"`(aws_secrets_\w+)`", Path("docs/status.md").read_text()))
    assert documented == {name for name, _ in samples(sample_status(30, 3, observed=True))}


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    known = {name for name, _ in samples(sample_status(30, 3, observed=True))}
    dashboard = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    used = {name for expression in expressions for name in re.findall(r"aws_secrets_\w+", expression)}
    assert used == known


def test_the_dashboards_labels_exist_and_its_panels_do_not_overlap() -> None:
    parse: Callable[[str], Iterable[Metric]] = open_metrics
    labels = {
        label
        for family in parse(metrics(sample_status(30, 3, observed=True)))
        for sample in family.samples
        for label in sample.labels
    }
    panels = json.loads(DASHBOARD.read_text())["panels"]
    cells: list[tuple[int, int]] = []
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells += [(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])]
        for target in panel["targets"]:
            legend = re.findall(r"{{(\w+)}}", target.get("legendFormat", ""))
            selected = re.findall(r"[{,](\w+)[=!]", target["expr"])
            assert {*legend, *selected} <= labels, target
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_the_price_is_that_of_the_status() -> None:
    status = sample_status(30, 3)
    assert status.cost is not None
    assert samples(status)["aws_secrets_monthly_usd", frozenset()] == status.cost.monthly_usd
