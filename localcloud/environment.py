"""The environment in which pulumi and AWS clients see the local cloud and nothing of the user's own."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from localcloud.files import write_if_changed
from localcloud.layout import Layout

REGION = "us-east-1"
STACK = "local"

# A setting of the user's in one of these families could lead to a real account, backend or passphrase.
_FAMILIES = ("AWS_", "PULUMI_")
# Ours, although it begins like Pulumi's.
PLUGINS_VARIABLE = "PULUMI_PLUGINS"


def official_plugins_wanted(base: Mapping[str, str]) -> bool:
    """Whether PULUMI_PLUGINS=official is set: then the engine may download plugins itself."""
    return base.get(PLUGINS_VARIABLE) == "official"


def aws_variables(endpoint: str, empty_file: Path) -> dict[str, str]:
    """What leads an AWS client to the emulator. `empty_file` stands for the user's configuration files."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONFIG_FILE": str(empty_file),
        "AWS_SHARED_CREDENTIALS_FILE": str(empty_file),
        "AWS_EC2_METADATA_DISABLED": "true",
        # The emulator is there or it is not; waiting for it does not help.
        "AWS_MAX_ATTEMPTS": "2",
    }


def pulumi_variables(home: Path, state: Path, *, official: bool) -> dict[str, str]:
    """What keeps the engine to its own home and the state in a folder."""
    variables = {
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{state}",
        # The local cloud keeps nothing that is secret elsewhere, and the stack file is committed.
        "PULUMI_CONFIG_PASSPHRASE": "local",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
    }
    if not official:
        variables["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    return variables


def cleaned(base: Mapping[str, str]) -> dict[str, str]:
    """`base` without the user's settings for AWS and Pulumi, and with loopback traffic kept off any proxy."""
    kept = {
        name: value
        for name, value in base.items()
        if not name.startswith(_FAMILIES) or name == PLUGINS_VARIABLE
    }
    for name in ("NO_PROXY", "no_proxy"):
        kept[name] = ",".join(part for part in (base.get(name, ""), "127.0.0.1") if part)
    return kept


def local_variables(layout: Layout, port: int) -> dict[str, str]:
    """Everything that the local cloud sets, except PATH and NO_PROXY."""
    empty = layout.local / "empty-aws-config"
    write_if_changed(empty, "")
    return aws_variables(f"http://127.0.0.1:{port}", empty) | pulumi_variables(
        layout.pulumi_home, layout.state, official=official_plugins_wanted(os.environ)
    )


def local_environment(layout: Layout, port: int) -> dict[str, str]:
    """The environment of the commands that we run ourselves."""
    path = f"{layout.bin}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return cleaned(os.environ) | local_variables(layout, port) | {"PATH": path}


def write_env_file(layout: Layout, port: int) -> None:
    """Write the shell file that sets the same in a person's shell (sh, bash, zsh)."""
    exports = "\n".join(
        f"export {name}={shlex.quote(value)}" for name, value in local_variables(layout, port).items()
    )
    first = shlex.quote(str(layout.bin))
    text = f"""\
# Sets this shell to the local cloud: `. .local/env`. A new shell is as before.

# Settings of yours that could lead to a real account or stack.
for name in $(env | sed -n 's/^\\(AWS_[A-Za-z0-9_]*\\)=.*/\\1/p; s/^\\(PULUMI_[A-Za-z0-9_]*\\)=.*/\\1/p'); do
  [ "$name" = {PLUGINS_VARIABLE} ] || unset "$name"
done
unset name

{exports}

# Traffic to this machine keeps off any proxy.
case ",${{NO_PROXY-}}," in *,127.0.0.1,*) ;; *) export NO_PROXY="${{NO_PROXY:+$NO_PROXY,}}127.0.0.1" ;; esac
case ",${{no_proxy-}}," in *,127.0.0.1,*) ;; *) export no_proxy="${{no_proxy:+$no_proxy,}}127.0.0.1" ;; esac
case ":$PATH:" in *:{first}:*) ;; *) export PATH={first}:"$PATH" ;; esac
"""
    write_if_changed(layout.env_file, text)
