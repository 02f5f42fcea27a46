"""`python -m examples.tenants`: the service on 127.0.0.1.

Variables: TENANTS_FOLDER, TENANTS_TOKEN, AWS_REGION, and TENANTS_PORT (default: 8000).
"""

import os
import sys
from pathlib import Path

import uvicorn

from examples.tenants.app import make_app
from examples.tenants.tenants import Tenants


def main() -> int:
    """Serve until stopped. Running updates are then cancelled, and resumed at the next start.

    Returns:
        The exit code.
    """
    missing = [name for name in ("TENANTS_FOLDER", "TENANTS_TOKEN", "AWS_REGION") if not os.environ.get(name)]
    if missing:
        sys.stderr.write(f"error: set {', '.join(missing)}\n")
        return 2
    # do not pass the service's token to the engine
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TENANTS_")}
    tenants = Tenants(Path(os.environ["TENANTS_FOLDER"]), environment, os.environ["AWS_REGION"])
    app = make_app(tenants, os.environ["TENANTS_TOKEN"])
    port = int(os.environ.get("TENANTS_PORT", "8000"))
    # otherwise an open progress stream would keep the service running until the update ends
    uvicorn.run(app, host="127.0.0.1", port=port, timeout_graceful_shutdown=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
