"""Remove the entry of a secret's old name from a stack file; what else is in it stays as it is written."""

from pathlib import Path

from operations.adopt.model import SourceError
from operations.configuration import content_of
from operations.files import locked, replace_text
from operations.stack_file_text import with_config
from stack_file.documents import full_key, project_file
from stack_file.yaml_text import YamlError

RENAMED_FROM = "renamedFrom"


def remove_old_entry(folder: Path, project: str, stack: str, old: str, new: str) -> None:
    """Remove a secret, and `renamedFrom` from the entry of its new name, at one stroke.

    Raises:
        SourceError: the file cannot be written.
        InvalidConfigurationError: it cannot be read.
    """
    # a link is followed: replacing it would leave the file behind it as it was
    file = project_file(folder).stack_file(stack).resolve()
    with locked(folder / "Pulumi.yaml"):
        content = content_of(stack, file)
        config = dict(content.get("config") or {})
        key = next((one for one in config if full_key(one, project) == f"{project}:secrets"), "")
        if new not in (config.get(key) or {}):
            raise SourceError(
                f"{file.name} has no entry of {new}. Remove {old} and {RENAMED_FROM} where they are declared."
            )
        secrets = {name: dict(declared) for name, declared in config[key].items() if name != old}
        secrets[new].pop(RENAMED_FROM, None)
        try:
            text = with_config(file.read_text("utf-8"), content, {**config, key: secrets})
            replace_text(file, text)
        except YamlError as error:
            raise SourceError(f"{file.name} cannot be written: {error}") from None
        except OSError as error:
            raise SourceError(f"{file} cannot be written: {error.strerror}.") from None
