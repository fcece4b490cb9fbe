"""CalculiX as a child process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import Callable

from horn import Fault

KILL_AFTER_S = 2


class Stopped(Exception):
    """SIGTERM or SIGINT arrived: the run must end."""

    def __init__(self, signal_number: int):
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


class Stop:
    """
    Turns SIGTERM and SIGINT into a flag that the run checks. A running child is terminated at once, and killed if it
    does not end. It shares the process group of this program, so a signal to the group reaches it too.
    """

    def __init__(self) -> None:
        self._asked = 0
        self._child: subprocess.Popen | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)
        signal.signal(signal.SIGALRM, lambda *_: self._child and self._child.kill())

    def check(self) -> None:
        """Raises `Stopped` after one of the signals."""
        if self._asked:
            raise Stopped(self._asked)

    def watch(self, child: subprocess.Popen) -> None:
        """Registers the child that must end with this program."""
        self._child = child
        if self._asked:  # the signal arrived between the start of the child and now
            self._end_child(child)

    def _ask(self, number: int, _frame: object) -> None:
        self._asked = number
        if self._child:
            self._end_child(self._child)

    @staticmethod
    def _end_child(child: subprocess.Popen) -> None:
        child.terminate()
        signal.alarm(KILL_AFTER_S)


def run_calculix(folder: str, job: str, on_line: Callable[[str], None], stop: Stop) -> None:
    """
    Runs ccx on `<job>.inp` in the folder and calls `on_line` for each line as it is printed. Raises `Fault` if ccx is
    missing or fails. It gets a pseudo-terminal, since it would buffer all output to a pipe until it ends.
    """
    ccx = shutil.which("ccx")
    if ccx is None:
        raise Fault("CalculiX is not installed: there is no ccx on the PATH; on Debian and Ubuntu: apt-get install calculix-ccx")
    terminal, child_side = os.openpty()
    try:
        child = _start([ccx, job], folder, child_side)
    except OSError as error:
        os.close(terminal)
        raise Fault(f"CalculiX does not start: {error}") from None
    finally:
        os.close(child_side)
    errors: list[str] = []
    in_error = False
    try:
        stop.watch(child)
        for line in _lines(terminal):
            # A message of CalculiX continues in lines with a larger indent.
            in_error = "*ERROR" in line or (in_error and line.startswith("      "))
            if in_error:
                errors.append(line.strip())
            on_line(line)
    except BaseException:
        child.kill()
        raise
    finally:
        status = child.wait()
        os.close(terminal)
        signal.alarm(0)
    stop.check()
    if status != 0 or errors:
        ended = f"exit code {status}" if status >= 0 else signal.Signals(-status).name
        raise Fault(f"CalculiX failed ({ended}): {' '.join(errors) or 'no message'}")


def _start(command: list[str], folder: str, terminal: int) -> subprocess.Popen:
    return subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal)


def _lines(terminal: int):
    """Lines without line ends, until the child has closed its side."""
    rest = b""
    while True:
        try:
            read = os.read(terminal, 65536)
        except OSError:  # EIO on Linux: the other side is closed
            read = b""
        *lines, rest = (rest + read).split(b"\n")
        yield from (line.decode(errors="replace").rstrip() for line in lines)
        if not read:
            if rest:
                yield rest.decode(errors="replace").rstrip()
            return
