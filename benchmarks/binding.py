"""How long it takes to match and bind a template of 100 requirements in a directory of 100,000 resources of 1,000 types.

Usage: binding.py [RESOURCES [REQUIREMENTS]]. On SQLite in a file, without HTTP. Types derive from each other in a tree, ten below each; a
hundred resources have each type in the mean, a few types thousands; each resource has ten properties. Every requirement asks another
capability type with three conditions, half of them of types with hundreds of resources. Prints the shortest of five runs.
"""

import random
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from oslo_context.context import RequestContext
from sqlalchemy.orm import Session

from cloudos.eden.db import Base
from cloudos.graffiti import index, models
from cloudos.graffiti.binding import Binder
from cloudos.graffiti.service import settle
from cloudos.graffiti.types import Batch, Dictionary, Namespace, Type, judged

TYPES, POOLS, TARGET = 1000, 4, 1.0
OWNER = {"user_id": "u", "project_id": "p", "scope": "public-cloud"}
SCHEMA = {
    "type": "object",
    "properties": {
        "cores": {"type": "integer"}, "memory": {"type": "string", "tosca:type": "scalar-unit.size"}, "speed": {"type": "number"},
        "vendor": {"type": "string"}, "release": {"type": ["string", "number"], "tosca:type": "version"}, "ready": {"type": "boolean"},
    },
}  # fmt: skip


def dictionary() -> Dictionary:
    """A tree of capability types: type N derives from type N // 10."""
    types = [Type("capability", "bench", f"t{number}", f"t{number // 10}" if number else None, schema=SCHEMA if number == 0 else {})
             for number in range(TYPES)]  # fmt: skip
    return judged(Batch((Namespace("bench"),), tuple(types)), Dictionary([]))[1]


def fill(session: Session, known: Dictionary, count: int) -> float:
    """Make the resources; returns the seconds that it took."""
    rng, begin = random.Random(1), time.perf_counter()  # noqa: S311  data, not secrets
    pools = [models.Pool(name=f"pool{number}", provider_url="https://bench", region_id=f"region{number}", secret=b"", **OWNER,
                         quota={"cores": {"limit": 10**6, "used": 0}}) for number in range(POOLS)]  # fmt: skip
    session.add_all(pools)
    session.flush()
    for start in range(0, count, 5000):
        some = [resource(rng, number, pools[number % POOLS]) for number in range(start, min(start + 5000, count))]
        session.add_all(some)
        index.write(session, some, known)
        session.commit()
        session.expunge_all()
    return time.perf_counter() - begin


def resource(rng: random.Random, number: int, pool: models.Pool) -> models.Resource:
    """Of one of all types; every tenth of one of ten types that are therefore large."""
    kind = rng.randrange(TYPES) if rng.random() < 0.9 else rng.randrange(900, 910)
    properties = {
        "cores": rng.choice([1, 2, 4, 8, 16, 32]),
        "memory": f"{rng.choice([1, 2, 4, 8, 16, 64])} GiB",
        "speed": rng.random() * 5,
        "vendor": rng.choice(["acme", "globex", "initech"]),
        "release": f"{rng.randrange(5)}.{rng.randrange(12)}",
        "ready": rng.random() < 0.9,
    }
    return models.Resource(
        name=f"r{number}", native_id=str(number), type="Bench", pool_id=pool.id, region=pool.region_id, price=round(rng.random(), 4),
        properties={"rack": number % 50}, capabilities=[{"name": "host", "type": f"bench/t{kind}", "properties": properties}], **OWNER,
    )  # fmt: skip


def requirements(count: int) -> list[dict]:
    """Requirements that differ in type and in conditions."""
    rng = random.Random(2)  # noqa: S311  data, not secrets
    wanted = []
    for number in range(count):
        # Below t10..t99 are ten types each, with about a thousand resources together; the others are leaves, ten of them large.
        kind = rng.randrange(10, 100) if number % 2 else rng.randrange(890, 999)
        properties = [{"memory": {"greater_or_equal": f"{rng.choice([2, 4, 8])} GiB"}}, {"cores": {"in_range": [2, 16]}},
                      {"vendor": {"valid_values": rng.sample(["acme", "globex", "initech"], 2)}}]  # fmt: skip
        wanted.append({"id": f"n{number}.host", "node": f"n{number}", "capability": f"t{kind}",
                       "node_filter": {"capabilities": [{"host": {"properties": properties}}]}})  # fmt: skip
    return wanted


def main() -> None:
    """Fill a database, match five times."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    asked = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    context = RequestContext(user_id="u", project_id="p", roles=["member"])
    with tempfile.TemporaryDirectory() as directory:
        engine = sa.create_engine(f"sqlite:///{Path(directory) / 'bench.sqlite'}")
        index.prepare(engine)
        Base.metadata.create_all(engine, [model.__table__ for model in models.TABLES])
        known = dictionary()
        with Session(engine, expire_on_commit=False) as session:
            filled = fill(session, known, count)
            session.execute(sa.text("ANALYZE"))
            settle()  # as the service does when it starts
            timings = [timed(session, context, known, {"requirements": requirements(asked)}) for _ in range(5)]
    seconds, busy, outcome = min(timings, key=lambda each: each[0])
    matched = sum(match.total for match in outcome.matches.values())
    print(f"{count} resources of {TYPES} types indexed in {filled:.0f} s")
    print(
        f"{asked} requirements matched and bound in {seconds:.2f} s (target {TARGET} s), {busy:.2f} s of a core: "
        f"{'bound' if outcome.choice else outcome.impossible}, "
        f"{matched} resources fit, {sum(match.rejected for match in outcome.matches.values())} rejected with reasons"
    )


def timed(session: Session, context: RequestContext, known: Dictionary, request: dict) -> tuple[float, float, object]:
    """Seconds, and seconds of a core, to match, choose and render with explanations; the outcome."""
    begin, busy = time.perf_counter(), time.process_time()
    outcome = Binder(session, context, known, timedelta(hours=1)).match(request)
    outcome.shown(explain=True)
    return time.perf_counter() - begin, time.process_time() - busy, outcome


if __name__ == "__main__":
    main()
