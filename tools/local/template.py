"""Reads template.yaml for the local tools, so that no tool repeats its content."""

import re

import yaml

from console import ROOT

SOURCE = ROOT / "template.yaml"


class _Loader(yaml.SafeLoader):
    """Reads `!Ref` and other tags as their plain values."""


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
    """The binary of each function, by logical id."""
    return {name: spec["Metadata"]["BuildProperties"]["Binary"] for name, spec in resources("AWS::Serverless::Function").items()}


def for_emulator(zips):
    """The template's text with the zips as the functions' CodeUri, as `sam build` writes it. `zips` has a file for each binary.

    The emulator speaks plain HTTP and applies the queues' policies, which refuse that. In its copy they refuse nobody.
    """
    with_code = re.sub(r"(CodeUri: )\./functions/(\w+)", lambda found: f"{found[1]}{zips[found[2]]}", SOURCE.read_text())
    return with_code.replace("Bool: { aws:SecureTransport: false }", "StringEquals: { aws:RequestedRegion: nowhere }")
