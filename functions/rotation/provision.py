"""Makes a secret's first value work before any rotation: asked for by a deployment, not by Secrets Manager.

Event:
    Action        "provision"
    SecretId      the secret's ARN
    Username      PostgreSQL: the login as declared, the first of the two when users alternate
    OwnerRole     PostgreSQL, alternating: the role that both act as; default Username + "_owner"
    Grants        PostgreSQL: "read-only" | "read-write" | "owner" | a list of SQL templates
    Schemas       PostgreSQL: the schemas that Grants is about; default ["public"]
    CreateSchemas PostgreSQL: true creates schemas that do not exist; without it they are refused
    Connection    PostgreSQL: any of host, port, dbname, masterarn as declared; must agree with the secret

Answer:
    {"Roles": [names], "Warnings": [sentences]}; no value of a secret.

May be sent again at any time: it adds what is missing and changes no password that works. Terraform's and
Pulumi's Invocation resources add a key "tf", and one with the lifecycle CRUD calls at deletion too, when
nothing is done.
"""

import logging
from collections.abc import Mapping

from . import store
from .declaration import driver_for
from .errors import OperatorError

LOG = logging.getLogger(__name__)


def run(event: Mapping[str, object]) -> Mapping[str, object]:
    """Carry out one request.

    Raises:
        OperatorError: not to be done, with the reason.
    """
    action, arn, lifecycle = event.get("Action"), event.get("SecretId"), event.get("tf")
    if action != "provision":
        raise OperatorError(f"Action is {action!r}; the only one is 'provision'.")
    if not isinstance(arn, str):
        raise OperatorError("The event has no SecretId, the ARN of the secret to provision.")
    if isinstance(lifecycle, Mapping) and lifecycle.get("action") == "delete":
        return {"Roles": [], "Warnings": []}
    secret = store.describe(arn)
    current = store.read(arn, store.CURRENT)
    request = {key: value for key, value in event.items() if key not in {"Action", "SecretId", "tf"}}
    report = driver_for(secret, current).provision(request, lambda stage: store.find(arn, stage=stage))
    LOG.info("provision: done for %s: %s", arn, report)
    return report
