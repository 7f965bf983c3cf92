"""Client of `python -m ccdnn.worker`, a process that stays alive between jobs. Both sides send one JSON object per line.

The client never blocks: it writes requests and calls back when an event arrives, the process ends or a timeout expires. It runs one
job at a time.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

import ccdnn
from ccdnn.worker.messages import Cancel, Hello, Shutdown, encode

# Bytes of the worker's latest stderr output that are kept, for the log if it fails.
KEPT_STDERR = 4000
LAST_EVENTS = ("result", "cancelled", "error")
# Errors after which a new process is safer: the device failed, or packages may be installed before the next run.
ENDING_ERRORS = ("device", "package_missing", "version")


class WorkerUnavailable(RuntimeError):
    """The worker cannot be started; the message is meant for the user."""


@dataclass
class Limits:
    """Timeouts in seconds: until the worker is ready, between events of a job, and after a cancel."""

    start: float = 120
    silence: float = 900
    cancel: float = 15


@dataclass
class Job:
    """A request, as a function of its id, and the callbacks for its events and for the loss of the worker."""

    request: Callable
    onEvent: Callable
    onLost: Callable
    id: int = 0
    cancelled: bool = False


def workerCommand() -> tuple:
    """(program, arguments) that run the worker with Slicer's Python, outside the Slicer process.

    Raises:
        WorkerUnavailable: PythonSlicer was not found.
    """
    program = shutil.which("PythonSlicer")
    if program is None:
        raise WorkerUnavailable(_("PythonSlicer, a part of Slicer, was not found; reinstall Slicer."))
    return program, ["-m", "ccdnn.worker"]


class WorkerClient:
    def __init__(self, command: Callable = workerCommand, limits: Limits | None = None, onLog: Callable = lambda text: None):
        """
        :param command: returns (program, arguments) when the process has to be started.
        :param limits: how long to wait for an answer.
        :param onLog: called with worker output that is not an event.
        """
        self.limits = limits or Limits()
        self.device = None
        self.command, self._onLog = command, onLog
        self._process: Any = None  # a QProcess
        self._job: Job | None = None
        self._ready = False
        # The previous process, kept alive because Qt may still be handling one of its signals.
        self._retired = None
        self._received, self._stderr, self._lastId = b"", b"", 0
        self._watchdog = qt.QTimer()
        self._watchdog.timeout.connect(self._onSilence)

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    @property
    def busy(self) -> bool:
        """Whether a job is waiting for its last event."""
        return self._job is not None

    @property
    def pid(self) -> int:
        """Process ID; 0 if there is no process."""
        return self._process.processId() if self._process is not None else 0

    def submit(self, request: Callable, onEvent: Callable, onLost: Callable) -> None:
        """Send `request(id)`, an object of `ccdnn.worker.messages`, starting the process if there is none.

        :param onEvent: called with every event of the job, the last of which is a result, cancelled or error.
        :param onLost: called with a message if the worker ends or stops responding before that last event.
        Raises WorkerUnavailable if the process cannot be started.
        """
        if self.busy:
            raise RuntimeError("The worker already has a job.")
        if not self.running:
            self._start()
        self._lastId += 1
        self._job = Job(request, onEvent, onLost, self._lastId)
        if self._ready:
            self._send(self._job.request(self._job.id))
        self._watch(self.limits.silence if self._ready else self.limits.start)

    def cancel(self) -> None:
        """Ask the worker to stop the job. Either its last event still arrives, or the worker is ended and `onLost` is called."""
        if self._job is None or self._job.cancelled:
            return
        self._job.cancelled = True
        if self._ready:
            self._send(Cancel(self._job.id))
            self._watch(self.limits.cancel)
        else:
            self._lose(_("The run was cancelled before it started."))

    def stop(self) -> None:
        """Ask the process to shut down, and kill it if it does not. A job in progress is dropped without a callback."""
        self._job = None
        process = self._forget()
        if process is None:
            return
        process.write(encode(Shutdown().to_json()))
        process.closeWriteChannel()
        if not process.waitForFinished(1000):
            process.kill()
            process.waitForFinished(1000)

    def _start(self) -> None:
        program, arguments = self.command()
        self._received, self._stderr, self._ready = b"", b"", False
        process = qt.QProcess()
        # `-m` looks for modules in the working directory first; this one contains the package `ccdnn`.
        process.setWorkingDirectory(str(Path(ccdnn.__file__).resolve().parents[1]))
        process.connect("readyReadStandardOutput()", self._onOutput)
        process.connect("readyReadStandardError()", self._onError)
        process.connect("errorOccurred(QProcess::ProcessError)", self._onProcessError)
        process.connect("finished(int,QProcess::ExitStatus)", self._onFinished)
        self._process = process
        process.start(program, arguments)

    def _forget(self):
        """Disconnect from the process, so that its later signals are ignored; returns it."""
        process, self._process, self._ready = self._process, None, False
        self._watchdog.stop()
        if process is not None:
            self._retired = process
            process.disconnect("readyReadStandardOutput()", self._onOutput)
            process.disconnect("readyReadStandardError()", self._onError)
            process.disconnect("errorOccurred(QProcess::ProcessError)", self._onProcessError)
            process.disconnect("finished(int,QProcess::ExitStatus)", self._onFinished)
        return process

    def _send(self, request) -> None:
        self._process.write(encode(request.to_json()))

    def _watch(self, seconds: float) -> None:
        self._watchdog.start(int(seconds * 1000))

    def _onOutput(self) -> None:
        self._received += self._process.readAllStandardOutput().data()
        *lines, self._received = self._received.split(b"\n")
        process = self._process
        for line in lines:
            # Handling an event may have ended the process; the remaining lines are then ignored.
            if self._process is not process:
                return
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            if isinstance(event, dict) and "event" in event:
                self._onEvent(event)
            elif line.strip():
                self._onLog(line.decode("utf-8", "replace"))

    def _onError(self) -> None:
        text = self._process.readAllStandardError().data()
        self._stderr = (self._stderr + text)[-KEPT_STDERR:]

    def _onEvent(self, event: dict) -> None:
        job = self._job
        if event["event"] == "ready":
            self._ready = True
            if job is not None:
                self._send(Hello(0))
                self._send(job.request(job.id))
                self._watch(self.limits.silence)
            return
        if event.get("id") == 0:
            self._onHello(event)
            return
        if job is None or event.get("id") != job.id:
            return
        if event["event"] in LAST_EVENTS:
            self._job = None
            self._watchdog.stop()
            if event["event"] == "error" and event.get("kind") in ENDING_ERRORS:
                self.stop()
        elif not job.cancelled:
            self._watch(self.limits.silence)
        job.onEvent(event)

    def _onHello(self, event: dict) -> None:
        """Log the worker's versions. An error is ignored here: it occurs again with the job, which reports it."""
        if event["event"] == "result":
            self.device = event["device"]
            self._onLog(
                _("Worker: ccdnn {engine}, Python {python}, {library}, {reason}").format(
                    **{key: event[key] for key in ("engine", "python", "library", "reason")}
                )
            )

    def _onProcessError(self, error) -> None:
        # A crash is also reported by `finished`; only a failure to start is not.
        if self._process is not None and error == qt.QProcess.FailedToStart:
            self._lose(_("The worker could not be started: {reason}").format(reason=self._process.errorString()))

    def _onFinished(self, exitCode, exitStatus) -> None:
        crashed = exitStatus == qt.QProcess.CrashExit
        self._lose(
            _("The system ended the worker, possibly because it ran out of memory; the next run starts a new one.")
            if crashed
            else _("The worker ended unexpectedly (exit code {code}); see the log.").format(code=exitCode)
        )

    def _onSilence(self) -> None:
        if self._job is not None and self._job.cancelled:
            self._lose(_("The worker did not stop when asked, so it was ended."))
        else:
            self._lose(_("The worker did not respond, so it was ended; the next run starts a new one."))

    def _lose(self, sentence: str) -> None:
        job, self._job = self._job, None
        process = self._forget()
        if process is not None and process.state() != qt.QProcess.NotRunning:
            process.kill()
            process.waitForFinished(1000)
        if self._stderr.strip():
            self._onLog(self._stderr.decode("utf-8", "replace").strip())
        if job is not None:
            job.onLost(sentence)
