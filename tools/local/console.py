"""Progress for people, a line for each step with its seconds, and child processes that end with this one."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / ".local"
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


class Stop(BaseException):
    """SIGINT, SIGTERM or SIGHUP. It is not an Exception, so no `except Exception` catches it."""


class Failed(Exception):
    """A failure that a person must mend. The text says how."""


def paint(text, code):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def bold(text):
    return paint(text, 1)


def dim(text):
    return paint(text, 2)


def green(text):
    return paint(text, 32)


def red(text):
    return paint(text, 31)


def say(text=""):
    print(text, flush=True)


@contextlib.contextmanager
def step(title, ticks=COLOUR):
    """Prints the title at the start, and the title with the elapsed time at the end. On a terminal the seconds count up. A step that
    prints its own output sets `ticks=False`."""
    started, done = time.monotonic(), threading.Event()

    def tick():
        while not done.wait(1):
            print(f"\r… {title} {time.monotonic() - started:.0f} s", end="", flush=True)

    print(f"… {title}", end="" if ticks else "\n", flush=True)
    ticker = threading.Thread(target=tick, daemon=True)
    if ticks:
        ticker.start()
    mark = red("✗")
    try:
        yield
        mark = green("✓")
    finally:
        done.set()
        if ticks:
            ticker.join()
            print("\r\033[K", end="")
        say(f"{mark} {title} {dim(f'{time.monotonic() - started:.1f} s')}")


def on_signals_stop():
    """Makes the first SIGINT, SIGTERM or SIGHUP raise `Stop` in the main thread, and ignores later ones."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(number, _frame):
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise Stop(signal.Signals(number).name)

    for each in signals:
        signal.signal(each, stop)
    threading.Thread(target=_stop_with_make, args=(os.getppid(),), daemon=True).start()


def _stop_with_make(parent):
    """Stops this process when `make` gets a SIGINT or ends. `make` passes on a SIGTERM, but after a SIGINT it blocks the signal and
    waits for its child. /proc shows that the signal is blocked, so this works on Linux only."""
    while True:
        time.sleep(0.5)
        gone = os.getppid() != parent
        with contextlib.suppress(OSError, StopIteration):
            status = Path(f"/proc/{parent}/status").read_text().splitlines()
            name, blocked = (next(line.split()[1] for line in status if line.startswith(key)) for key in ("Name:", "SigBlk:"))
            gone = gone or (name in ("make", "gmake") and bool(int(blocked, 16) & (1 << signal.SIGINT - 1)))
        if gone:
            os.kill(os.getpid(), signal.SIGINT)
            return


def start(command, **options):
    """Starts a child in its own process group, so that `end` can end the child and its own children, and nothing else."""
    return subprocess.Popen([str(part) for part in command], start_new_session=True, **options)


def end(child, patience=12.0):
    """Ends a child of `start` and its whole group with SIGTERM, and after `patience` seconds with SIGKILL."""
    if child.poll() is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def run(command, log=None, hint=None, seconds=None, **options):
    """Runs a command for at most `seconds`. The output goes to the terminal, or to the file `log`. A failure shows the end of `log`."""
    with _opened(log) if log else contextlib.nullcontext() as sink:
        child = start(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT if log else None, **options)
        try:
            code = child.wait(seconds)
        except subprocess.TimeoutExpired:
            code = f"no result after {seconds} s"
        finally:
            # A compiler ends at once. `stack.py` needs time to end its own children.
            end(child, patience=40)
    if code:
        raise _failure(command, code, log, hint)


@dataclasses.dataclass
class Job:
    """A command for `run_together`, with the options of `start`. Its output goes to the file `log`."""

    command: list
    log: Path
    hint: str | None = None
    options: dict = dataclasses.field(default_factory=dict)


def run_together(jobs):
    """Runs commands at the same time. A failure or a signal ends all of them."""
    children = []
    try:
        for job in jobs:
            with _opened(job.log) as sink:
                output = {"stdin": subprocess.DEVNULL, "stdout": sink, "stderr": subprocess.STDOUT}
                children.append(start(job.command, **output, **job.options))
        for job, child in zip(jobs, children, strict=True):
            if code := child.wait():
                raise _failure(job.command, code, job.log, job.hint)
    finally:
        for child in children:
            end(child)


def _opened(log):
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("w")


def _failure(command, code, log, hint):
    tail = "\n".join(["", *log.read_text(errors="replace").splitlines()[-25:], f"(the whole log: {log})"]) if log else ""
    shown = " ".join([Path(str(command[0])).name, *(str(part) for part in command[1:4])])
    return Failed(f"`{shown} …` ended with {code}.{tail}{chr(10) + hint if hint else ''}")


def main(work):
    """Runs the body of a program, and turns signals and failures into exit codes."""
    try:
        on_signals_stop()
        sys.exit(work() or 0)
    except Stop as stop:
        say(f"Stopped by {stop}.")
        sys.exit(130)
    except Failed as failure:
        say(f"{red('error:')} {failure}")
        sys.exit(1)
