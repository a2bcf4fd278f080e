"""Handlers of binding: match, reserve, commit, release, the profile, and drift."""

from __future__ import annotations

from typing import Any

import yaml
from oslo_context.context import RequestContext

from cloudos.eden.call import Call
from cloudos.eden.db import now, shown
from cloudos.eden.problems import BadRequest
from cloudos.eden.service import JSON, Answer
from cloudos.graffiti import binding as rules
from cloudos.graffiti.binding import Binder
from cloudos.graffiti.conditions import Unreadable
from cloudos.graffiti.http_dictionary import known, owner_of, warnings
from cloudos.graffiti.models import Binding, Pool
from cloudos.graffiti.openings import Broken, openings, read
from cloudos.graffiti.problems import BindingOver, FilterWrong, NotBound, TemplateWrong, TypeUnknown
from cloudos.graffiti.types import UnknownType

BINDINGS = "/v1/bindings"
BINDING_SORT = {"created_at": Binding.created_at, "name": Binding.name}
YAML = "application/yaml"
MOST = 500  # requirements of one request, a template's included


def show(one: Binding) -> dict[str, Any]:
    """A binding as JSON."""
    chosen = {id_: {key: value for key, value in body.items() if key not in ("properties", "digest")} for id_, body in one.chosen.items()}
    return {"id": one.id, "name": one.name, "state": rules.alive(one), "chosen": chosen, "request": one.request, "scope": one.scope,
            "user_id": one.user_id, "project_id": one.project_id, "created_at": shown(one.created_at),
            "expires_at": shown(one.expires_at)}  # fmt: skip


def match(call: Call) -> dict[str, Any]:
    """Candidates and a choice; nothing is kept."""
    request = _request(call)
    outcome = _asked(call, lambda binder: binder.match(request))
    return {**outcome.shown(call.body.get("explain", True)), "warnings": _warnings(call, request)}


def bind(call: Call) -> Answer:
    """Match, choose and reserve."""
    request = _request(call)
    conf = call.runtime.conf.pools
    seconds = min(call.body.get("seconds", conf.reservation), conf.max_reservation)
    target = {"scope": request.get("scope", "private-project"), "user_id": call.context.user_id, "project_id": call.context.project_id}
    call.guard.demand("eden:change", target)
    call.runtime.quotas.demand(call.session, call.context.project_id, "bindings")
    outcome, made = _asked(call, lambda binder: binder.reserve(request, call.owner(), seconds))
    if made is None:
        told = outcome.shown(explain=True)
        raise NotBound(
            reason="; ".join(told["reasons"]) or "no choice fulfils all", requirements=told["requirements"], proven=told["proven"]
        )
    call.audit["target"] = f"binding/{made.id}"
    body = {**show(made), "outcome": outcome.shown(call.body.get("explain", False)), "warnings": _warnings(call, request)}
    return Answer(body, 201, {"Location": f"{BINDINGS}/{made.id}"}, etag=_tag(made))


def list_bindings(call: Call) -> dict[str, Any]:
    """Bindings that the caller sees."""
    return call.page("bindings", call.visible(Binding), BINDING_SORT, Binding, show, default="created_at:desc")


def get(call: Call) -> Answer:
    """One binding."""
    one = _find(call)
    return Answer(show(one), etag=_tag(one))


def commit(call: Call) -> Answer:
    """What was reserved is provisioned: it no longer expires."""
    one = _find(call)
    call.change(one)
    _demand(one, "reserved", "committed")
    one.state, one.expires_at = "committed", None
    for claim in one.claims:
        claim.expires_at = None
    call.session.flush()
    return Answer(show(one), etag=_tag(one))


def release(call: Call) -> None:
    """Give back what was claimed; the record stays."""
    one = _find(call)
    call.change(one)
    one.state, one.expires_at = "released", now()
    one.claims = []


def profile(call: Call) -> Answer:
    """The binding document, in YAML or JSON, to be stored in Focus."""
    one = _find(call)
    document = rules.profile(one)
    if call.accepts == JSON:
        return Answer(document)
    return Answer(yaml.safe_dump(document, sort_keys=False).encode(), media=YAML)


def verify(call: Call) -> dict[str, Any]:
    """What differs between what was bound and what the directory knows now, and how old that knowledge is."""
    one = _find(call)
    pools = {body["pool"] for body in one.chosen.values() if body["pool"]}
    seen = [pool.discovered_at for id_ in sorted(pools) if (pool := call.session.get(Pool, id_))]
    found = rules.drift(one, call.session)
    oldest = None if not seen or None in seen else min(seen)
    return {"binding": one.id, "state": rules.alive(one), "drift": found, "same": not found, "discovered_at": shown(oldest)}


def rebind(call: Call) -> Answer:
    """Ask the same requirements again and keep the new choice in place of the old, as if the old one were free."""
    one = _find(call)
    call.change(one)
    _demand(one, "reserved", "expired", "committed")
    one.claims, one.state, one.expires_at = [], "released", now()
    call.session.flush()
    # One that had expired did not count any more.
    call.runtime.quotas.demand(call.session, one.project_id, "bindings")
    conf = call.runtime.conf.pools
    owner = {"user_id": one.user_id, "project_id": one.project_id, "domain_id": one.domain_id}
    outcome, made = _asked(call, lambda binder: binder.reserve(one.request, owner, conf.reservation), owner_of(one))
    if made is None:
        told = outcome.shown(explain=True)
        raise NotBound(reason="; ".join(told["reasons"]), requirements=told["requirements"], proven=told["proven"])
    changes = [{"requirement": id_, "before": body["name"], "after": made.chosen[id_]["name"]}
               for id_, body in sorted(one.chosen.items()) if made.chosen[id_]["resource"] != body["resource"]]  # fmt: skip
    return Answer({**show(made), "changes": changes}, 201, {"Location": f"{BINDINGS}/{made.id}"}, etag=_tag(made))


def _request(call: Call) -> dict[str, Any]:
    """The request with a template's open requirements beside its own; the template's text is not kept."""
    request = {key: value for key, value in call.body.items() if key not in ("explain", "seconds")}
    template = request.get("template") or {}
    if template.get("files"):
        try:
            entry = template.get("entry") or next(iter(template["files"]))
            found = openings(read(template["files"], entry, template.get("inputs"), template.get("substitutions")))
        except Broken as error:
            errors = [{"pointer": f"{one.file}:{one.line}:{one.column}", "message": f"{one.message} [{one.rule}] {one.mend}".rstrip()}
                      for one in error.problems[:50]]  # fmt: skip
            raise TemplateWrong(errors=errors) from error
        request["template"] = {key: template[key] for key in ("entry", "reference", "substitutions") if key in template}
        request["requirements"] = [*request.get("requirements", []), *found["requirements"]]
        request["rules"] = [*request.get("rules", []), *found["rules"]]
    return _judged(request)


def _judged(request: dict[str, Any]) -> dict[str, Any]:
    if not request.get("requirements"):
        message = "there is nothing to bind: name requirements, or send a template that leaves some open"
        raise BadRequest(what="The body", errors=[{"pointer": "/requirements", "message": message}])
    if len(request["requirements"]) > MOST:
        raise BadRequest(what="The body", errors=[{"pointer": "/requirements", "message": f"at most {MOST}; bind in parts"}])
    if wrong := rules.unknown_members(request):
        raise BadRequest(what="The body", errors=[{"pointer": "/", "message": text} for text in wrong[:20]])
    return request


def _asked(call: Call, ask: Any, owner: RequestContext | None = None) -> Any:
    """Ask for the caller; or, of a binding that is there, for its owner, who shall not get what only the caller sees."""
    context, tools = owner or call.context, call.runtime.extra
    try:
        return ask(Binder(call.session, context, tools.dictionaries.of(call.session, context), tools.stale))
    except UnknownType as error:
        raise TypeUnknown(reason=str(error)) from error
    except Unreadable as error:
        raise FilterWrong(pointer=error.pointer, reason=str(error)) from error


def _warnings(call: Call, request: dict[str, Any]) -> list[str]:
    named = {one[key]: kind for one in request["requirements"] for key, kind in (("capability", "capability"), ("type", "resource"),
             ("requirement", "requirement")) if one.get(key)}  # fmt: skip
    return warnings(known(call), named)


def _find(call: Call) -> Binding:
    return call.find(Binding, call.path["id"], "binding", BINDINGS)


def _demand(one: Binding, *states: str) -> None:
    if rules.alive(one) not in states:
        raise BindingOver(binding=one.id, state=rules.alive(one))


def _tag(one: Binding) -> str:
    return f"{one.id}-{one.version_id}"
