"""The Chromium that the console is tested in: the one of this machine, or one that is installed for it."""

import itertools
import os
import platform
import shutil
import subprocess

from console import LOCAL, Failed, run, step

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PYTHON = LOCAL / "tools/browser/bin/python"
# Playwright's own browser is kept here, and found here again.
OWN = {"PLAYWRIGHT_BROWSERS_PATH": str(LOCAL / "tools/browser/browsers")}
# A download that stands still is given up.
DOWNLOAD_SECONDS = 600


def find():
    """Its path, or a failure that says how to get one; $CHROMIUM names one that is elsewhere."""
    if named := os.environ.get("CHROMIUM"):
        if found := shutil.which(named):
            return found
        raise Failed(f"$CHROMIUM ({named}) is not there.")
    if found := _installed():
        return found
    raise Failed(f"there is no Chromium or Chrome to test the console in. {advice()}")


def get():
    """Its path, after it was installed where that goes without a password; None where it does not."""
    if os.environ.get("CHROMIUM") or _installed():
        return find()
    for install in (_debian, _playwright):
        install()
        if found := _installed():
            return found
    return None


def advice():
    """The one line that gets a browser on this machine."""
    if platform.system() == "Darwin":
        command = "brew install --cask chromium"
    elif _is_debian():
        command = "sudo apt-get install chromium fonts-liberation"
    elif shutil.which("snap"):
        command = "sudo snap install chromium"
    else:
        command = "set CHROMIUM to the path of a Chromium or Chrome"
    return f"To get one: {command}"


def _installed():
    on_path = filter(None, map(shutil.which, NAMES))
    return next(filter(_starts, itertools.chain(on_path, _of_playwright())), None)


def _starts(browser):
    """Whether it runs here: a library may be missing, or it may be a stub that only names another package."""
    with_no_window = [browser, "--headless", "--version"]
    try:
        return subprocess.run(with_no_window, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _of_playwright():
    """Where Playwright has its browser, or would have it."""
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
    # Ubuntu's package of this name only asks snap for the browser, which containers have not.
    if os.geteuid() == 0 and shutil.which("apt-get") and _is_debian():
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        packages = ["chromium", "fonts-liberation"]
        _try(
            "installing Debian's Chromium, to test the console in",
            [["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]],
            env,
        )


def _playwright():
    # As root it may also install the libraries that the browser wants; else it would ask for a password.
    libraries = ["--with-deps"] if os.geteuid() == 0 and shutil.which("apt-get") else []
    install = [PYTHON, "-m", "playwright", "install", *libraries, "chromium"]
    _try("fetching Playwright's Chromium, to test the console in", [install], os.environ | OWN)


def _try(title, commands, env):
    """A failure is no end: there may be another way, and without any the rest is tested."""
    try:
        with step(title):
            for command in commands:
                run(command, log=LOCAL / "logs/setup-chromium.log", seconds=DOWNLOAD_SECONDS, env=env)
    except Failed:
        return
