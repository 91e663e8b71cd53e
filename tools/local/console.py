"""Progress that a person can follow: one line a step, with the seconds it took, and children that never outlive us."""

import contextlib
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
    """SIGINT, SIGTERM or SIGHUP. Not an Exception, so that nothing but a `finally` gets in its way."""


class Failed(Exception):
    """Something a person must act on; its text says what to do next."""


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
    """Prints the title at once, and its elapsed time when done. On a terminal the seconds tick along, unless what is done
    prints by itself (`ticks=False`)."""
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
    """From here on the usual signals raise `Stop` in the main thread, once."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(number, _frame):
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise Stop(signal.Signals(number).name)

    for each in signals:
        signal.signal(each, stop)
    threading.Thread(target=_stop_with_make, args=(os.getppid(),), daemon=True).start()


def _stop_with_make(parent):
    """`make` passes SIGTERM on but not a SIGINT sent to it alone: it only waits for us, with the signal blocked. So look
    (Linux only), and stop as well when the parent has gone away."""
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
    """Starts a child in a process group of its own, so that it and all it starts can be ended, and nothing else."""
    return subprocess.Popen([str(part) for part in command], start_new_session=True, **options)


def end(child, patience=12.0):
    """Ends a child of `start` and its whole group: asks first, insists after `patience` seconds."""
    if child.poll() is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def run(command, log=None, hint=None, seconds=None, **options):
    """Runs a command to its end, `seconds` at most. Its output goes to the `log` file, whose tail is shown on failure, or
    straight through."""
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") if log else contextlib.nullcontext() as sink:
        child = start(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT if log else None, **options)
        try:
            code = child.wait(seconds)
        except subprocess.TimeoutExpired:
            code = f"nothing after {seconds} s"
        finally:
            # Compilers go at once; a `stack.py` has children of its own to end first.
            end(child, patience=40)
    if code:
        tail = "\n".join(["", *log.read_text(errors="replace").splitlines()[-25:], f"(all of it: {log})"]) if log else ""
        shown = " ".join([Path(str(command[0])).name, *(str(part) for part in command[1:4])])
        raise Failed(f"`{shown} …` ended with {code}.{tail}{chr(10) + hint if hint else ''}")


def main(work):
    """Runs a program's body with signals and failures turned into exit codes."""
    try:
        on_signals_stop()
        sys.exit(work() or 0)
    except Stop as stop:
        say(f"Stopped by {stop}.")
        sys.exit(130)
    except Failed as failure:
        say(f"{red('error:')} {failure}")
        sys.exit(1)
