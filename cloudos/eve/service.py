"""Eve as a service: all its routes on one screen, their schemas, options and quotas."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from oslo_config import cfg

from cloudos.eden import config, policy, routes
from cloudos.eden.app import complete
from cloudos.eden.policy import SCOPES
from cloudos.eden.runtime import Runtime
from cloudos.eden.service import Quota, Route, Service, Work, page_of, ref
from cloudos.eve import given
from cloudos.eve.api import original, plans, topologies
from cloudos.eve.api import workflows as workflow_routes
from cloudos.eve.engine import export
from cloudos.eve.jobs import work
from cloudos.eve.jobs.vault import SEALED, Vault
from cloudos.eve.models import STATUSES, Topology

OBJECT, TEXT = {"type": "object"}, {"type": ["string", "null"]}
NAME = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"}
REFERENCE = {"type": "string", "minLength": 1, "maxLength": 320,
             "description": "A document of Focus: name, name@version, id or id@version."}  # fmt: skip
NODE = {"pattern": r"^[^\u0000-\u001f]{1,255}$"}
SECRETS = {"type": "object", "maxProperties": 100, "propertyNames": {"pattern": "^[A-Za-z0-9_.-]{1,128}$"},
           "additionalProperties": {"type": "string", "maxLength": 65536},
           "description": "Values of ${secret:NAME}; kept encrypted, and never shown."}  # fmt: skip
WANTED = {
    "plan": {"type": "string", "maxLength": 36, "description": "A plan instead of all the others."},
    "design": REFERENCE, "profile": REFERENCE,
    "pool": {"type": "string", "minLength": 1, "maxLength": 255,
             "description": "A pool of Graffiti or the operator; without it, your own project."},
    "defaults": {"type": "object", "maxProperties": 50, "description": "Of the pool: flavor, image, external_network, user ..."},
    "inputs": {"type": "object", "maxProperties": 1000},
    "placement": {"type": "object", "propertyNames": NODE, "additionalProperties": {"type": "string", "maxLength": 255}},
    "substitutions": {"type": "object", "propertyNames": NODE, "additionalProperties": {"type": "string", "maxLength": 255},
                      "description": "Node to the file of the design that is put in its place, where several fit."},
    "choices": {"type": "object", "propertyNames": NODE, "additionalProperties": given.CHOICES,
                "description": "Node to flavor, image, volume_type ... to the one by its name and, where it is known, id."},
    "instances": {"type": "object", "propertyNames": NODE, "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 10000}},
}  # fmt: skip
ON_FAILURE = {"enum": [work.KEEP, "undeploy"], "description": "What becomes of what a failed job has made."}
ORDER = {**WANTED, "secrets": SECRETS, "on_failure": ON_FAILURE}
ABOUT = {"name": NAME, "description": {"type": "string", "maxLength": 2000}, "scope": {"enum": list(SCOPES)}}
DEPLOY = {"type": "object", "additionalProperties": False, "required": ["name"], "properties": {**ABOUT, **ORDER},
          "anyOf": [{"required": ["design"]}, {"required": ["plan"]}]}  # fmt: skip
UPDATE = {"type": "object", "additionalProperties": False, "properties": ORDER}
SCALE = {"type": "object", "additionalProperties": False, "required": ["instances"], "properties": {
    name: ORDER[name] for name in ("instances", "on_failure")}}  # fmt: skip
HEAL = {"type": "object", "additionalProperties": False, "properties": {"on_failure": ON_FAILURE}}
UNDEPLOY = {"type": "object", "additionalProperties": False, "properties": {
    "force": {"type": "boolean", "description": "Also what other topologies use."}}}  # fmt: skip
WORKFLOW = {"type": "object", "additionalProperties": False, "properties": {
    "inputs": {"type": "object", "maxProperties": 1000}, "secrets": SECRETS}}  # fmt: skip
PLAN = {"type": "object", "additionalProperties": False, "properties": {
    **{name: value for name, value in WANTED.items() if name != "plan"}, "name": NAME, "topology": {"type": "string", "maxLength": 36}},
    "anyOf": [{"required": ["design"]}, {"required": ["topology"]}]}  # fmt: skip
CHANGE = {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": ABOUT}
SCHEMAS = {
    **routes.SCHEMAS,
    "Group": {"type": "object", "required": ["node", "kinds", "resources", "links"], "properties": {
        "node": {"type": "string"}, "kinds": {"type": "array", "items": {"type": "string"}}, "count": {"type": ["object", "null"]},
        "resources": {"type": "array", "items": OBJECT}, "links": {"type": "array", "items": OBJECT}}},
    "Topology": {"type": "object", "required": ["id", "name", "status", "design", "scope"], "properties": {
        "id": {"type": "string"}, "name": {"type": "string"}, "status": {"enum": list(STATUSES)}, "design": OBJECT, "description": TEXT,
        "fault": {"type": ["object", "null"]}, "job": TEXT, "scope": {"enum": list(SCOPES)}, "outputs": OBJECT,
        "groups": {"type": "array", "items": ref("Group")}}},
    "Plan": {"type": "object", "required": ["id", "name", "deployable", "problems", "actions"], "properties": {
        "id": {"type": "string"}, "name": {"type": "string"}, "deployable": {"type": "boolean"}, "actions": OBJECT, "quota": OBJECT,
        "seconds": {"type": ["number", "null"]}, "problems": {"type": "array", "items": OBJECT}, "plan": {"type": ["object", "null"]}}},
}  # fmt: skip

ONE, OLD = "/v1/topologies/<topology_id>", "/1/<project_id>/infrastructure_topology_list"
FLOWS = f"{ONE}/workflows"
TOPOLOGY, FOUND, JOB, GROUP = ref("Topology"), ref("Plan"), ref("Job"), ref("Group")
T, P, O = {"tag": "topologies"}, {"tag": "plans"}, {"tag": "original"}  # noqa: E741 - a column of the table
J = {"status": 202, "answer": JOB}
ROUTES = (
    Route("GET", "/v1/design", plans.design, "design:get", "What a design of Focus asks for, and what is wrong with it",
          query={"reference": REFERENCE}, answer=OBJECT, **P),
    Route("GET", "/v1/plans", plans.list_plans, "plan:list", "Plans, newest first", query=plans.QUERY, answer=page_of("plans", FOUND), **P),
    Route("POST", "/v1/plans", plans.create, "plan:create", "What a deployment or update would do", "member", body=PLAN, status=201,
          answer=FOUND, **P),
    Route("GET", "/v1/plans/<plan_id>", plans.get, "plan:get", "One plan", answer=FOUND, **P),
    Route("DELETE", "/v1/plans/<plan_id>", plans.delete, "plan:delete", "Forget a plan", "member", status=204, **P),
    Route("GET", "/v1/topologies", topologies.list_topologies, "topology:list", "Topologies", query=topologies.QUERY,
          answer=page_of("topologies", TOPOLOGY), **T),
    Route("POST", "/v1/topologies", topologies.deploy, "topology:deploy", "Deploy a design or a plan, as a job", "member", body=DEPLOY,
          **J, **T),
    Route("GET", ONE, topologies.get, "topology:get", "One topology with outputs and realized groups", answer=TOPOLOGY, **T),
    Route("PUT", ONE, topologies.change, "topology:change", "Name, description, scope", "member", body=CHANGE, answer=TOPOLOGY,
          matches=True, **T),
    Route("DELETE", ONE, topologies.delete, "topology:delete", "Undeploy and forget it, as a job", "member",
          query={"force": UNDEPLOY["properties"]["force"]}, **J, **T),
    Route("GET", f"{ONE}/state", topologies.state_document, "topology:state", "Its state document", answer=OBJECT, **T),
    Route("GET", f"{ONE}/export", topologies.exported, "topology:export", "It as an archive from which it can be deployed again",
          gives=(export.MEDIA,), **T),
    Route("GET", f"{ONE}/groups", topologies.groups, "topology:get", "What has become of its nodes", answer=OBJECT, **T),
    Route("GET", f"{ONE}/groups/<node>", topologies.group, "topology:get", "What has become of one node", answer=GROUP, **T),
    Route("POST", f"{ONE}/update", topologies.update, "topology:update", "Bring it to another order; what is not named stays", "member",
          body=UPDATE, **J, **T),
    Route("POST", f"{ONE}/scale", topologies.scale, "topology:scale", "Bring nodes to a number of instances", "member", body=SCALE,
          **J, **T),
    Route("POST", f"{ONE}/heal", topologies.heal, "topology:heal", "Make again what is missing", "member", body=HEAL, optional_body=True,
          **J, **T),
    Route("POST", f"{ONE}/undeploy", topologies.undeploy, "topology:undeploy", "Take it down; the record stays, inactive", "member",
          body=UNDEPLOY, optional_body=True, **J, **T),
    Route("GET", FLOWS, workflow_routes.listed, "topology:get", "The workflows of its template, and their last runs", answer=OBJECT, **T),
    Route("POST", f"{FLOWS}/<workflow>", workflow_routes.run, "topology:workflow", "Run a workflow of its template", "member",
          body=WORKFLOW, optional_body=True, **J, **T),
    Route("POST", f"{FLOWS}/<workflow>/plan", workflow_routes.plan, "topology:workflow", "What a workflow would do now, step by step",
          "member", body=WORKFLOW, optional_body=True, answer=OBJECT, **T),
    Route("GET", OLD, original.listed, "topology:list", "Topologies, as the original", query=topologies.paging.query(topologies.SORT),
          answer=OBJECT, **O),
    Route("POST", OLD, original.create, "topology:deploy", "Deploy, as the original", "member", body=DEPLOY, **J, **O),
    Route("GET", f"{OLD}/<topology_id>", original.get, "topology:get", "One topology, as the original", answer=OBJECT, **O),
    Route("DELETE", f"{OLD}/<topology_id>", original.delete, "topology:delete", "De-provision, as the original", "member", **J, **O),
    Route("GET", f"{OLD}/<topology_id>/<kind>/<group_id>", original.group, "topology:get", "A realized group, as the original",
          answer=OBJECT, **O),
)  # fmt: skip


def _topologies(session: sa.orm.Session, project: str) -> int:
    return session.scalar(sa.select(sa.func.count()).where(Topology.project_id == project))


OPTIONS = [
    cfg.StrOpt("run_directory", help="Where jobs have their projects and credentials, best a tmpfs; /run/eve unless embedded."),
    cfg.StrOpt("data_directory", help="Where projects and output of the last runs are kept; /var/lib/eve/runs unless embedded."),
    cfg.IntOpt("keep_runs", default=5, min=0, help="How many runs of each topology are kept there."),
    cfg.IntOpt("keep_plans_days", default=30, min=1, help="How long `eve-manage purge-designs` keeps plans, in days."),
    cfg.StrOpt("pools_file", help="YAML file of pools that everybody may use: name to provider, login and defaults."),
    cfg.StrOpt("ca_file", help="Certificate authorities of pools of Graffiti, instead of the system's; best as its [pools] ca_file."),
    cfg.StrOpt("focus_endpoint", help="Where Focus is; without it, as the catalog says."),
    cfg.StrOpt("graffiti_endpoint", help="Where Graffiti is; without it, as the catalog says."),
    cfg.FloatOpt("timeout", default=60, min=1, help="Seconds that another service may take to answer."),
]  # fmt: skip


@dataclass(frozen=True)
class Tools:
    """What handlers and works share."""

    vault: Vault


def start(runtime: Runtime) -> Tools:
    """Once for each process."""
    return Tools(Vault(runtime.vault))


HOURS = 3600
SERVICE = Service(
    name="eve", title="Eve, from topology templates to running infrastructure", version="1.0", port=21051,
    routes=complete(ROUTES, "eve"), schemas=SCHEMAS, migrations="cloudos.eve:migrations", start=start,
    works={kind: Work(run, work.cancelled, 6 * HOURS, work.again)
           for kind, run in ((work.APPLY, work.apply), (work.UNDEPLOY, work.undeploy), (work.DELETE, work.delete),
                             (work.WORKFLOW, work.workflow))},
    quotas={"topologies": Quota(1000, _topologies, "Topologies."),
            "nodes_per_topology": Quota(1000, None, "Nodes of one topology.")},
    options={"eve": OPTIONS}, sealed=SEALED,
    description="Compiles designs of Focus to Ansible projects, runs them in pools, and keeps what became of them.",
)  # fmt: skip


def list_opts() -> list:
    """For oslo-config-generator."""
    return config.options(SERVICE)


def list_rules() -> list:
    """For oslopolicy-sample-generator."""
    return policy.rules(SERVICE)
