"""`python -m examples.tenants`: serves on 127.0.0.1; TENANTS_PORT (8000), TENANTS_FOLDER, TENANTS_TOKEN."""

import os
import sys
from pathlib import Path

import uvicorn

from examples.tenants.app import make_app
from examples.tenants.tenants import Tenants


def main() -> int:
    """Serves until it is stopped; what runs then is cancelled properly and taken up at the next start."""
    missing = [name for name in ("TENANTS_FOLDER", "TENANTS_TOKEN", "AWS_REGION") if not os.environ.get(name)]
    if missing:
        sys.stderr.write(f"error: set {', '.join(missing)}\n")
        return 2
    # the engine needs no token of ours
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TENANTS_")}
    tenants = Tenants(Path(os.environ["TENANTS_FOLDER"]), environment, os.environ["AWS_REGION"])
    app = make_app(tenants, os.environ["TENANTS_TOKEN"])
    port = int(os.environ.get("TENANTS_PORT", "8000"))
    # who watches progress would keep the service from ending for as long as an update runs
    uvicorn.run(app, host="127.0.0.1", port=port, timeout_graceful_shutdown=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
