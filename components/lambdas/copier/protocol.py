"""Names that the copier shares with the component that declares it and the command that invokes it."""

SOURCE_VARIABLE = "SOURCE_ARN"
"""Environment variable with the full ARN of the secret to copy from."""

TARGET_VARIABLE = "TARGET_ARN"
"""Environment variable with the full ARN of the secret to copy to."""

VERSION_ID = "VersionId"
"""In the answer: ID of the version that is current in both secrets."""

COPIED = "Copied"
"""In the answer: whether this run changed the target."""

_COPY = "aws-secrets-copy:"


def copy_label(version: str) -> str:
    """Return the staging label of a version that the copier wrote.

    It has the beginning of the version's own ID, so that no two versions share a label and none moves.
    """
    return f"{_COPY}{version.replace('-', '')[:12]}"


def is_copy_label(label: str) -> bool:
    """Return whether a label is one of the copier's."""
    return label.startswith(_COPY)
