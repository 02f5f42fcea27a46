"""Warn of placeholders that a workload requires and nobody has filled in."""

from collections.abc import Mapping

import pulumi

from components.first_version import FirstVersions
from components.secret import Secret
from components.version_labels import INITIAL_VERSION_LABEL, UNFILLED_LABEL, LookupFailedError, list_versions
from components.visible import visible
from program.desired import Desired


def warn_if_unfilled(
    desired: Desired, components: Mapping[str, Secret], first_versions: FirstVersions
) -> None:
    """Warn of required placeholders that still have their initial value; read no value.

    In a secret with several placeholders, an edit of one counts for all.

    Args:
        desired: the stack.
        components: name in AWS to component.
        first_versions: the secrets that this update creates.
    """
    for name, warnings in _required(desired).items():
        # a secret that this update creates is not looked up: the provider would report an error
        components[name].arn.apply(
            lambda arn, warnings=warnings: _warn(arn, warnings, first_versions),  # type: ignore[misc]  # a default keeps the loop's value
            run_with_unknowns=True,
        )


def _required(desired: Desired) -> dict[str, list[str]]:
    """Return each secret with a placeholder that a workload requires, with a warning for each reader."""
    warnings: dict[str, list[str]] = {}
    for workload in desired.workloads.values():
        for read in workload.reads:
            if not read.required:
                continue
            secret = desired.secrets[read.secret]
            path, key = desired.path("workloads", workload.name, *read.place), read.key_of(secret.content)
            for placeholder, hint in secret.placeholders.items():
                if key in {placeholder or None, None}:
                    what = f"{placeholder} of {secret.name}" if placeholder else secret.name
                    warnings.setdefault(secret.name, []).append(
                        visible(
                            f"{path}: {what} is not filled in yet ({hint}). "
                            "The workload requires it and gets an empty text until then."
                        )
                    )
    return warnings


def _warn(arn: object, warnings: list[str], first_versions: FirstVersions) -> None:
    # not a text while a preview creates the secret
    if not isinstance(arn, str) or first_versions.is_new(arn) or _has_initial_value(arn):
        for warning in warnings:
            pulumi.log.warn(warning)


def _has_initial_value(arn: str) -> bool:
    try:
        versions = list_versions(arn)
    except LookupFailedError:
        return False  # a preview may lack the permission
    return any(
        "AWSCURRENT" in version.version_stages
        and not {INITIAL_VERSION_LABEL, UNFILLED_LABEL}.isdisjoint(version.version_stages)
        for version in versions
    )
