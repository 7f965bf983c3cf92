"""A worker that reports that it is ready and then stays silent until it is ended, to test the client's timeouts."""

import json
import os
import sys

print(json.dumps({"event": "ready", "id": None, "protocol": 1, "engine": "0", "python": "3", "pid": os.getpid()}), flush=True)
for line in sys.stdin:
    if json.loads(line)["request"] == "shutdown":
        break
