"""The lock that lets one request at a time into moto, which is not safe for threads."""

import threading

# No cost, given Python's own lock. A Lambda function calls back while it runs: never hold it meanwhile.
ONE_AT_A_TIME = threading.RLock()
