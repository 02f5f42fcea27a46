"""The library as another program has it: a wheel in a virtual environment of its own."""

import atexit
import functools
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


@functools.cache
def wheel() -> Path:
    """Build the wheel of this checkout, once."""
    folder = Path(tempfile.mkdtemp(prefix="library-wheel-"))
    atexit.register(shutil.rmtree, folder)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*pip, *options, str(ROOT)], check=True)
    [built] = folder.glob("*.whl")
    return built


def install_library(environment: Path) -> Path:
    """Make a virtual environment with the wheel, and with what this one has; return its interpreter."""
    venv.create(environment, with_pip=False, symlinks=True)
    [packages] = environment.glob("lib/python*/site-packages")
    (packages / "checkout.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")
    with zipfile.ZipFile(wheel()) as archive:
        archive.extractall(packages)
    return environment / "bin" / "python"
