"""The AWS emulator (ministack): one process on loopback, its state in a folder of ours, its children ended with it."""

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
# Nobody's real profile may leak in: everything here talks to loopback only.
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
    """What a process needs to talk to the emulator on `port`, and to nothing else of AWS's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | CREDENTIALS | NO_PROFILE | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}


class Emulator:
    """Runs between `with` and its end; `keep` makes its state survive there for the next one."""

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
            # It would look for containers to clean up, and open ports for services that are not ours.
            "DOCKER_HOST": "unix:///nonexistent",
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            # The functions get their roles' credentials, and nothing that template.yaml does not allow them.
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
        # It saves its state on SIGTERM; on SIGKILL everything since its last clean stop would be lost.
        end(self.process, patience=15)
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)

    def _move_state(self):
        """Queue URLs name the port, in many places of the saved state; with another port the queues would not be found."""
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
        raise Failed(f"the emulator did not come up; its log: {self.log}. `make run FRESH=1` starts with empty state.")

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 2}, read_timeout=60),
        )
