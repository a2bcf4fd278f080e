"""Who did what: a row for each change, in the change's own transaction, and a line in the log; refused ones as well."""

from __future__ import annotations

import datetime
import json
from typing import Any

import sqlalchemy as sa
from oslo_log import log
from sqlalchemy.orm import Session

from cloudos.eden.call import Call
from cloudos.eden.db import now
from cloudos.eden.models import Audit
from cloudos.eden.problems import Problem
from cloudos.eden.runtime import Runtime
from cloudos.eden.service import Route

LOG = log.getLogger("cloudos.audit")


def record(session: Session, call: Call, status: int) -> None:
    """Keep a change that is going to be committed."""
    if not call.route.keeps:
        return
    facts = {key: value for key, value in call.audit.items() if key != "target"}
    _write(session, call.route.policy, "success", status, call.context, call.audit.get("target"), facts)


def refused(runtime: Runtime, route: Route, context: Any, call: Call | None, problem: Problem, request_id: str) -> None:
    """Keep a change that failed, and say in the log who was turned away. Never raises: the caller gets its problem."""
    if not route.keeps or route.path == "unknown":
        return
    target = call.audit.get("target") if call else None
    if context is None:
        LOG.warning(json.dumps({"action": route.policy, "outcome": "failure", "status": problem.status, "request_id": request_id}))
        return
    try:
        runtime.db.transact(
            lambda session: _write(session, route.policy, "failure", problem.status, context, target, {"code": problem.code})
        )
    except Exception:
        LOG.exception("The audit of a refused request could not be kept.")


def purge(session: Session, days: int) -> int:
    """Forget what is older; returns how many records."""
    return session.execute(sa.delete(Audit).where(Audit.time < now() - datetime.timedelta(days=days))).rowcount


def _write(session: Session, action: str, outcome: str, status: int, context: Any, target: str | None, facts: dict) -> None:
    about = {"action": action, "outcome": outcome, "status": status, "user_id": context.user_id, "project_id": context.project_id,
             "target": target, "request_id": context.request_id or ""}  # fmt: skip
    session.add(Audit(**about, facts=facts))
    LOG.info(json.dumps({**about, **facts}, default=str))
