"""What a handler gets: the caller, the validated request, the transaction, and the checks that all handlers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa
from oslo_context.context import RequestContext
from sqlalchemy.orm import Session

from cloudos.eden import paging
from cloudos.eden.models import Owned
from cloudos.eden.policy import CHANGE, SEE, Guard, visible
from cloudos.eden.problems import NotFound, PreconditionFailed, PreconditionRequired
from cloudos.eden.runtime import Runtime
from cloudos.eden.service import Route

T = TypeVar("T")


@dataclass
class Call:
    """One request. `session` is its transaction: a handler may be run again in a new one, so it does nothing else outside.

    path, query and headers: validated parameters. body: the JSON, or bytes where the route takes other media types.
    `if_match` and `if_none_match`: the ETags named, without quotes. audit: facts that go into the audit's record.
    """

    runtime: Runtime
    route: Route
    context: RequestContext
    guard: Guard
    session: Session
    url_path: str
    path: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    media: str | None = None
    accepts: str | None = None
    if_match: frozenset[str] | None = None
    last_event: str | None = None
    audit: dict[str, Any] = field(default_factory=dict)
    after: list[Callable[[], None]] = field(default_factory=list)

    def visible(self, model: Any) -> sa.Select:
        """Select those of a model that the caller sees."""
        return sa.select(model).where(visible(model, self.context))

    def find(self, model: type[T], id: str, what: str, list: str) -> T:
        """The thing with this id, if the caller sees it; otherwise NotFound, whether it exists or not."""
        found = self.session.get(model, id)
        if found is None or not self.guard.may(SEE, found.target()):
            raise NotFound(what=what, id=id, list=list)
        self.audit["target"] = f"{what}/{id}"
        return found

    def change(self, thing: Any, etag: str | None = None) -> None:
        """The caller is going to change a thing that it sees: may it, and is it the one that it read?"""
        self.guard.demand(CHANGE, thing.target())
        if etag is not None:
            self.demand_match(etag, self.audit.get("target", "it"))

    def demand_match(self, etag: str, what: str) -> None:
        """If-Match must name the ETag: PreconditionFailed where it names others, PreconditionRequired where the route wants it."""
        if self.if_match is None:
            if self.route.matches:
                raise PreconditionRequired(what=what)
            return
        if "*" not in self.if_match and etag not in self.if_match:
            raise PreconditionFailed(headers={"ETag": f'"{etag}"'}, what=what, etag=etag)

    def page(self, key: str, statement: sa.Select, columns: Mapping[str, Any], model: Any, show: Callable[[Any], dict],
             default: str | None = None) -> dict[str, Any]:  # fmt: skip
        """One page of a statement as the answer of a list: {key: [...], links: [...]}."""
        among = self.visible(model) if issubclass(model, Owned) else None
        items, following = paging.Page(self.session, self.runtime.conf, self.query, columns, model, default).of(statement, among)
        return {key: [show(item) for item in items], "links": paging.links(self.url_path, self.query, following)}

    def owner(self) -> dict[str, str | None]:
        """The columns of Owned for a thing that the caller makes."""
        return {"user_id": self.context.user_id, "project_id": self.context.project_id, "domain_id": self.context.project_domain_id}

    def submit(self, kind: str, name: str, input: Any = None, resource: str | None = None, tasks: list[str] | None = None) -> Any:
        """Make a job of one of the service's works; a worker is told once the transaction is committed. Returns the Job."""
        job = self.runtime.jobs.submit(self.session, self.context, kind, name, input, resource, tasks or [])
        self.after.append(lambda: self.runtime.queue.hint(1))
        return job
