"""The AWS emulator (ministack): one process on loopback. Its state is in a folder here, and its children end with it."""

import os
import shutil
import socket
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config

from console import LOCAL, Failed, end, start

REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION}
# No real AWS profile may be used: everything here talks to loopback only.
NO_PROFILE = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def require_free(port, variable):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            advice = f"Is another `make run` up? Choose another port: {variable}={port + 1}"
            raise Failed(f"port {port} cannot be used ({error.strerror}). {advice}") from error


def environment(port):
    """The environment of a process that talks to the emulator on `port`, and never to AWS."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | CREDENTIALS | NO_PROFILE | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}


class Emulator:
    """Runs inside a `with` block. `keep` keeps the state for the next run."""

    def __init__(self, port, folder, keep=True):
        self.port, self.folder, self.keep = port, folder, keep
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "emulator.log"

    def __enter__(self):
        self._move_state()
        scratch = self.folder / "tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        settings = {
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "PERSIST_STATE": "1" if self.keep else "0",
            "STATE_DIR": str(self.folder / "aws"),
            "TMPDIR": str(scratch),
            # Keeps the emulator from looking for containers and from opening ports for services that this project does not use.
            "DOCKER_HOST": "unix:///nonexistent",
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            # The functions get the credentials of their roles, and may do only what template.yaml allows.
            "AUTH": "true",
            "PYTHONUNBUFFERED": "1",
        }
        self.process = start(
            [LOCAL / "tools/local/bin/ministack"],
            env=environment(self.port) | settings,
            stdout=self.log.open("w"),
            stderr=-2,
            cwd=self.folder,
        )
        try:
            self._wait_until_up()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        # The emulator saves its state on SIGTERM. A SIGKILL would lose all changes since its last clean stop.
        end(self.process, patience=15)
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)

    def _move_state(self):
        """Puts the new port into the saved state. Queue URLs contain the port, and with the old port no queue would be found."""
        record = self.folder / "port"
        if record.exists() and record.read_text() != str(self.port):
            for file in (self.folder / "aws").glob("*.json"):
                file.write_text(file.read_text().replace(f"http://localhost:{record.read_text()}/", f"http://localhost:{self.port}/"))
        self.folder.mkdir(parents=True, exist_ok=True)
        record.write_text(str(self.port))

    def _wait_until_up(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=2).close()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise Failed(f"the emulator did not start. Its log: {self.log}. `make run FRESH=1` starts with an empty state.")

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 2}, read_timeout=60),
        )
