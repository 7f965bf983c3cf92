"""The worker's side of `ccdnn.worker.messages` without torch: the "synthetic" slice is half the mean of the inputs' slices, and its
uncertainty a tenth of that.

It is used to test the panel and its client without torch. The first argument is the time per slice in seconds.
"""

import json
import os
import sys
import threading
import time

import numpy as np

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
cancelled = set()
requests, arrived = [], threading.Condition()


def read():
    for line in sys.stdin:
        request = json.loads(line)
        with arrived:
            if request["request"] == "cancel":
                cancelled.add(request["id"])
            else:
                requests.append(request)
            arrived.notify()
    os._exit(0)


def say(event, request_id=None, **fields):
    print(json.dumps({"event": event, "id": request_id, **fields}), flush=True)


def synthesize(request):
    arrays = {role: np.fromfile(entry["path"], entry["dtype"]).reshape(entry["shape"]) for role, entry in request["inputs"].items()}
    shape = request["inputs"][request["reference"]]["shape"]
    output = np.memmap(request["output"], "float32", "w+", shape=tuple(shape))
    first, stop = request["slices"] or (0, shape[0])
    say("progress", request["id"], done=0, total=stop - first)
    for index in range(first, stop):
        time.sleep(SECONDS)
        if request["id"] in cancelled:
            return say(
                "cancelled", request["id"], text=f"The synthesis was cancelled after {index - first} of {stop - first} slices."
            )
        output[index] = sum(array[index].astype(np.float32) for array in arrays.values()) / (2 * len(arrays))
        output.flush()
        say("slice", request["id"], index=index)
        say("progress", request["id"], done=index - first + 1, total=stop - first)
    header = {"CCDNN_Notice": "SYNTHETIC image, made by a test.", "CCDNN_Image": "synthetic STIR", "CCDNN_Model": "simple 1"}
    uncertainty = None
    if request["uncertainty"]:
        np.memmap(request["uncertainty"], "float32", "w+", shape=tuple(shape))[:] = output * np.float32(0.1)
        more = {
            "CCDNN_Image": "uncertainty of the synthetic STIR",
            "CCDNN_Interval": "With 95% probability the acquired STIR lies within ± this value.",
            "CCDNN_Region_Error": json.dumps({"voxel": 0.25, "floor": 0.0625, "volume_mm3": 40.0}),
        }
        uncertainty = {"output": request["uncertainty"], "header": {**header, **more}}
    say(
        "result", request["id"], header=header, reasons=[], notes=[], warnings=[], output=request["output"], uncertainty=uncertainty
    )


threading.Thread(target=read, daemon=True).start()
say("ready", protocol=1, engine="test", python=sys.version.split()[0], pid=os.getpid())
while True:
    with arrived:
        arrived.wait_for(lambda: requests)
        request = requests.pop(0)
    if request["request"] == "shutdown":
        break
    if request["request"] == "hello":
        say("result", request["id"], device="cpu", engine="test", python="3", library="none", reason="a test")
    else:
        synthesize(request)
