"""Behavior of staging labels that nobody has recorded from AWS: one setting for each emulator.

Environment, read when the emulator starts, each `yes` (default) or `no`:

    LOCALCLOUD_FIRST_VERSION_CURRENT  a secret's first version gets AWSCURRENT whatever labels it is put with
    LOCALCLOUD_LABELS_SURVIVE_PUT     a version that loses AWSCURRENT by PutSecretValue keeps its other labels

Sources for the first: yes, API Reference, PutSecretValue; no, the Terraform AWS provider's acceptance test of
aws_secretsmanager_secret_version with several versions. For the second: UpdateSecretVersionStage keeps the
labels (recorded), PutSecretValue is not recorded.
"""

from collections.abc import Mapping
from dataclasses import dataclass

FIRST_VERSION_CURRENT = "LOCALCLOUD_FIRST_VERSION_CURRENT"
LABELS_SURVIVE_PUT = "LOCALCLOUD_LABELS_SURVIVE_PUT"


@dataclass(frozen=True)
class LabelRules:
    """One of the four ways in which AWS may behave.

    Attributes:
        first_version_current: a secret's first version gets AWSCURRENT without being asked.
        labels_survive_put: a version that loses AWSCURRENT by PutSecretValue keeps its other labels.
    """

    first_version_current: bool = True
    labels_survive_put: bool = True

    def variables(self) -> dict[str, str]:
        """Return the environment that starts an emulator with these rules."""
        return {
            FIRST_VERSION_CURRENT: "yes" if self.first_version_current else "no",
            LABELS_SURVIVE_PUT: "yes" if self.labels_survive_put else "no",
        }


WORLDS = tuple(LabelRules(first, survive) for first in (True, False) for survive in (True, False))
"""All four, the default first."""


def read(environment: Mapping[str, str]) -> LabelRules:
    """Read the rules from the environment's variables.

    Raises:
        ValueError: a variable is neither `yes` nor `no`; the message names it.
    """
    return LabelRules(_flag(environment, FIRST_VERSION_CURRENT), _flag(environment, LABELS_SURVIVE_PUT))


def _flag(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name, "yes")
    if value not in {"yes", "no"}:
        raise ValueError(f"{name} is {value!r}: set it to yes or no.")
    return value == "yes"
