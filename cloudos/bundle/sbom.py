"""A bundle's software bill of materials: CycloneDX 1.6 JSON from the lock and the metadata of what is installed."""

import re
from importlib.metadata import Distribution

from packaging.utils import canonicalize_name

HASHES = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==[^\n]*((?:\n\s+--hash=\S+(?: \\)?)+)", re.MULTILINE)
CLASSIFIER = "License :: "
LONGEST_NAME = 100


def bill_of_materials(
    name: str, patch_level: str, lock: str, found: list[Distribution], debian: dict[str, str]
) -> dict:
    """The document for bundle `name`. `debian` maps the Debian packages whose files it carries to their versions."""
    hashes = {
        canonicalize_name(match[1]): re.findall(r"sha256:([0-9a-f]{64})", match[2]) for match in HASHES.finditer(lock)
    }
    components = [_component(item, hashes.get(canonicalize_name(item.name), [])) for item in found]
    components += [
        {"type": "library", "name": package, "version": version, "purl": f"pkg:deb/debian/{package}@{version}"}
        for package, version in debian.items()
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "platform", "bom-ref": name, "name": "cloudos-bundle", "version": patch_level}
        },
        "components": [{"bom-ref": component["purl"], **component} for component in components],
    }


def _component(item: Distribution, hashes: list[str]) -> dict:
    """One library; the hashes are those of each file of this version that the lock accepts."""
    component = {
        "type": "library",
        "name": item.name,
        "version": item.version,
        "purl": f"pkg:pypi/{canonicalize_name(item.name)}@{item.version}",
        "hashes": [{"alg": "SHA-256", "content": value} for value in hashes],
    }
    licenses = _licenses(item)
    return {**component, "licenses": licenses} if licenses else component


def _licenses(item: Distribution) -> list[dict]:
    """The SPDX expression if the package gives one, else its classifiers, else its licence field if that is a name."""
    expression = item.metadata.get("License-Expression")
    if expression:
        return [{"expression": expression}]
    names = [
        value.rpartition(" :: ")[2] for value in item.metadata.get_all("Classifier", []) if value.startswith(CLASSIFIER)
    ]
    text = (item.metadata.get("License") or "").strip()
    if not names and 0 < len(text) <= LONGEST_NAME and "\n" not in text:
        names = [text]
    return [{"license": {"name": name}} for name in names]
