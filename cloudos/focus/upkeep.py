"""What keeps Focus well: judging all versions anew, its first documents, and the purge of what was deleted long ago."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from oslo_context.context import RequestContext
from sqlalchemy.orm import Session

from cloudos.eden.call import Call
from cloudos.eden.db import now
from cloudos.eden.jobs.routes import accepted
from cloudos.eden.jobs.run import Run, Step
from cloudos.eden.policy import space_of
from cloudos.eden.runtime import Runtime
from cloudos.eden.service import Answer
from cloudos.focus import judging, storing
from cloudos.focus.judges import Judges
from cloudos.focus.models import Content, Document, Link, Revision, Use

BATCH = 50
# Whose documents those are that come with the cloud.
SYSTEM = RequestContext(user_id="focus", project_id="focus", roles=["admin"])


def revalidate(call: Call) -> Answer:
    """Judge every version again, as a job: after an upgrade its judge knows more."""
    return accepted(call, call.submit("focus.revalidate", "Judge all versions anew"))


def revalidated(run: Run) -> dict[str, int]:
    """The work of that job: one task for each batch, so that it goes on where it was cut off."""
    db = run.runtime.db
    every = sa.select(Revision.id).where(Revision.deleted_at.is_(None)).order_by(Revision.created_at, Revision.id)
    ids = run.do("list", lambda step: db.transact(lambda session: list(session.scalars(every)), reading=True))
    batches = [ids[start : start + BATCH] for start in range(0, len(ids), BATCH)]
    run.plan([f"versions {number * BATCH + 1} to {number * BATCH + len(batch)}" for number, batch in enumerate(batches)])
    changed = 0
    for number, batch in enumerate(batches):
        name = f"versions {number * BATCH + 1} to {number * BATCH + len(batch)}"
        changed += run.do(name, lambda step, batch=batch: _batch(run.runtime, step, batch))
    return {"judged": len(ids), "changed": changed}


def _batch(runtime: Runtime, step: Step, ids: list[str]) -> int:
    changed = 0
    for number, one in enumerate(ids):
        changed += runtime.db.transact(lambda session, one=one: _again(session, runtime.extra.judges, one))
        step.tell(f"{number + 1} of {len(ids)}", 100 * (number + 1) / len(ids))
    return changed


def _again(session: Session, judges: Judges, id: str) -> bool:
    found = session.get(Revision, id)
    if found is None:
        return False
    before = found.valid
    owner = RequestContext(user_id=found.document.user_id, project_id=found.document.project_id, roles=["member"])
    storing.judge_again(session, owner, judges, found, session.get_one(Content, found.sha256).data)
    return found.valid != before


def purge(runtime: Runtime, days: int) -> dict[str, int]:
    """Forget for good what has had a tombstone for so many days, and contents that nobody has any more."""
    return runtime.db.transact(lambda session: _purge(session, now() - datetime.timedelta(days=days)))


def _purge(session: Session, old: datetime.datetime) -> dict[str, int]:
    dead = sa.select(Document.id).where(Document.live.is_(None), Document.deleted_at < old)
    linked = sa.select(Link.target_id).union(sa.select(Use.revision_id))
    over = sa.or_(Revision.deleted_at < old, Revision.document_id.in_(dead))
    gone = list(session.scalars(sa.select(Revision).where(over).order_by(Revision.version.desc())))
    # What something still leads to stays, also from one dead document to another: the next purge takes it.
    needed = set(session.scalars(linked))
    removed = [one for one in gone if one.id not in needed]
    for one in removed:
        session.delete(one)
    session.flush()
    empty = dead.where(Document.id.not_in(sa.select(Revision.document_id)))
    documents = session.execute(sa.delete(Document).where(Document.id.in_(list(session.scalars(empty))))).rowcount
    contents = session.execute(sa.delete(Content).where(Content.sha256.not_in(sa.select(Revision.sha256)))).rowcount
    return {"documents": documents, "versions": len(removed), "contents": contents}


def normative() -> dict[str, bytes]:
    """Name -> content of the definitions that come with the TOSCA library: the normative types as people know them."""
    found = {}
    package = resources.files("toscaparser")
    for name, path in {
        "org.oasis-open.tosca.simple": "elements/TOSCA_definition.yaml",
        "org.oasis-open.tosca.nfv": "extensions/nfv/TOSCA_nfv_definition_1_0_0.yaml",
    }.items():
        found[name] = (package / path).read_bytes()
    for file in sorted((resources.files("cloudos.tosca") / "data").iterdir(), key=lambda one: one.name):
        if file.name.endswith(".yaml"):
            found[file.name.removesuffix(".yaml")] = file.read_bytes()
    return found


def first_documents(paths: Iterable[Path]) -> dict[str, bytes]:
    """Name -> content of the files named, of directories all YAML files; those with a profile have its name."""
    found: dict[str, bytes] = {}
    for path in paths:
        files = sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]
        for file in files:
            content = file.read_bytes()
            profile = next((name for role, name in judging.defined(content, judging.format_of(content)) if role == "profile"), None)
            found[profile or (file.relative_to(path).as_posix() if path.is_dir() else file.name)] = content
    return found


def load(runtime: Runtime, contents: dict[str, bytes]) -> dict[str, str]:
    """Keep these as public-cloud documents, published where they are right: name -> made, updated or same. In order, each by itself."""
    return {name: runtime.db.transact(lambda session, name=name, content=content: _load(session, runtime.extra.judges, name, content))
            for name, content in contents.items()}  # fmt: skip


def _load(session: Session, judges: Judges, name: str, content: bytes) -> str:
    space = space_of("public-cloud", "focus", "focus")
    document = session.scalar(sa.select(Document).where(Document.space == space, Document.name == name, Document.live.is_(True)))
    outcome = "updated"
    if document is None:
        outcome = "made"
        about: dict[str, Any] = {"user_id": "focus", "project_id": "focus", "domain_id": None, "properties": {}, "latest": 0}
        document = Document(type="infrastructure_type", description="Comes with the cloud.", **about)
        storing.named(session, document, name, "public-cloud")
        session.add(document)
        session.flush()
    made, new = storing.add_revision(session, SYSTEM, judges, document, storing.Upload(content, comment="Loaded"))
    if made.valid and made.state == "draft":
        made.state, document.default_version = "published", made.version
    return outcome if new else "same"
