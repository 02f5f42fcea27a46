"""Installing plugins: official ones that the user has, else the stand-ins."""

from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support.local_engine import local_engine
from tools.localcloud.layout import Layout
from tools.localcloud.plugin_install import provide_plugins
from tools.localcloud.tests.played_checkout import checkout_with_played_emulator

AWS = f"resource-aws-v{version('pulumi-aws')}"


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A checkout with an engine and no plugin, and a user who has none either."""
    made = checkout_with_played_emulator(tmp_path / "a checkout")
    made.bin.mkdir(parents=True)
    made.pulumi.symlink_to(local_engine().pulumi)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "users home"))
    monkeypatch.delenv("PULUMI_PLUGINS", raising=False)
    return made


def users_plugin(tmp_path: Path) -> Path:
    plugin = tmp_path / "users home" / "plugins" / AWS / "pulumi-resource-aws"
    plugin.parent.mkdir(parents=True)
    plugin.write_bytes(b"\x7fELF official")
    plugin.chmod(0o755)
    return plugin


def installed(layout: Layout) -> Path:
    return layout.pulumi_home / "plugins" / AWS / "pulumi-resource-aws"


def test_stand_ins_are_installed_once_and_only_into_our_own_home(layout: Layout, tmp_path: Path) -> None:
    assert provide_plugins(layout) == ("aws", "random")
    assert "tools.localcloud.plugins aws" in installed(layout).read_text()
    inode = installed(layout).stat().st_ino
    assert provide_plugins(layout) == ("aws", "random")
    assert installed(layout).stat().st_ino == inode
    assert not (tmp_path / "users home").exists()


def test_a_stand_in_of_a_moved_checkout_is_replaced(layout: Layout) -> None:
    provide_plugins(layout)
    for now, before in ((str(layout.root), "/elsewhere"), ("tools/localcloud", "localcloud")):
        installed(layout).write_text(installed(layout).read_text().replace(now, before))
        assert provide_plugins(layout) == ("aws", "random")
        assert "/elsewhere" not in installed(layout).read_text()
        assert "tools/localcloud" in installed(layout).read_text()


def test_the_users_official_plugin_is_used_and_not_changed(layout: Layout, tmp_path: Path) -> None:
    provide_plugins(layout)
    plugin = users_plugin(tmp_path)
    assert provide_plugins(layout) == ("random",)
    assert installed(layout).read_bytes() == plugin.read_bytes()
    provide_plugins(layout)
    assert plugin.read_bytes() == b"\x7fELF official"
    plugin.unlink()
    assert provide_plugins(layout) == ("random",)
