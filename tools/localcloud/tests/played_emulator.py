"""Play the emulator's part of the contract with set-up: port line, health, lasting data."""

import argparse
import json
import os
import sys
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    if os.environ.get("PLAYED_EMULATOR") == "fail":
        sys.exit("the data file is damaged")
    restored = options.data.exists()
    if not restored:
        options.data.write_text(str(uuid.uuid4()))
    health = {"status": "ok", "instance": options.data.read_text(), "restored": restored}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(health).encode())

    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
