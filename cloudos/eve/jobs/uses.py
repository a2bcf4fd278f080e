"""Focus is told which topology uses which document, so that it does not let go of it. That it does not answer stops no job."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from keystoneauth1 import exceptions as keystone
from oslo_log import log

from cloudos.eden.client import Failure, NotFound
from cloudos.eve.jobs import neighbours
from cloudos.focus.client import Focus

LOG = log.getLogger(__name__)
NEXT = "The next job of the topology tells it again."
Pairs = list[tuple[str, int]]


def of(wanted: dict[str, Any]) -> Pairs:
    """(document, version) of the design and the profile of an order, as far as they lie in Focus."""
    found = [one for one in (wanted.get("design"), wanted.get("profile")) if one and "document_id" in one]
    return list(dict.fromkeys((one["document_id"], one["version"]) for one in found))


def tell(order: Any, documents: Iterable[tuple[str, int]]) -> None:
    """Bring Focus to know that the topology of an order (work.Order) uses these documents and no others.

    What cannot be told is an event, and told again later.
    """
    known, wanted = list(order.uses), list(documents)
    if {*known} == {*wanted}:
        return
    try:
        focus = neighbours.as_service(order.conf, Focus, order.token or "")
        for document, version in [one for one in wanted if one not in known]:
            focus.use(document, version, order.id, f"topology {order.name}"[:255], f"/v1/topologies/{order.id}")
            known.append((document, version))
        for document, version in [one for one in known if one not in wanted]:
            _free(focus, document, version, order.id)
            known.remove((document, version))
    except (Failure, keystone.ClientException) as error:
        LOG.warning("Focus was not told what topology %s uses: %s", order.id, error)
        order.run.event("focus-not-told", why=str(error), next_step=NEXT)
    order.uses = known
    order.change(uses=[list(one) for one in known])


def _free(focus: Focus, document: str, version: int, use: str) -> None:
    with contextlib.suppress(NotFound):  # the document, or what was said of it, is gone already
        focus.unuse(document, version, use)
