"""JSON Schemas of the files that people write. What a schema cannot say is in `cloudos.model.checks`."""

from __future__ import annotations

GROUPS = ("control", "base", "network", "compute", "storage")
STAGES = ("foundations", "services", "workers", "agents")
PHASES = ("foundations", "schemas", "services", "probes")  # after which operations can run
SECRET_KINDS = ("password", "hex32", "fernet", "cephx")

NAME = {
    "type": "string",
    "pattern": r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
    "description": "lower-case letters, digits and dashes",
}
TEXT = {"type": "string"}
FLAG = {"type": "boolean"}
ANY: dict = {}
TEXTS = {"type": "array", "items": TEXT}
WORD = {"type": ["string", "integer", "number", "boolean"]}
EXPRESSION = {"type": ["string", "boolean"], "pattern": r"\{\{.*\}\}", "description": "an expression in {{ }}"}
NUMBER = {"type": ["integer", "string"]}
ON = {"type": ["array", "string"], "items": {"enum": [*GROUPS, "all"]}}
MODE = {"type": "string", "pattern": r"^0[0-7]{3,4}$", "description": 'an octal number in quotes such as "0640"'}
BACKEND = {"type": "string", "pattern": r"^[\w.\[\]:-]+:\d+$", "description": "host:port"}
DAYS = {"type": "integer", "minimum": 1, "description": "a number of days"}
SECONDS = {"type": "integer", "minimum": 1, "description": "a number of seconds"}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
SECTIONS = {"type": "object", "additionalProperties": {"type": ["object", "null"]}}


def closed(required: tuple[str, ...] = (), **properties: dict) -> dict:
    """A mapping with these keys and no other."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def mapping(value: dict, keys: dict | None = None) -> dict:
    """A mapping of free keys (`keys`: a schema for them) to `value`."""
    return {"type": "object", "additionalProperties": value, **({"propertyNames": keys} if keys else {})}


NETWORK = closed(
    ("cidr",),
    cidr=TEXT,
    gateway=TEXT,
    interface={"type": ["string", "null"]},
    mtu={"type": "integer", "minimum": 576, "maximum": 65535},
    bridge=TEXT,
    pool={"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2},
)
# What a storage node gives to Swift; device: a disk, or size: GiB of a file in its place.
OBJECT = closed(
    region={"type": "integer", "minimum": 1},
    zone={"type": "integer", "minimum": 1},
    devices=mapping(
        closed(
            device=TEXT,
            size={"type": "integer", "minimum": 1},
            weight={"type": "number", "minimum": 0},
            state={"enum": ["present", "drained", "absent", "lost"]},
            erase=TEXT,
        ),
        NAME,
    ),
)
# What a storage node gives to Cinder's volume group.
VOLUME = closed(("devices",), devices=mapping(closed(("device",), device=TEXT, erase=TEXT), NAME))
# What kind of machine a lab node is; memory and disks in GiB.
SIZE = {"type": "integer", "minimum": 1}
SERIAL = {**NAME, "maxLength": 20, "description": f"at most 20 {NAME['description']}"}
LAB_NODE = closed(machine={"enum": ["container", "virtual"]}, cores=SIZE, memory=SIZE, disks=mapping(SIZE, SERIAL))
OVERRIDES = mapping(mapping(mapping(SECTIONS)))  # service -> file -> section -> options

# A plugin, several side by side, or the first of several that the nodes can serve.
CHOICE = {
    **closed(("first",), first={**TEXTS, "minItems": 1}),
    **TEXTS,
    "type": ["string", "array", "object"],
    "minItems": 1,
}

INVENTORY = closed(
    ("plugin", "cloud", "release", "nodes", "networks", "services"),
    plugin={"const": "cloudos.cloud.cloud"},
    cloud=NAME,
    release=TEXT,
    region=TEXT,
    nodes=mapping(
        closed(
            ("address", "groups"),
            address=TEXT,
            ansible=mapping(ANY),
            groups={"type": "array", "items": TEXT, "minItems": 1},
            object=OBJECT,
            volume=VOLUME,
            lab=LAB_NODE,
        ),
        NAME,
    ),
    networks={
        "type": "object",
        "required": ["management"],
        "additionalProperties": NETWORK,
        "properties": {"external": {**NETWORK, "required": ["cidr", "gateway", "pool"]}},
    },
    endpoint=closed(address=TEXT),
    services={"type": "array", "items": TEXT, "minItems": 1},
    plugins=mapping(CHOICE),
    settings=mapping(mapping(ANY)),
    overrides=closed(all=mapping(mapping(SECTIONS)), groups=OVERRIDES, nodes=OVERRIDES),
    retention=closed(**dict.fromkeys(("deleted_rows", "logs"), DAYS)),
    timeouts=closed(**dict.fromkeys(("services", "instance"), SECONDS)),
    lab=closed(("bridge", "gateway"), bridge=TEXT, gateway=TEXT),
    plugin_path=TEXTS,
    service_path=TEXTS,
)

CATALOG = closed(("type", "unit"), type=TEXT, unit=TEXT, path=TEXT, name=TEXT, description=TEXT)
FILE = closed(
    on=ON,
    when=EXPRESSION,
    format={"enum": ["ini", "python", "text"]},
    content=TEXT,
    layers=TEXTS,
    options=SECTIONS,
    namespaces=TEXTS,
    apply=TEXTS,
    mode=MODE,
    owner=TEXT,
    group=TEXT,
)
UNIT = closed(
    on=ON,
    when=EXPRESSION,
    wsgi=TEXT,
    exec=TEXT,
    distribution=FLAG,
    port=PORT,
    health=TEXT,
    workers=NUMBER,
    threads=NUMBER,
    files=TEXTS,
    environment=mapping(WORD),
    after=TEXTS,
    user=TEXT,
    stage={"enum": list(STAGES)},
    reload=FLAG,
    oneshot=FLAG,
    schedule=TEXT,
    options=SECTIONS,
    tls=FLAG,
    backend=BACKEND,
    privileged=FLAG,
)
OPERATION = closed(
    ("after", "module"), after={"enum": list(PHASES)}, on=ON, once=FLAG, when=EXPRESSION, module=TEXT, args=mapping(ANY)
)
PROBE = {
    "type": "object",
    "required": ["name", "kind"],
    "properties": {
        "name": TEXT,
        "kind": {"enum": ["command", "http", "tcp", "openstack", "unit"]},
        "on": ON,
        "once": FLAG,
        "when": EXPRESSION,
        "before": {"enum": ["agents"]},
    },
}

BODY = {
    "title": TEXT,
    "needs": TEXTS,
    "plugins": TEXTS,
    "when": EXPRESSION,
    "account": {**closed(groups=TEXTS), "type": ["object", "null"]},
    "tls_user": TEXT,
    "sysctl": mapping(WORD),
    "packages": closed(**dict.fromkeys((*GROUPS, "all"), TEXTS)),
    "catalog": {**CATALOG, "type": ["object", "array"], "items": CATALOG},
    "user": closed(("roles",), roles=TEXTS),
    "roles": TEXTS,
    "databases": TEXTS,
    "migrate": TEXTS,
    "assets": closed(files=mapping(TEXT), environment=mapping(TEXT), commands=TEXTS),
    "config_data": {**TEXTS, "maxItems": 1},
    "directories": mapping(
        {**closed(on=ON, when=EXPRESSION, owner=TEXT, group=TEXT, mode=MODE), "type": ["object", "null"]}
    ),
    "secrets": mapping({"enum": list(SECRET_KINDS)}),
    "settings": mapping(ANY),
    "files": mapping(FILE),
    "units": mapping(UNIT),
    "operations": {"type": "array", "items": OPERATION},
    "probes": {"type": "array", "items": PROBE},
}
OVERLAY = {"releases": mapping(closed(**BODY))}
REQUIREMENT = {
    **closed(("that", "message"), that=EXPRESSION, message=TEXT, on=ON),
    **EXPRESSION,
    "type": ["object", "string"],
}

SERVICE = closed(("service",), service=NAME, base=FLAG, **BODY, **OVERLAY)
PLUGIN = closed(
    ("plugin", "extends", "title"),
    plugin={"type": "string", "pattern": "^[a-z0-9-]+/[a-z0-9-]+$", "description": "<kind>/<name>"},
    extends=TEXT,
    like=TEXT,
    requires={"type": "array", "items": REQUIREMENT},
    message=TEXT,
    also=mapping(closed(**BODY)),
    **BODY,
    **OVERLAY,
)
LAYERS = mapping(SECTIONS)
RELEASE = closed(
    ("series", "python", "roots", "maintained_until"),
    series=TEXT,
    python=TEXT,
    roots=TEXTS,
    overrides=TEXTS,
    build_constraints=TEXTS,
    absent=TEXTS,
    floors=mapping(WORD),
    maintained_until=ANY,
)
