"""Designs and profiles: documents of Focus, fetched with the caller's token, kept as one archive by digest, read into a template."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from keystoneauth1 import exceptions as keystone

from cloudos import tosca
from cloudos.eden.call import Call
from cloudos.eden.client import Client, Failure
from cloudos.eve import given
from cloudos.eve.engine import export
from cloudos.eve.jobs.faults import DesignRefused, NeighbourAway, ProfileWrong, found
from cloudos.eve.jobs.neighbours import as_caller
from cloudos.eve.problems import Refused as NoYaml
from cloudos.focus.client import Focus
from cloudos.tosca.archive import ArchiveTree, open_archive
from cloudos.tosca.resolver import Location, Refused


@dataclass(frozen=True)
class Fetched:
    """A document as it is used: `about` goes into records: {reference, document_id, name, version, digest, sha256}; `data`: its bytes."""

    about: dict[str, Any]
    data: bytes


def design(call: Call, reference: str) -> Fetched:
    """The archive of a design with all that it imports. Raises DesignRefused, NeighbourAway."""
    return _asked(call, reference, lambda focus, id_, version: focus.csar(id_, version))


def profile(call: Call, reference: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what is recorded of it, its content) of a deployment profile or of a binding of Graffiti. Raises ProfileWrong besides."""
    fetched = _asked(call, reference, lambda focus, id_, version: focus.content(id_, version))
    try:
        content = yaml.safe_load(fetched.data) or {}
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise ProfileWrong(reference=reference, reason=f"it cannot be read: {error}") from error
    return fetched.about, judged(reference, content)


def own_profile(design: Fetched) -> dict[str, Any]:
    """The profile that a design brings along, as what Eve exports does; empty where it has none. Raises ProfileWrong."""
    reference = f"{design.about['reference']}!{export.PROFILE}"
    with opened(design.data, design.about["name"]) as tree:
        try:
            return judged(reference, export.own_profile(tree) or {})
        except NoYaml as wrong:
            raise ProfileWrong(reference=reference, reason=str(wrong)) from wrong


def judged(reference: str, content: Any) -> dict[str, Any]:
    """The content of a profile, if it is one. Raises ProfileWrong with every place that is not as it must be."""
    if errors := given.mistakes(content):
        reason = "; ".join(f"{one['pointer']} {one['message']}" for one in errors[:5])
        raise ProfileWrong(reference=reference, reason=f"{reason}.", errors=errors)
    return {key: value for key, value in content.items() if value is not None}


@contextlib.contextmanager
def opened(data: bytes, name: str, folder: Path | None = None) -> Iterator[ArchiveTree]:
    """The files of a design's archive, while the context lasts; problems show `name`. Raises found(...)'s problem."""
    with tempfile.NamedTemporaryFile(prefix="eve-", suffix=".csar", dir=folder) as file:
        file.write(data)
        file.flush()
        try:
            tree = open_archive(Path(file.name))
        except Refused as refused:
            raise found(name, [_refusal(name, refused)]) from refused
        if tree is None:
            raise found(name, [tosca.Problem(name, 1, 1, "file.unreadable", "is no archive", "Store the design again.")])
        tree.shown = name
        yield tree


def template(tree: ArchiveTree, inputs: dict[str, Any] | None, runs: Mapping[str, Mapping[str, Any]] | None = None,
             substitutions: Mapping[str, str] | None = None) -> tosca.Report:  # fmt: skip
    """What the front end says to a design; its imports are in the archive, or the types that Eve brings. Raises found(...)'s problem."""
    try:
        location = Location(tree, tree.entry())
    except Refused as refused:
        raise found(tree.shown, [_refusal(tree.shown, refused)]) from refused
    return tosca.load(location, given.resolver(()), inputs, runs=runs, substitutions=substitutions)


def _refusal(name: str, refused: Refused) -> tosca.Problem:
    return tosca.Problem(name, 1, 1, refused.rule, refused.message, refused.mend)


def _asked(call: Call, reference: str, content: Any) -> Fetched:
    try:
        focus = as_caller(call, Focus)
        document = _resolved(focus, reference)
        data = content(focus, document["id"], document["version"]["version"])
    except Failure as failure:
        if failure.status >= 500:
            raise NeighbourAway(headers={"Retry-After": "5"}, reason=f"Focus fails: {failure}", seconds=5) from failure
        raise DesignRefused(reference=reference, reason=str(failure)) from failure
    except keystone.ClientException as error:
        raise NeighbourAway(headers={"Retry-After": "5"}, reason=f"Focus does not answer: {error}", seconds=5) from error
    about = {"reference": reference, "document_id": document["id"], "name": document["name"], "version": document["version"]["version"],
             "digest": f"sha256:{document['version']['sha256']}", "sha256": hashlib.sha256(data).hexdigest()}  # fmt: skip
    return Fetched(about, data)


def _resolved(focus: Client, reference: str) -> dict[str, Any]:
    """The document and version that name, name@version, id or id@version means."""
    try:
        return focus.resolve(reference)
    except Failure as failure:
        if failure.status != 404:
            raise
        identity, _, version = reference.partition("@")
        document = focus.document(identity)
        return {**document, "version": focus.version(identity, version or document["default_version"] or document["latest_version"])}
