"""`sam build` with the tools in .local/tools: cargo-lambda compiles, and zig links for the other architecture."""

import os
import subprocess

from console import LOCAL, ROOT, main, run, say

TRIPLES = {"arm64": "aarch64-unknown-linux-gnu", "x86_64": "x86_64-unknown-linux-gnu"}


def body():
    architecture = os.environ.get("Architecture") or "arm64"  # noqa: SIM112 (the template's parameter)
    if subprocess.run(["rustup", "--version"], check=False, capture_output=True).returncode == 0:
        run(["rustup", "target", "add", TRIPLES[architecture]])
    env = os.environ | {"PATH": f"{LOCAL / 'tools/local/bin'}:{os.environ['PATH']}", "SAM_CLI_TELEMETRY": "0"}
    # sam would compile for minutes without any output. Compiling first shows the compiler's output, and sam reuses the result.
    for binary in ("api", "delivery"):
        flags = ["--arm64"] if architecture == "arm64" else []
        run(["cargo", "lambda", "build", "--release", *flags, "--bin", binary], cwd=ROOT / "functions" / binary, env=env)
    sam = [LOCAL / "tools/sam/bin/sam", "build", "--parameter-overrides", f"ParameterKey=Architecture,ParameterValue={architecture}"]
    run(sam, cwd=ROOT, env=env)
    say(f"Built for {architecture} into .aws-sam/build. Next: sam deploy --guided --parameter-overrides Architecture={architecture}")


if __name__ == "__main__":
    main(body)
