"""Makes typed clients of the API from functions/api/openapi.json, into target/clients (`make clients`).

clients.py               all of them
clients.py python rust   some of them
"""

import copy
import json
import os
import shutil
import sys

import setup
from console import LOCAL, ROOT, Failed, Job, main, run_together, say, step

DESCRIPTION = ROOT / "functions/api/openapi.json"
CONFIG = ROOT / "tools/clients"
MADE = ROOT / "target/clients"
PYTHON_TOOLS = LOCAL / "tools/clients/bin"
NPM_TOOLS = LOCAL / "tools/clients-npm/node_modules"
# In a change of an endpoint, null takes a value away. Everywhere else it is the same as no field.
NULL_TAKES_AWAY = {"EndpointChange"}


def log(name):
    return LOCAL / f"logs/clients-{name}.log"


def typescript():
    (MADE / "typescript").mkdir(parents=True)
    # A field with a default may be left out of a request, and `data` may have any fields.
    options = ["--default-non-nullable=false", "--empty-objects-unknown", "--root-types", "--root-types-no-schema-prefix"]
    command = [NPM_TOOLS / ".bin/openapi-typescript", DESCRIPTION, "-o", MADE / "typescript/echo-webhooks.d.ts", *options]
    return Job(command, log("typescript"), options={"cwd": MADE})


def python():
    # The generator runs ruff, which it finds by the path.
    env = os.environ | {"PATH": f"{PYTHON_TOOLS}:{os.environ['PATH']}"}
    options = ["--config", CONFIG / "python.yml", "--meta", "uv", "--fail-on-warning"]
    command = [PYTHON_TOOLS / "openapi-python-client", "generate", "--path", DESCRIPTION, "--output-path", MADE / "python", *options]
    return Job(command, log("python"), options={"cwd": MADE, "env": env})


def rust():
    description = LOCAL / "clients/rust.json"
    description.parent.mkdir(parents=True, exist_ok=True)
    description.write_text(json.dumps(for_rust(json.loads(DESCRIPTION.read_text()))))
    command = [PYTHON_TOOLS / "openapi-generator-cli", "generate", "-i", description, "-c", CONFIG / "rust.yml", "-o", MADE / "rust"]
    return Job(command, log("rust"), options={"cwd": MADE})


# What each returns is the command that makes the client.
LANGUAGES = {"typescript": typescript, "python": python, "rust": rust}


def for_rust(description):
    """The description without the requests to receivers, which are no calls, and without null in fields that may be left out, which
    would be `Option<Option<…>>`."""
    description = copy.deepcopy(description)
    description.pop("webhooks", None)
    for name, schema in description["components"]["schemas"].items():
        properties, required = schema.get("properties", {}), schema.get("required", [])
        if name not in NULL_TAKES_AWAY:
            properties |= {field: without_null(value) for field, value in properties.items() if field not in required}
    return description


def without_null(schema):
    kept = dict(schema)
    if isinstance(schema.get("type"), list):
        [kept["type"]] = [one for one in schema["type"] if one != "null"]
    if {"type": "null"} in schema.get("oneOf", []):
        [form] = [one for one in kept.pop("oneOf") if one != {"type": "null"}]
        kept |= form
    return kept


def make(languages):
    """Installs the generators and makes clients, at the same time: each generator has one thread."""
    setup.body(setup.for_clients(languages))
    for language in languages:
        shutil.rmtree(MADE / language, ignore_errors=True)
    MADE.mkdir(parents=True, exist_ok=True)
    with step(f"making the clients in {', '.join(languages)}"):
        run_together([LANGUAGES[language]() for language in languages])


def body():
    languages = sys.argv[1:] or list(LANGUAGES)
    if unknown := set(languages) - set(LANGUAGES):
        raise Failed(f"no client in {', '.join(sorted(unknown))}. There are: {', '.join(LANGUAGES)}")
    make(languages)
    say("\nEach has its use in docs/clients.md:")
    for language in languages:
        say(f"  {(MADE / language).relative_to(ROOT)}")


if __name__ == "__main__":
    main(body)
