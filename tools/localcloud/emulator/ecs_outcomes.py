"""Outcomes of the deployments of ECS services, which a test sets: no task runs on the local cloud."""

from collections.abc import Mapping
from typing import Any

OUTCOMES = ("completed", "held", "failed", "rolled-back")

_outcomes: dict[str, str] = {}


class OutcomeError(Exception):
    """An invalid outcome. The message gives the reason."""


def outcome_of(service: str) -> str:
    """Return how the next deployment of a service ends."""
    return _outcomes.get(service, "completed")


def read_outcome(sent: Mapping[str, Any]) -> dict[str, object]:
    """Set how the deployments of a service end from now on, as JSON describes it; return all such settings.

    `completed` is the default. `held` deployments go on until that is set again, `failed` ones fail as with
    the circuit breaker, and `rolled-back` ones fail, and a deployment of what was there before takes their
    place.

    Raises:
        OutcomeError: a key is missing, unknown, or has another value.
    """
    service, outcome = sent.get("Service"), sent.get("Outcome")
    if sent.keys() != {"Service", "Outcome"} or not isinstance(service, str) or outcome not in OUTCOMES:
        raise OutcomeError(
            f"the body must be a JSON object with Service, a name, and Outcome: {', '.join(OUTCOMES)}"
        )
    _outcomes[service] = str(outcome)
    return dict(_outcomes)
