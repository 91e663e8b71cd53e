"""The Chromium that the console is tested in: whichever this machine has."""

import os
import shutil

from console import Failed

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find():
    """Its path; $CHROMIUM names one that is elsewhere."""
    named = os.environ.get("CHROMIUM")
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        raise Failed(
            f"{f'$CHROMIUM ({named})' if named else 'Chromium or Chrome'} is not there, and the console is tested in it.\n"
            "  Debian:  apt-get install chromium\n"
            "  Ubuntu:  snap install chromium\n"
            "  macOS:   brew install --cask chromium\n"
            "or set CHROMIUM to the path of one."
        )
    return found
