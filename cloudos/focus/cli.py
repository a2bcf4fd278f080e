"""The commands `cloudos focus ...`. Documents are named by name, name@version or id."""

from __future__ import annotations

import json
import mimetypes
import sys
from pathlib import Path
from typing import Any

import click

from cloudos.eden.commands import as_json, details, group, table, told
from cloudos.eden.policy import SCOPES
from cloudos.focus.client import Conflict, Focus
from cloudos.focus.storing import TYPES
from cloudos.tosca.archive import packed_directory

focus = group(Focus, "focus", "The repository of topology documents.")
ARCHIVE = "application/zip"
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def found(service: Focus, name: str) -> tuple[dict[str, Any], int]:
    """(document, version number) that a name, name@version or id[@version] means."""
    one = service.resolve(name)
    return one, one["version"]["version"]


def media(path: Path) -> str:
    """The media type of a file, by its name."""
    own = {".yaml": "application/yaml", ".yml": "application/yaml", ".tosca": "application/yaml", ".csar": ARCHIVE}
    return own.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"


@focus.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--name", help="Without it, the file's name.")
@click.option("--type", "kind", type=click.Choice(TYPES), help="What it is; without it, as its content says.")
@click.option("--scope", type=click.Choice(SCOPES), default="private-project", show_default=True, help="Who sees it.")
@click.option("--description", help="What it is for.")
@click.option("--tag", multiple=True, help="A word to find it by; may be given several times.")
@click.option("--label", help="A name of the version, as 1.4.2.")
@click.option("--comment", help="What is new in it.")
@click.option("--reference", multiple=True, help="A document that it refers to; may be given several times.")
@as_json
@click.pass_obj
@told
def store(service: Focus, file: Path, name: str | None, kind: str | None, as_json: bool, **facts: Any) -> None:
    """Store a file, or a directory as an archive: as a new document, or as a new version of the one that has the name.

    Exits with 1 if it has errors.
    """
    for option in ("tag", "reference"):
        facts[option] = list(facts[option])
    content, content_type = (packed_directory(file), ARCHIVE) if file.is_dir() else (file.read_bytes(), media(file))
    name = name or file.resolve().name
    try:
        made = service.store(content, content_type, name=name, type=kind, **facts)
        document, version = made["id"], made["version"]
    except Conflict as taken:
        # Which document has the name in that scope only the service knows: an administrator sees those of all.
        if taken.code != "document.name_taken":
            raise
        document = taken.problem["document"]
        version = service.add(document, content, content_type, **{key: facts[key] for key in ("label", "comment", "reference")})
        about = {"type": kind, "description": facts["description"], "tags": facts["tag"]}
        if changed := {key: value for key, value in about.items() if value}:
            service.update(document, **changed)
    details({"id": document, "name": name, **version}, as_json)
    if not version["valid"]:
        _problems(service.validation(document, version["version"]))
        sys.exit(1)


@focus.command()
@click.argument("words", nargs=-1)
@click.option("--tag", multiple=True, help="One of its tags; may be given several times, all must be there.")
@click.option("--type", "kind", type=click.Choice(TYPES), help="What it is.")
@click.option("--uses-type", help="A TOSCA type that the topology uses.")
@click.option("--state", type=click.Choice(["draft", "published", "deprecated", "revoked"]), help="State of the newest version.")
@click.option("--deleted", is_flag=True, help="Those that were deleted.")
@as_json
@click.pass_obj
@told
def search(service: Focus, words: tuple[str, ...], kind: str | None, tag: tuple[str, ...], as_json: bool, **criteria: Any) -> None:
    """Find documents by words in content, name and description, and by criteria."""
    rows = service.search(q=" ".join(words) or None, type=kind, tag=list(tag), **criteria)
    table(rows, ["id", "name", "type", "scope", "latest_version", "default_version", "updated_at"], as_json)


@focus.command()
@click.argument("document")
@as_json
@click.pass_obj
@told
def show(service: Focus, document: str, as_json: bool) -> None:
    """Show a document and its versions."""
    one = service.document(found(service, document)[0]["id"])
    versions = one["versions"] if as_json else one.pop("versions")
    details(one, as_json)
    if not as_json:
        table(versions, ["version", "label", "state", "valid", "format", "size", "sha256", "created_at", "user_id", "comment"])


@focus.command()
@click.argument("document")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Without it, standard output.")
@click.option("--as", "packing", type=click.Choice(["zip", "tar"]), help="As an archive with all imports.")
@click.pass_obj
@told
def get(service: Focus, document: str, output: Path | None, packing: str | None) -> None:
    """Get the content of a version, byte for byte, or as an archive."""
    one, version = found(service, document)
    content = service.csar(one["id"], version, packing) if packing else service.content(one["id"], version)
    if output:
        output.write_bytes(content)
    else:
        sys.stdout.buffer.write(content)


@focus.command()
@click.argument("file", type=FILE)
@as_json
@click.pass_obj
@told
def validate(service: Focus, file: Path, as_json: bool) -> None:
    """Judge a file without storing it; the exit code is the judgement's: 0 accepted, 1 not valid, 2 not deployable, 3 unreadable."""
    report = service.validate(file.read_bytes(), file.name)
    click.echo(json.dumps(report, indent=1)) if as_json else _problems(report)
    sys.exit(report["exit_code"])


@focus.command()
@click.argument("before")
@click.argument("after")
@click.option("--text", is_flag=True, help="Lines instead of structure.")
@click.pass_obj
@told
def diff(service: Focus, before: str, after: str, text: bool) -> None:
    """Show what differs between two versions (name@version or id@version)."""
    answer = service.diff(before, after, "text" if text else "structure")
    click.echo(answer["text"] if text else json.dumps(answer["structure"], indent=1), nl=not text)


@focus.command()
@click.argument("document")
@as_json
@click.pass_obj
@told
def closure(service: Focus, document: str, as_json: bool) -> None:
    """Show all that a version needs, with digests."""
    one, version = found(service, document)
    table(service.closure(one["id"], version), ["name", "version", "sha256", "size", "state"], as_json)


@focus.command()
@click.argument("document")
@as_json
@click.pass_obj
@told
def uses(service: Focus, document: str, as_json: bool) -> None:
    """Show who needs a document."""
    table(service.uses(found(service, document)[0]["id"]), ["kind", "name", "uri"], as_json)


@focus.command()
@click.argument("document")
@click.option("--name", help="Its new name.")
@click.option("--type", type=click.Choice(TYPES), help="What it is.")
@click.option("--scope", type=click.Choice(SCOPES), help="Who sees it.")
@click.option("--description", help="What it is for.")
@click.option("--tags", help="All tags, with commas between them.")
@click.pass_obj
@told
def update(service: Focus, document: str, tags: str | None, **metadata: str | None) -> None:
    """Change metadata; this makes no version."""
    given: dict[str, Any] = {key: value for key, value in metadata.items() if value is not None}
    if tags is not None:
        given["tags"] = [tag for tag in tags.split(",") if tag]
    if not given:
        raise click.UsageError("Name what to change: --name, --type, --scope, --description or --tags.")
    details(service.update(found(service, document)[0]["id"], **given))


@focus.command()
@click.argument("document")
@click.argument("state", type=click.Choice(["published", "deprecated", "revoked"]))
@click.option("--reason", default="", help="Why; importers of a deprecated version read it.")
@click.pass_obj
@told
def state(service: Focus, document: str, state: str, reason: str) -> None:
    """Publish, deprecate or revoke a version."""
    one, version = found(service, document)
    details(service.set_state(one["id"], version, state, reason))


@focus.command()
@click.argument("document")
@click.pass_obj
@told
def revert(service: Focus, document: str) -> None:
    """Make the content of a version (name@version) the newest."""
    one, version = found(service, document)
    details(service.revert(one["id"], version))


@focus.command()
@click.argument("document")
@click.pass_obj
@told
def delete(service: Focus, document: str) -> None:
    """Delete a document, or with @version one of its versions."""
    one, version = found(service, document)
    service.delete(one["id"], version if "@" in document else None)
    click.echo(f"Deleted; `cloudos focus undelete {one['id']}{f'@{version}' if '@' in document else ''}` takes it back.")


@focus.command()
@click.argument("document")
@click.pass_obj
@told
def undelete(service: Focus, document: str) -> None:
    """Take a document (id) or a version (id@version) back."""
    identity, _, version = document.partition("@")
    details(service.undelete(identity, version or None))


@focus.command()
@click.pass_obj
@told
def revalidate(service: Focus) -> None:
    """Judge all versions anew; shows the job."""
    details({key: value for key, value in service.revalidate().items() if key in ("id", "state", "position")})


def _problems(report: dict[str, Any]) -> None:
    for one in report["problems"]:
        click.echo(f"{one['file']}:{one['line']}:{one['column']}: {one['severity']}: {one['message']} [{one['rule']}] {one['mend']}")
    click.echo(f"{'Right' if report['valid'] else 'Wrong'}, judged by {report['judge']}; {report['count']} findings.")
