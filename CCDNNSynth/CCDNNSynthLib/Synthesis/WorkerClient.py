"""The client of `python -m ccdnn.worker`: a process kept warm between jobs, one JSON object a line there and back.

The client never waits: it writes requests, and calls back when an event comes, when the process ends, or when nothing comes for too
long. One job at a time.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import qt
from slicer.i18n import tr as _

import ccdnn
from ccdnn.worker.protocol import Cancel, Hello, Shutdown, encode

# The end of what the worker wrote to stderr, for the log when it dies.
KEPT_STDERR = 4000
LAST_EVENTS = ("result", "cancelled", "error")
# Errors after which a fresh process is the safer choice: a device that failed once, packages that may be installed meanwhile.
ENDING_ERRORS = ("device", "torch_missing", "torch_broken", "package_missing", "version")


class WorkerUnavailable(RuntimeError):
    """The worker cannot even be started; the message is a sentence for the user."""


@dataclass
class Limits:
    """Seconds of silence after which the worker is given up: until it is ready, within a job, and after a cancel."""

    start: float = 120
    silence: float = 900
    cancel: float = 15


@dataclass
class Job:
    """A request, as a function of the id it is given, and who is told of its events and of the loss of the worker."""

    request: Callable
    onEvent: Callable
    onLost: Callable
    id: int = 0
    cancelled: bool = False


def workerCommand() -> tuple:
    """(program, arguments) that run the worker in Slicer's Python, outside Slicer.

    Raises:
        WorkerUnavailable: this installation has no PythonSlicer.
    """
    program = shutil.which("PythonSlicer")
    if program is None:
        raise WorkerUnavailable(_("PythonSlicer, which belongs to Slicer, is not found; install Slicer again."))
    return program, ["-m", "ccdnn.worker"]


class WorkerClient:
    def __init__(self, command: Callable = workerCommand, limits: Limits | None = None, onLog: Callable = lambda text: None):
        """
        :param command: gives (program, arguments) when the process has to be started.
        :param limits: how long to wait for an answer.
        :param onLog: called with what the worker prints besides its events.
        """
        self.limits = limits or Limits()
        self.device = None
        self.command, self._onLog = command, onLog
        self._process, self._job, self._ready = None, None, False
        # The last process that was taken leave of: Qt may be in the middle of one of its signals, so it must not vanish yet.
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
        """Of the process; 0 where there is none."""
        return self._process.processId() if self._process is not None else 0

    def submit(self, request: Callable, onEvent: Callable, onLost: Callable) -> None:
        """Send `request(id)`, an object of `ccdnn.worker.protocol`, starting the process where there is none.

        :param onEvent: called with every event of the job, the last of which is a result, cancelled or error.
        :param onLost: called with a sentence when the worker ended, or stopped answering, before that last event.
        Raises WorkerUnavailable when the process cannot be started.
        """
        if self.busy:
            raise RuntimeError("The worker has a job already.")
        if not self.running:
            self._start()
        self._lastId += 1
        self._job = Job(request, onEvent, onLost, self._lastId)
        if self._ready:
            self._send(self._job.request(self._job.id))
        self._watch(self.limits.silence if self._ready else self.limits.start)

    def cancel(self) -> None:
        """Ask for the end of the job. Its last event still comes, or else the worker is ended and `onLost` called."""
        if self._job is None or self._job.cancelled:
            return
        self._job.cancelled = True
        if self._ready:
            self._send(Cancel(self._job.id))
            self._watch(self.limits.cancel)
        else:
            self._lose(_("The run was cancelled before it started."))

    def stop(self) -> None:
        """End the process, politely and then not. A job in progress is dropped without a word."""
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
        # `-m` looks for modules in the working directory first; this one holds the package `ccdnn`.
        process.setWorkingDirectory(str(Path(ccdnn.__file__).resolve().parents[1]))
        process.connect("readyReadStandardOutput()", self._onOutput)
        process.connect("readyReadStandardError()", self._onError)
        process.connect("errorOccurred(QProcess::ProcessError)", self._onProcessError)
        process.connect("finished(int,QProcess::ExitStatus)", self._onFinished)
        self._process = process
        process.start(program, arguments)

    def _forget(self):
        """Take leave of the process, so that nothing it does from now on is heard; returns it."""
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
            # An event may have ended the process, and with it the lines after it.
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
        """What the worker says of itself; an error there comes again with the job, which then tells the user."""
        if event["event"] == "result":
            self.device = event["device"]
            self._onLog(
                _("Worker: ccdnn {engine}, Python {python}, PyTorch {torch}, {reason}").format(
                    **{key: event[key] for key in ("engine", "python", "torch", "reason")}
                )
            )

    def _onProcessError(self, error) -> None:
        # A crash comes again as `finished`; only a process that never started does not.
        if self._process is not None and error == qt.QProcess.FailedToStart:
            self._lose(_("The worker could not be started: {reason}").format(reason=self._process.errorString()))

    def _onFinished(self, exitCode, exitStatus) -> None:
        crashed = exitStatus == qt.QProcess.CrashExit
        self._lose(
            _("The worker was ended by the system, perhaps for lack of memory; the next run starts a new one.")
            if crashed
            else _("The worker ended by itself (exit code {code}); the log says more.").format(code=exitCode)
        )

    def _onSilence(self) -> None:
        if self._job is not None and self._job.cancelled:
            self._lose(_("The worker did not stop when asked, so it was ended."))
        else:
            self._lose(_("The worker does not answer, so it was ended; the next run starts a new one."))

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
