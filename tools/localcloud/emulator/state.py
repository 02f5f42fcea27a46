"""The emulator's data on disk: it survives a restart, and a kill loses at most half a second."""

import fcntl
import io
import os
import pickle
import sys
import threading
import uuid
import weakref
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from moto import backends
from moto.core.base_backend import BaseBackend

from tools.localcloud.emulator import secrets_service
from tools.localcloud.emulator.caches import model
from tools.localcloud.files import replace_file

# Services of moto whose objects are kept. A service that was never called holds nothing and costs nothing.
SERVICES = (
    "kms",
    "iam",
    "sts",
    "awslambda",
    "logs",
    "events",
    "sns",
    "sqs",
    "cloudwatch",
    "ec2",
    "ecs",
    "rds",
    "eks",
    "elasticache",
    "memorydb",
)
_SAVE_SECONDS = 0.3
_LOCKS = (type(threading.Lock()), type(threading.RLock()))


@dataclass(frozen=True)
class Restored:
    """`instance` names this data: it is new whenever the emulator begins with none."""

    instance: str
    restored: bool


def _private_key(saved: bytes) -> object:
    return load_der_private_key(saved, None)


class _Pickler(pickle.Pickler):
    """A pickler that omits locks, which only their process can use, and names moto's services."""

    def persistent_id(self, item: object) -> Any:  # noqa: ANN401  pickle's own form
        if isinstance(item, _LOCKS):
            return "RLock" if isinstance(item, _LOCKS[1]) else "Lock"
        if isinstance(item, BaseBackend):
            module = next(
                kind.__module__ for kind in type(item).__mro__ if kind.__module__.startswith("moto.")
            )
            return module.split(".")[1], item.account_id, item.region_name
        return None

    def reducer_override(self, item: object) -> Any:  # noqa: ANN401  pickle's own form
        if isinstance(item, (RSAPrivateKey, EllipticCurvePrivateKey)):  # every key of KMS has one
            saved = item.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            return _private_key, (saved,)
        if isinstance(item, weakref.WeakValueDictionary):  # Lambda's; whoever else has them keeps them
            return weakref.WeakValueDictionary, (dict(item),)
        if isinstance(item, defaultdict) and getattr(item.default_factory, "__name__", "") == "<lambda>":
            return defaultdict, (type(item.default_factory()), dict(item))  # type: ignore[misc]  # it has a name
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, kind: Any) -> object:  # noqa: ANN401  pickle's own form
        if isinstance(kind, tuple):
            service, account, region = kind
            return backends.get_backend(service)[account][region]
        return threading.RLock() if kind == "RLock" else threading.Lock()


def _contents() -> dict[str, Any]:
    """Service to account to region to the attributes of moto's object for it."""
    return {
        service: {
            account: {region: vars(backend) for region, backend in regions.items()}
            for account, regions in backends.get_backend(service).items()  # type: ignore[call-overload]  # moto wants a literal
        }
        for service in SERVICES
        if f"moto.{service}.models" in sys.modules
    }


def _adopt(contents: Mapping[str, Any]) -> None:
    for service, accounts in contents.items():
        backend_dict = backends.get_backend(service)  # type: ignore[call-overload]  # moto wants a literal
        for account, regions in accounts.items():
            for region, attributes in regions.items():
                vars(backend_dict[account][region]).update(attributes)


def load(path: Path) -> Restored:
    """Load the saved data; a file that cannot be read is moved aside, with a message."""
    if not path.exists():
        return Restored(str(uuid.uuid4()), restored=False)
    try:
        with path.open("rb") as file:
            saved = _Unpickler(file).load()
        instance, contents, stores = saved["instance"], saved["moto"], saved["secrets"]
        _adopt(contents)
        secrets_service.STORES.update(stores)
        model.STORES.update(saved.get("caches", {}))
        return Restored(instance, restored=True)
    except Exception as error:  # noqa: BLE001  whatever a damaged pickle does
        aside = path.with_name(f"{path.name}.unreadable")
        path.rename(aside)
        print(
            f"The data of the local cloud cannot be read ({type(error).__name__}); it was moved to "
            f"{aside.name}. The local cloud starts empty.",
            file=sys.stderr,
            flush=True,
        )
        return Restored(str(uuid.uuid4()), restored=False)


def claim(path: Path) -> None:
    """Lock the data for this process until it ends.

    Raises:
        SystemExit: Another emulator has locked it, or the folder is not writable.
    """
    try:
        descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"The data in {path} is locked by another local cloud. Stop that one first.")
    except OSError as error:
        sys.exit(f"The local cloud cannot keep its data in {path.parent} ({error.strerror}).")


def save(path: Path, instance: str, quiet: AbstractContextManager[Any]) -> None:
    """Write everything; `quiet` blocks requests while the data is serialized."""
    buffer = io.BytesIO()
    with quiet:
        _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(
            {
                "instance": instance,
                "moto": _contents(),
                "secrets": secrets_service.STORES,
                "caches": model.STORES,
            }
        )

    def write(temporary: Path) -> None:
        temporary.touch(0o600)
        with temporary.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())

    replace_file(path, write)


class Saver:
    """Saves the data soon after a change, in its own thread, and at the end."""

    def __init__(self, path: Path, instance: str, quiet: AbstractContextManager[Any]) -> None:
        self._path, self._instance, self._quiet = path, instance, quiet
        self._changed, self._end = threading.Event(), threading.Event()
        self._failed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def changed(self) -> None:
        """Note that a request may have changed something."""
        self._changed.set()

    def finish(self) -> None:
        """Save unsaved data, and block requests from then on: no answer may outlive its effect."""
        self._end.set()
        self._changed.set()
        self._thread.join()
        ExitStack().enter_context(self._quiet)
        self._save()

    def _run(self) -> None:
        self._save()
        while not self._end.is_set():
            self._changed.wait()
            if self._end.wait(_SAVE_SECONDS):
                return
            self._changed.clear()
            self._save()

    def _save(self) -> None:
        """Save; if that fails, report it once and try again."""
        try:
            save(self._path, self._instance, self._quiet)
        except Exception as error:  # noqa: BLE001  whatever it is, the next save may succeed
            reason = error.strerror if isinstance(error, OSError) else type(error).__name__
            if not self._failed:
                print(
                    f"The local cloud cannot save its data to {self._path} ({reason}). It tries again while "
                    "it runs; what has changed since is lost if it is stopped before that succeeds.",
                    file=sys.stderr,
                    flush=True,
                )
            self._failed = True
            self._changed.set()
        else:
            self._failed = False
