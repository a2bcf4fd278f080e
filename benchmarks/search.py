"""How long Focus takes to search among 10,000 documents of 5 kB, over its handlers, page by page.

Usage: search.py [DOCUMENTS]. On SQLite in a file, and, where CLOUDOS_TEST_DATABASE names a MariaDB server
(mysql+pymysql://user:password@127.0.0.1:3306/), in a database of its own there. Documents are topologies with names that differ, words
that all have, and comments of random words. Prints the median and the 95th percentile of each kind of search in milliseconds.
"""

import os
import random
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

import sqlalchemy as sa

from cloudos.eden import config
from cloudos.eden.app import make_app
from cloudos.focus.models import Content, Document, Revision, Tag, TypeName, Words
from cloudos.focus.service import SERVICE
from cloudos.focus.words import words_of

TARGET, ROUNDS, BATCH = 100, 30, 500
OWNER = {"user_id": "local", "project_id": "local", "domain_id": None, "scope": "private-project"}


def content(rng: random.Random, number: int, vocabulary: list[str]) -> str:
    """About 5 kB of a topology."""
    lines = ["tosca_definitions_version: tosca_simple_yaml_1_3", "topology_template:", "  node_templates:"]
    while sum(map(len, lines)) < 5000:
        node = rng.choice(vocabulary)
        lines += [f"    {node}_{number}:", f"      type: shop.nodes.{rng.choice(vocabulary).title()}",
                  f"      description: {' '.join(rng.choices(vocabulary, k=10))}",
                  f"      properties: {{port: {rng.randrange(1024, 65536)}, address: 192.0.2.{rng.randrange(255)}}}"]  # fmt: skip
    return "\n".join(lines)


def fill(session: sa.orm.Session, count: int, vocabulary: list[str]) -> None:
    """Documents with one version each."""
    rng = random.Random(1)  # noqa: S311  data, not secrets
    for start in range(0, count, BATCH):
        rows: dict = {model: [] for model in (Document, Content, Revision, Words, Tag, TypeName)}
        for number in range(start, min(start + BATCH, count)):
            text = content(rng, number, vocabulary)
            id_, version, sha256 = str(uuid.UUID(int=number)), str(uuid.UUID(int=2**64 + number)), f"{number:064x}"
            name, description = f"{rng.choice(vocabulary)}-{number}", " ".join(rng.choices(vocabulary, k=8))
            rows[Document].append({"id": id_, "name": name, "space": "private", "type": "infrastructure_topology", "edition": 1,
                                   "latest": 1, "description": description, "properties": {}, "live": True, **OWNER})  # fmt: skip
            rows[Content].append({"sha256": sha256, "data": text.encode()})
            rows[Words].append({"revision_id": version, "content": words_of(text),
                                "about": words_of(f"{name} {description}")})  # fmt: skip
            rows[Revision].append({"id": version, "document_id": id_, "version": 1, "sha256": sha256, "size": len(text), "format": "tosca",
                                   "content_type": "application/yaml", "user_id": "local", "report": {}, "valid": True})  # fmt: skip
            rows[Tag].append({"document_id": id_, "name": f"tag{number % 100}"})
            rows[TypeName].append({"revision_id": version, "role": "uses", "name": f"shop.nodes.T{number % 500}"})
        for model, found in rows.items():
            session.execute(sa.insert(model), found)
        session.commit()


def searches(rng: random.Random, vocabulary: list[str]) -> dict[str, dict[str, str]]:
    """What people search for: kind -> query."""
    one, two = rng.sample(vocabulary, 2)
    return {
        "a rare word": {"q": f"port {rng.randrange(1024, 65536)}"},
        "a word and its number": {"q": f"{one}_{rng.randrange(10_000)}"},
        "two words": {"q": f"{one} {two}"},
        "a beginning": {"q": one[:3]},
        "a word that all have": {"q": "tosca_simple_yaml_1_3"},
        "a name of a type": {"q": f"shop.nodes.{one.title()}"},
        "a word, newest first": {"q": one, "sort": "created_at:desc"},
        "nothing like it": {"q": "zzzyx"},
        "a part of the name": {"name_like": one[1:]},
        "a type that is used": {"uses_type": f"shop.nodes.T{rng.randrange(500)}"},
        "a tag and a word": {"q": one, "tag": f"tag{rng.randrange(100)}"},
    }


def measure(connection: str, count: int) -> None:
    """Fill one database and search in it."""
    rng = random.Random(2)  # noqa: S311  data, not secrets
    vocabulary = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randrange(4, 10))) for _ in range(2000)]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "focus.conf"
        connection = connection.format(directory=directory)
        path.write_text(f"[database]\nconnection = {connection}\n[api]\nauth_strategy = noauth\nrate = 0\n")
        app = make_app(SERVICE, config.load(SERVICE, [str(path)]), migrate=True)
        begin = time.perf_counter()
        with sa.orm.Session(app.runtime.db.engine) as session:
            fill(session, count, vocabulary)
        kind = app.runtime.db.engine.dialect.name
        print(f"{kind}: {count} documents stored in {time.perf_counter() - begin:.0f} s")
        client, taken, pages = app.test_client(), {}, {}
        for _ in range(ROUNDS):
            for name, query in searches(rng, vocabulary).items():
                begin = time.perf_counter()
                answer = client.get("/v1/documents", query_string=query, base_url="http://127.0.0.1")
                taken.setdefault(name, []).append((time.perf_counter() - begin) * 1000)
                if answer.status_code != 200:
                    raise SystemExit(answer.text)
                pages.setdefault(name, []).append(len(answer.json["documents"]))
        for name, found in taken.items():
            p50, p95 = statistics.median(found), statistics.quantiles(found, n=20)[-1]
            verdict = "" if p95 < TARGET else f"  over the target of {TARGET} ms"
            print(f"{kind}: {name:<22} p50 {p50:6.1f} ms  p95 {p95:6.1f} ms  {statistics.mean(pages[name]):5.1f} on the page{verdict}")
        app.runtime.close()


def main() -> None:
    """SQLite, and MariaDB where there is one."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    measure("sqlite:///{directory}/bench.db", count)
    if server := os.environ.get("CLOUDOS_TEST_DATABASE"):
        name = f"bench_{uuid.uuid4().hex[:8]}"
        engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name} CHARACTER SET utf8mb4"))
            try:
                measure(f"{server}{name}?charset=utf8mb4", count)
            finally:
                connection.execute(sa.text(f"DROP DATABASE {name}"))


if __name__ == "__main__":
    main()
