"""The routes of Graffiti on one screen, with the schemas of what goes in; handlers are in the modules http_*."""

from __future__ import annotations

from typing import Any

from cloudos.eden import paging
from cloudos.eden.policy import SCOPES
from cloudos.eden.service import JSON, Route, page_of, ref
from cloudos.graffiti import http_binding as binding
from cloudos.graffiti import http_dictionary as dictionary
from cloudos.graffiti import http_directory as directory
from cloudos.graffiti.directory import FACETS
from cloudos.graffiti.joint import PLACES, POLICIES
from cloudos.graffiti.types import KINDS

TEXT = {"type": "string", "maxLength": 65535}
NAME = {"type": "string", "minLength": 1, "maxLength": 255}
WORD = {"type": "string", "maxLength": 255}
MAP = {"type": "object", "maxProperties": 1000}
SCOPE = {"type": "string", "enum": list(SCOPES), "description": "Who sees and changes it."}
WORDS = {"type": "array", "items": NAME, "maxItems": 200}
MANY = {"type": "array", "items": MAP, "maxItems": 20000}
FILTER = {
    "type": "object",
    "description": "TOSCA's node_filter: properties and capabilities as lists or maps, or 2.0's boolean expression.",
}
COUNT = {"type": "integer", "minimum": 1, "maximum": 100000}
NUMBERS = {"type": "object", "additionalProperties": {"type": "number", "minimum": 0}, "maxProperties": 1000}
TAG = {"type": "array", "items": NAME, "maxItems": 10, "description": "May be repeated; all must be there."}


def body(required: str = "", **properties: Any) -> dict[str, Any]:
    """The schema of a body that has these properties and no others."""
    return {"type": "object", "required": required.split(), "properties": properties, "additionalProperties": False}


ASSOCIATIONS = {"type": "array", "maxItems": 200, "items": body("name", name=NAME, prefix=WORD, properties_target=WORD)}
NAMESPACE = body("name", name=NAME, title=WORD, description=TEXT, source={"type": "string", "maxLength": 64}, associations=ASSOCIATIONS,
                 extra=MAP, scope=SCOPE)  # fmt: skip
TYPE = body(
    "kind namespace name",
    kind={"type": "string", "enum": list(KINDS)},
    namespace=NAME,
    name=NAME,
    derived_from=NAME,
    title=WORD,
    description=TEXT,
    version=WORD,
    schema=MAP,
    definition=MAP,
    deprecated=body(reason=TEXT, use=NAME),
    aliases=WORDS,
    scope=SCOPE,
)
BATCH = body(namespaces=MANY, types=MANY, metadefs=MANY, scope=SCOPE, dry_run={"type": "boolean"})
POOL = {
    "name": NAME,
    "type": {"type": "string", "maxLength": 32},
    "version": {"type": "string", "maxLength": 64},
    "provider_url": {"type": "string", "maxLength": 1024},
    "region_id": NAME,
    "country": {"type": "string", "maxLength": 64},
    "scope": SCOPE,
    "state": {"type": "string", "enum": ["active", "inactive"]},
    "prices": NUMBERS,
    "services": {"type": "array", "items": MAP, "maxItems": 100},
    "login": body(
        "user_name",
        user_name=NAME,
        user_domain=NAME,
        project_id=NAME,
        project_name=NAME,
        project_domain=NAME,
        interface={"type": "string", "enum": ["public", "internal", "admin"]},
        ca={"type": "string", "minLength": 1, "maxLength": 65536},
    ),
    "secret": {**body("password", password={"type": "string", "minLength": 1, "maxLength": 1024}), "writeOnly": True},
}
KIND_OF_POOL = {"kinds": {"type": "array", "items": NAME, "minItems": 1, "maxItems": 50}}
CAPABILITY = body("name type", name=NAME, type=NAME, properties=MAP)
RESOURCE = body(
    "name type",
    name=NAME,
    type=NAME,
    native_id=NAME,
    description=TEXT,
    provider=WORD,
    region=WORD,
    zone=WORD,
    pool=NAME,
    properties=MAP,
    capabilities={"type": "array", "items": CAPABILITY, "maxItems": 500},
    requirements={"type": "array", "items": MAP, "maxItems": 100},
    tags=WORDS,
    health={"type": "string", "minLength": 1, "maxLength": 16},
    capacity=NUMBERS,
    price={"type": "number", "minimum": 0},
    scope=SCOPE,
)
SEARCH = body(
    type=NAME,
    capability=NAME,
    node_filter=FILTER,
    tags=WORDS,
    text={"type": "string", "maxLength": 1000},
    pool=NAME,
    region=NAME,
    zone=NAME,
    provider=NAME,
    health=NAME,
    source=NAME,
    vanished={"type": "boolean"},
    limit=paging.QUERY["limit"],
    marker=paging.QUERY["marker"],
    sort=paging.query(directory.RESOURCE_SORT)["sort"],
    facets={"type": "array", "items": {**NAME, "description": f"{', '.join(FACETS)}, tag, capability, or a property."}, "maxItems": 20},
)
REQUIREMENT = body("id", id=NAME, node=NAME, capability=NAME, type=NAME, requirement=NAME, node_filter=FILTER, tags=WORDS, count=COUNT)
RULE = body(
    "kind of members",
    kind={"type": "string", "enum": ["same", "different"]},
    of={"type": "string", "enum": list(PLACES)},
    members={"type": "array", "items": NAME, "minItems": 2, "maxItems": 500},
)
POLICY = body(prefer={"type": "string", "enum": list(POLICIES)}, span={"type": "string", "enum": ["one", "any"]}, pools=WORDS,
              residency=body(countries=WORDS, regions=WORDS))  # fmt: skip
FILES = {**MAP, "additionalProperties": NAME, "description": "Node to the file that is put in its place, where several fit."}
TEMPLATE = body(files={"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1, "maxProperties": 200}, entry=NAME,
                inputs=MAP, reference=TEXT, substitutions=FILES)  # fmt: skip
MATCH = {"requirements": {"type": "array", "items": REQUIREMENT, "maxItems": binding.MOST}, "template": TEMPLATE, "policy": POLICY,
         "rules": {"type": "array", "items": RULE, "maxItems": 200}, "explain": {"type": "boolean"}}  # fmt: skip
BIND = {**MATCH, "name": NAME, "scope": SCOPE, "seconds": {"type": "integer", "minimum": 1, "maximum": 31536000}}
POOL_QUERY = {**paging.query(directory.POOL_SORT), "state": {"type": "string", "enum": ["active", "inactive", "deleted", "all"]},
              "region_id": NAME, "type": NAME}  # fmt: skip
REFERENCE = {**NAME, "description": "What templates write: a full name, a name or an alias, of a type of `kind`, or else a capability."}
TYPE_QUERY = {**paging.query(dictionary.TYPE_SORT), "namespace": NAME, "name": NAME, "reference": REFERENCE,
              "q": {**NAME, "description": "A part of the name."}}  # fmt: skip
RESOURCE_QUERY = {**paging.query(directory.RESOURCE_SORT), "type": NAME, "capability": NAME, "pool": NAME, "region": NAME, "zone": NAME,
                  "provider": NAME, "health": NAME, "source": NAME, "text": WORD, "tag": TAG, "vanished": {"type": "boolean"}}  # fmt: skip
SCHEMAS = {name: {"type": "object"} for name in ("Namespace", "Type", "Pool", "Resource", "Binding", "Match")}
_POOLS, _ONE_POOL = ["/1/resource_pool_list"], ["/1/resource_pool_list/<id>"]

ROUTES = (
    Route("GET", "/v1/namespaces", dictionary.list_namespaces, "namespace:list", "Namespaces",
          query=paging.query(dictionary.NAMESPACE_SORT), answer=page_of("namespaces", ref("Namespace")),
          also=["/1/namespace/list"], tag="dictionary"),
    Route("POST", "/v1/namespaces", dictionary.create_namespace, "namespace:create", "A new namespace", "member", body=NAMESPACE,
          status=201, answer=ref("Namespace"), also=["/1/namespace"], tag="dictionary"),
    Route("GET", "/v1/namespaces/<id>", dictionary.get_namespace, "namespace:get", "One namespace, by id or name", answer=ref("Namespace"),
          tag="dictionary"),
    Route("PUT", "/v1/namespaces/<id>", dictionary.update_namespace, "namespace:update", "Change a namespace", "member",
          body={**NAMESPACE, "required": []}, answer=ref("Namespace"), also=["/1/namespace/<id>"], matches=True, tag="dictionary"),
    Route("DELETE", "/v1/namespaces/<id>", dictionary.delete_namespace, "namespace:delete", "Delete a namespace with its types", "member",
          query={"include_descendants": {"type": "boolean"}}, status=204, also=["/1/namespace/<id>"], tag="dictionary"),
    Route("GET", "/v1/namespaces/<id>/metadefs", dictionary.export, "namespace:export", "A namespace as Glance's metadata definitions",
          answer={"type": "object"}, tag="dictionary"),
    Route("POST", "/v1/dictionary", dictionary.load, "dictionary:load", "Load many namespaces and types at once", "member", body=BATCH,
          answer={"type": "object"}, also=["/1/capability_type/batch", "/1/namespace/batch"], tag="dictionary"),
    Route("GET", "/v1/types", dictionary.list_types, "type:list", "Types",
          query={**TYPE_QUERY, "kind": {"type": "string", "enum": list(KINDS)}}, answer=page_of("types", ref("Type")), tag="dictionary"),
    Route("GET", "/1/capability_type", dictionary.list_capability_types, "type:list", "Types", query=TYPE_QUERY,
          answer=page_of("types", ref("Type")), tag="dictionary"),
    Route("POST", "/v1/types", dictionary.create_type, "type:create", "A new type", "member", body=TYPE, status=201, answer=ref("Type"),
          also=["/1/capability_type"], tag="dictionary"),
    Route("GET", "/v1/types/<id>", dictionary.get_type, "type:get", "A type with inherited properties and where they come from",
          answer=ref("Type"), tag="dictionary"),
    Route("PUT", "/v1/types/<id>", dictionary.update_type, "type:update", "Change a type", "member", body={**TYPE, "required": []},
          answer=ref("Type"), matches=True, tag="dictionary"),
    Route("DELETE", "/v1/types/<id>", dictionary.delete_type, "type:delete", "Delete a type", "member", status=204, tag="dictionary"),
    Route("POST", "/v1/types/<id>/check", dictionary.check, "type:check", "Whether an instance is as its type wants",
          body=body("instance", instance={}), answer={"type": "object"}, audited=False, tag="dictionary"),
    Route("GET", "/v1/keys/<resource_type>", dictionary.keys, "keys", "Which properties a resource of a type may carry, with which key",
          query={"target": WORD}, answer={"type": "object"}, tag="dictionary"),
    Route("GET", "/v1/resource_pools", directory.list_pools, "pool:list", "Resource pools", query=POOL_QUERY,
          answer=page_of("resource_pools", ref("Pool")), also=_POOLS, tag="directory"),
    Route("POST", "/v1/resource_pools", directory.create_pool, "pool:create", "Register a pool; its log-in is tried first", "member",
          body=body("name provider_url login secret", **POOL), status=201, answer=ref("Pool"), also=_POOLS, tag="directory"),
    Route("GET", "/v1/resource_pools/<id>", directory.get_pool, "pool:get", "One pool", answer=ref("Pool"), also=_ONE_POOL,
          tag="directory"),
    Route("PUT", "/v1/resource_pools/<id>", directory.update_pool, "pool:update", "Change a pool; a new log-in is tried first", "member",
          body=body(**POOL), answer=ref("Pool"), also=_ONE_POOL, matches=True, tag="directory"),
    Route("DELETE", "/v1/resource_pools/<id>", directory.delete_pool, "pool:delete", "Delete a pool by marking it", "member", status=204,
          also=_ONE_POOL, tag="directory"),
    Route("POST", "/v1/resource_pools/<id>/discover", directory.discover, "pool:discover", "A job that looks what the pool has", "member",
          body=body(**KIND_OF_POOL), optional_body=True, status=202, answer=ref("Job"), tag="directory"),
    Route("POST", "/v1/resource_pools/<id>/token", directory.token, "pool:token", "A token of the pool's account, for services only",
          answer={"type": "object"}, audited=True, tag="directory"),
    Route("GET", "/v1/resources", directory.list_resources, "resource:list", "Resources by simple conditions", query=RESOURCE_QUERY,
          answer=page_of("resources", ref("Resource")), tag="directory"),
    Route("POST", "/v1/resources", directory.publish, "resource:create", "Publish a resource", "member", body=RESOURCE, status=201,
          answer=ref("Resource"), tag="directory"),
    Route("GET", "/v1/resources/<id>", directory.get_resource, "resource:get", "One resource", answer=ref("Resource"), tag="directory"),
    Route("PUT", "/v1/resources/<id>", directory.update_resource, "resource:update", "Change a published resource", "member", body=RESOURCE,
          answer=ref("Resource"), matches=True, tag="directory"),
    Route("DELETE", "/v1/resources/<id>", directory.delete_resource, "resource:delete", "Delete a published or vanished resource", "member",
          status=204, tag="directory"),
    Route("POST", "/v1/search", directory.search, "search", "Resources by node_filter, text, tags, with facets", body=SEARCH,
          answer={"type": "object"}, audited=False, tag="directory"),
    Route("POST", "/v1/match", binding.match, "match", "Candidates, reasons and a choice for requirements; keeps nothing",
          body=body(**MATCH), answer=ref("Match"), audited=False, tag="binding"),
    Route("GET", "/v1/bindings", binding.list_bindings, "binding:list", "Bindings", query=paging.query(binding.BINDING_SORT),
          answer=page_of("bindings", ref("Binding")), tag="binding"),
    Route("POST", "/v1/bindings", binding.bind, "binding:create", "Match, choose and reserve", "member", body=body(**BIND), status=201,
          answer=ref("Binding"), tag="binding"),
    Route("GET", "/v1/bindings/<id>", binding.get, "binding:get", "One binding", answer=ref("Binding"), tag="binding"),
    Route("DELETE", "/v1/bindings/<id>", binding.release, "binding:release", "Give back what was reserved or bound", "member", status=204,
          tag="binding"),
    Route("POST", "/v1/bindings/<id>/commit", binding.commit, "binding:commit", "It is provisioned and expires no more", "member",
          answer=ref("Binding"), tag="binding"),
    Route("POST", "/v1/bindings/<id>/rebind", binding.rebind, "binding:rebind", "Choose again", "member", status=201, answer=ref("Binding"),
          tag="binding"),
    Route("GET", "/v1/bindings/<id>/profile", binding.profile, "binding:profile", "The binding document for Focus",
          gives=(binding.YAML, JSON), answer={"type": "object"}, tag="binding"),
    Route("GET", "/v1/bindings/<id>/drift", binding.verify, "binding:verify", "What differs between what was bound and what is there",
          answer={"type": "object"}, tag="binding"),
)  # fmt: skip
