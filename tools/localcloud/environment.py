"""Environment in which pulumi and AWS clients see the local cloud and none of the user's settings."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from tools.localcloud.files import write_if_changed
from tools.localcloud.layout import Layout

REGION = "us-east-1"

# A setting of the user's in one of these families could lead to a real account, backend or passphrase.
_FAMILIES = ("AWS_", "PULUMI_")
# Ours, although it begins like Pulumi's.
PLUGINS_VARIABLE = "PULUMI_PLUGINS"


def aws_variables(endpoint: str, empty_file: Path) -> dict[str, str]:
    """Return what points AWS clients at the emulator; `empty_file` replaces the user's configuration."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONFIG_FILE": str(empty_file),
        "AWS_SHARED_CREDENTIALS_FILE": str(empty_file),
        "AWS_EC2_METADATA_DISABLED": "true",
        # The emulator runs or it does not; retries do not help.
        "AWS_MAX_ATTEMPTS": "2",
    }


def pulumi_variables(home: Path, state: Path) -> dict[str, str]:
    """Return what keeps the engine to a home of its own and the state in a folder."""
    return {
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{state}",
        # The local cloud keeps nothing that is secret elsewhere, and the stack file is committed.
        "PULUMI_CONFIG_PASSPHRASE": "local",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
        # Plugins are installed once their checksums are verified: see plugin_install.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }


def cleaned(base: Mapping[str, str]) -> dict[str, str]:
    """Return `base` without the user's AWS and Pulumi settings, and with loopback traffic off any proxy."""
    kept = {
        name: value
        for name, value in base.items()
        if not name.startswith(_FAMILIES) or name == PLUGINS_VARIABLE
    }
    for name in ("NO_PROXY", "no_proxy"):
        kept[name] = ",".join(part for part in (base.get(name, ""), "127.0.0.1") if part)
    return kept


def local_variables(layout: Layout, port: int) -> dict[str, str]:
    """Return everything that the local cloud sets, except PATH and NO_PROXY."""
    empty = layout.local / "empty-aws-config"
    write_if_changed(empty, "")
    return aws_variables(f"http://127.0.0.1:{port}", empty) | pulumi_variables(
        layout.pulumi_home, layout.state
    )


def local_environment(layout: Layout, port: int) -> dict[str, str]:
    """Return the environment of the commands that we run ourselves."""
    path = f"{layout.bin}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return cleaned(os.environ) | local_variables(layout, port) | {"PATH": path}


def write_env_file(layout: Layout, port: int) -> None:
    """Write a file that sets the same in an operator's shell (sh, bash, zsh)."""
    exports = "\n".join(
        f"export {name}={shlex.quote(value)}" for name, value in local_variables(layout, port).items()
    )
    first = shlex.quote(str(layout.bin))
    text = f"""\
# Points this shell at the local cloud: `. .local/env`. A new shell is unchanged.

# Remove settings that could lead to a real account or stack.
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
