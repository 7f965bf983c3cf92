"""A worker that says it is ready and then nothing, until it is told to end: for what the client does about that."""

import json
import os
import sys

print(json.dumps({"event": "ready", "id": None, "protocol": 1, "engine": "0", "python": "3", "pid": os.getpid()}), flush=True)
for line in sys.stdin:
    if json.loads(line)["request"] == "shutdown":
        break
