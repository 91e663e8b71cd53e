"""Reads what the local tools need to know from template.yaml, so that it is said only there."""

import re

import yaml

from console import ROOT

SOURCE = ROOT / "template.yaml"


class _Loader(yaml.SafeLoader):
    """Reads `!Ref` and the like as their plain values."""


def _plain(loader, _tag, node):
    build = {"scalar": loader.construct_scalar, "sequence": loader.construct_sequence, "mapping": loader.construct_mapping}
    return build[node.id](node)


_Loader.add_multi_constructor("!", _plain)


def load():
    return yaml.load(SOURCE.read_text(), _Loader)


def default_parameters():
    return {name: str(spec.get("Default", "")) for name, spec in load()["Parameters"].items()}


def resources(kind):
    return {name: spec for name, spec in load()["Resources"].items() if spec["Type"] == kind}


def functions():
    """Logical id of each function -> the binary it runs."""
    return {name: spec["Metadata"]["BuildProperties"]["Binary"] for name, spec in resources("AWS::Serverless::Function").items()}


def with_code(zips):
    """The template's text with nothing changed but each function's CodeUri, as `sam build` does. `zips`: binary -> file."""
    return re.sub(r"(CodeUri: )\./functions/(\w+)", lambda found: f"{found[1]}{zips[found[2]]}", SOURCE.read_text())
