"""The order of restarts, and the mistakes in it."""

import json
from typing import Any

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from program.desired import resolve
from stack_file.cross_checks import mistakes_between
from stack_file.restarts import predecessors, restart_order
from stack_file.top_level import StackFile
from tests.support.recorded_run import run

SECRETS: dict[str, Any] = {"app": {"values": {"KEY": {"random": {}}}}}


def workload(*after: str, automatic: bool = False, **restart: Any) -> dict[str, Any]:  # noqa: ANN401  a stack file
    return {
        "ecs": {"redeploy": {"cluster": "shop", "service": "web", "automatic": automatic}},
        "environment": {"KEY": {"secret": "app"}},
        "restart": {"after": list(after), **restart},
    }


def checked(workloads: dict[str, Any]) -> StackFile:
    return StackFile.model_validate_json(json.dumps({"secrets": SECRETS, "workloads": workloads}))


def mistakes(workloads: dict[str, Any]) -> dict[str, str]:
    found = mistakes_between("aws-secrets", checked(workloads), "us-east-1", "dev")
    return {one.path: f"{one.wrong}. {one.consequence}. {one.remedy}" for one in found}


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Workloads without a cycle, in an order that does not give it away."""
    # bit n of a workload's number: it waits for workload n, if that has a lower place
    waits = draw(st.lists(st.integers(0, 255), min_size=1, max_size=8))
    after = {
        f"w{place}": [f"w{other}" for other in range(place) if bits >> other & 1]
        for place, bits in enumerate(waits)
    }
    return {name: after[name] for name in draw(st.permutations([*after]))}


@hypothesis_settings(deadline=None)
@given(graphs())
def test_every_workload_is_after_all_that_it_waits_for(graph: dict[str, list[str]]) -> None:
    stack_file = checked({name: workload(*after) for name, after in graph.items()})
    order = restart_order(stack_file.workloads)
    assert sorted(order) == sorted(graph)
    for name, after in graph.items():
        before = predecessors(stack_file.workloads, name)
        assert before >= {*after}
        assert before <= {*order[: order.index(name)]}
    assert not mistakes_between("aws-secrets", stack_file, "us-east-1", "dev")


@hypothesis_settings(deadline=None)
@given(graphs(), st.data())
def test_every_cycle_is_a_mistake(graph: dict[str, list[str]], data: st.DataObject) -> None:
    last = restart_order(checked({name: workload(*after) for name, after in graph.items()}).workloads)
    first, end = data.draw(st.sampled_from(last)), data.draw(st.sampled_from(last))
    closed = {**graph, first: [*dict.fromkeys([*graph[first], "bridge"])], "bridge": [end]}
    stack_file = checked({name: workload(*after) for name, after in closed.items()})
    found = mistakes_between("aws-secrets", stack_file, "us-east-1", "dev")
    is_cycle = first == end or first in predecessors(stack_file.workloads, end)
    assert is_cycle == any("wait for each other" in one.wrong for one in found)


def test_without_restart_the_order_is_the_stack_files() -> None:
    plain = {name: {**workload(), "restart": {}} for name in ("web", "job", "api")}
    assert restart_order(checked(plain).workloads) == ("web", "job", "api")
    assert resolve(checked(plain), "aws-secrets", "dev").restart_order == ("web", "job", "api")


def test_all_mistakes_are_reported_with_what_to_write() -> None:
    found = mistakes(
        {
            "web": workload("web", "wroker", "worker", "worker"),
            "worker": workload("api"),
            "api": workload("mail"),
            "mail": workload("worker"),
            "cron": workload("api", automatic=True),
        }
    )
    after = "aws-secrets:workloads.{}.restart.after".format
    assert found.keys() == {
        *(f"{after('web')}[{index}]" for index in (0, 1, 3)),
        after("worker"),
        after("cron"),
    }
    assert 'unknown workload "wroker" (did you mean "worker"?)' in found[f"{after('web')}[1]"]
    assert "after itself" in found[f"{after('web')}[0]"]
    assert "worker after api after mail after worker" in found[after("worker")]
    assert "automatic: false" in found[after("cron")]


def test_restart_changes_no_resource_and_automatic_removes_the_rule() -> None:
    def recorded(declared: dict[str, Any]) -> list[str]:
        recording = run(
            {
                "aws:region": "us-east-1",
                "aws-secrets:secrets": SECRETS,
                "aws-secrets:workloads": {"web": declared},
            }
        )
        return sorted(recording.types())

    plain = workload(automatic=True)
    restart = plain.pop("restart")
    with_rule = recorded(plain)
    assert (
        recorded({**plain, "restart": {**restart, "alarms": ["slow"], "url": "https://x.example"}})
        == with_rule
    )
    without = recorded(workload())
    rule = {kind for kind in with_rule if "eventRule" in kind or "lambda/" in kind}
    assert rule
    assert not rule & {*without}
    assert {*without} < {*with_rule}
