"""What is forgotten after its time: old plans, and designs that nothing needs."""

from __future__ import annotations

import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from cloudos.eden.db import now
from cloudos.eve.models import Design, StoredPlan, Topology

GRACE = datetime.timedelta(hours=1)  # a design is stored a moment before what needs it


def purge(session: Session, days: int) -> tuple[int, int]:
    """(plans, designs) that were forgotten."""
    plans = session.execute(sa.delete(StoredPlan).where(StoredPlan.created_at < now() - datetime.timedelta(days=days))).rowcount
    used = sa.union(sa.select(StoredPlan.design_sha256), sa.select(Topology.design_sha256).where(Topology.design_sha256.is_not(None)))
    unused = sa.delete(Design).where(Design.created_at < now() - GRACE, Design.sha256.not_in(used))
    return plans, session.execute(unused).rowcount
