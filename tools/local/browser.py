"""The Chromium for the tests of the console: a browser that this machine has, or one that this module installs."""

import itertools
import os
import platform
import shutil
import subprocess

from console import LOCAL, Failed, run, step

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PYTHON = LOCAL / "tools/browser/bin/python"
# Playwright keeps its own browser in this folder.
OWN = {"PLAYWRIGHT_BROWSERS_PATH": str(LOCAL / "tools/browser/browsers")}
# The limit for an installation. A download may stall.
DOWNLOAD_SECONDS = 600


def find():
    """The path of a browser, or a failure that says how to install one. $CHROMIUM, if set, is the path."""
    if named := os.environ.get("CHROMIUM"):
        if found := shutil.which(named):
            return found
        raise Failed(f"$CHROMIUM names {named}, which does not exist.")
    if found := _installed():
        return found
    raise Failed(f"the tests of the console need Chromium or Chrome. {advice()}")


def get():
    """The path of a browser. Installs one if that needs no password. None if there is still no browser."""
    if os.environ.get("CHROMIUM") or _installed():
        return find()
    for install in (_debian, _playwright):
        install()
        if found := _installed():
            return found
    return None


def advice():
    """A line that says how to install a browser on this machine."""
    if platform.system() == "Darwin":
        command = "brew install --cask chromium"
    elif _is_debian():
        command = "sudo apt-get install chromium fonts-liberation"
    elif shutil.which("snap"):
        command = "sudo snap install chromium"
    else:
        return "Install Chromium or Chrome, and set CHROMIUM to its path."
    return f"To install a browser: {command}"


def _installed():
    on_path = filter(None, map(shutil.which, NAMES))
    return next(filter(_starts, itertools.chain(on_path, _of_playwright())), None)


def _starts(browser):
    """Whether the browser starts. A library may be missing, and on Ubuntu the program may be a stub that asks for snap."""
    with_no_window = [browser, "--headless", "--version"]
    try:
        return subprocess.run(with_no_window, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _of_playwright():
    """The path of Playwright's browser, if Playwright has installed it."""
    asked = "from playwright.sync_api import sync_playwright as begin\nwith begin() as it: print(it.chromium.executable_path)"
    if PYTHON.exists():
        answer = subprocess.run([PYTHON, "-c", asked], check=False, capture_output=True, text=True, env=os.environ | OWN)
        yield from filter(os.path.exists, answer.stdout.splitlines())


def _is_debian():
    try:
        return platform.freedesktop_os_release()["ID"] == "debian"
    except (OSError, KeyError):
        return False


def _debian():
    # Not on Ubuntu: its package of this name needs snap, and containers have no snap.
    if os.geteuid() == 0 and shutil.which("apt-get") and _is_debian():
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        packages = ["chromium", "fonts-liberation"]
        _try(
            "installing Debian's Chromium for the tests of the console",
            [["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]],
            env,
        )


def _playwright():
    # Only root can install the browser's libraries without a password.
    libraries = ["--with-deps"] if os.geteuid() == 0 and shutil.which("apt-get") else []
    install = [PYTHON, "-m", "playwright", "install", *libraries, "chromium"]
    _try("downloading Playwright's Chromium for the tests of the console", [install], os.environ | OWN)


def _try(title, commands, env):
    """Runs an installation. After a failure the caller tries another way, or leaves out the tests of the console."""
    try:
        with step(title):
            for command in commands:
                run(command, log=LOCAL / "logs/setup-chromium.log", seconds=DOWNLOAD_SECONDS, env=env)
    except Failed:
        return
