"""`sam build` with the tools of .local/tools: cargo-lambda, and zig as the linker for the other architecture."""

import os
import subprocess

from console import LOCAL, ROOT, main, run, say

TRIPLES = {"arm64": "aarch64-unknown-linux-gnu", "x86_64": "x86_64-unknown-linux-gnu"}


def body():
    architecture = os.environ.get("Architecture") or "arm64"  # noqa: SIM112 (the template's parameter)
    if subprocess.run(["rustup", "--version"], check=False, capture_output=True).returncode == 0:
        run(["rustup", "target", "add", TRIPLES[architecture]])
    env = os.environ | {"PATH": f"{LOCAL / 'tools/local/bin'}:{os.environ['PATH']}", "SAM_CLI_TELEMETRY": "0"}
    # What sam is about to do, minutes of it in silence: here the compiler is heard, and sam then finds it done.
    for binary in ("api", "delivery"):
        flags = ["--arm64"] if architecture == "arm64" else []
        run(["cargo", "lambda", "build", "--release", *flags, "--bin", binary], cwd=ROOT / "functions" / binary, env=env)
    sam = [LOCAL / "tools/sam/bin/sam", "build", "--parameter-overrides", f"ParameterKey=Architecture,ParameterValue={architecture}"]
    run(sam, cwd=ROOT, env=env)
    say(f"Built for {architecture} into .aws-sam/build. Next: sam deploy --guided --parameter-overrides Architecture={architecture}")


if __name__ == "__main__":
    main(body)
