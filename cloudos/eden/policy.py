"""Who may do what: oslo.policy with defaults in code, four roles, four scopes, and the same rule of sight as SQL."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg
from oslo_policy import opts, policy

from cloudos.eden.problems import Forbidden
from cloudos.eden.service import ROLES, Service

SCOPES = ("private-project", "private-cloud", "public-project", "public-cloud")
SEE, CHANGE = "eden:see", "eden:change"
MINE_HERE = "'private-project':%(scope)s and user_id:%(user_id)s and project_id:%(project_id)s"
MINE = "'private-cloud':%(scope)s and user_id:%(user_id)s"
PROJECT = "'public-project':%(scope)s and project_id:%(project_id)s"
COMMON = [
    policy.RuleDefault("admin", "role:admin", "Administrators of the cloud."),
    policy.RuleDefault("architect", "rule:admin or role:architect", "Those who design for others."),
    policy.RuleDefault("member", "rule:architect or role:member", "Those who make things for themselves."),
    policy.RuleDefault("reader", "rule:member or role:reader", "Those who look."),
    policy.RuleDefault(
        SEE, f"rule:admin or (rule:reader and (({MINE_HERE}) or ({MINE}) or ({PROJECT}) or 'public-cloud':%(scope)s))",
        "Who sees a thing; to others it does not exist.",
    ),
    policy.RuleDefault(
        CHANGE, f"rule:admin or (rule:member and (({MINE_HERE}) or ({MINE}))) or (rule:architect and ({PROJECT}))",
        "Who makes, changes or deletes a thing of a scope.",
    ),
]  # fmt: skip
ROLE, RULE = re.compile(r"\brole:([\w-]+)"), re.compile(r"\brule:([\w:-]+)")
HINTS = {
    "public-cloud": "Only role admin makes and changes what is public-cloud.",
    "public-project": "public-project wants role architect in the project.",
}


def rules(service: Service) -> list[policy.RuleDefault]:
    """What the entry point oslo.policy.policies lists: the common rules, and one for each operation of the table."""
    operations: dict[str, dict[str, Any]] = {}
    for route in service.routes:
        if route.role is None:
            continue
        about = operations.setdefault(route.policy, {"role": route.role, "summary": route.summary, "paths": []})
        if about["role"] != route.role:
            raise ValueError(f"{route.verb} {route.path}: {route.policy} is for {about['role']} elsewhere, here for {route.role}")
        about["paths"] += [{"method": route.verb, "path": path} for path in (route.path, *route.also)]
    return COMMON + [
        policy.DocumentedRuleDefault(f"{service.name}:{name}", f"rule:{about['role']}", about["summary"], about["paths"])
        for name, about in operations.items()
    ]


def enforcer(service: Service, conf: cfg.ConfigOpts) -> policy.Enforcer:
    """The service's rules, with what its policy.yaml says otherwise."""
    opts.set_defaults(conf, policy_file="policy.yaml")
    made = policy.Enforcer(conf, default_rule="admin")
    made.suppress_default_change_warnings = True
    made.register_defaults(rules(service))
    return made


class Guard:
    """Asks the rules for one caller."""

    def __init__(self, enforcer: policy.Enforcer, context: Any):
        self._enforcer = enforcer
        self._context = context

    def may(self, rule: str, target: dict[str, Any] | None = None) -> bool:
        """Whether the rule lets the caller do it to the target."""
        return bool(self._enforcer.enforce(rule, target or {}, self._context))

    def demand(self, rule: str, target: dict[str, Any] | None = None, why: str = "") -> None:
        """Raise Forbidden, with the roles that would do, when the rule does not let the caller. `why` the rule is asked, as a sentence."""
        if not self.may(rule, target):
            hint = HINTS.get((target or {}).get("scope", "")) or f"{self._wants(rule)} `openstack role assignment list` shows yours."
            raise Forbidden(rule=rule, user=self._context.user_id, project=self._context.project_id,
                            roles=", ".join(sorted(self._context.roles)) or "none", hint=f"{why} {hint}".strip())  # fmt: skip

    def _wants(self, rule: str) -> str:
        roles = sorted(self._roles(rule), key=lambda role: (ROLES.index(role) if role in ROLES else len(ROLES), role))
        if not roles:
            return "The rule names no role; see the service's policy.yaml."
        return f"It wants role {roles[0]}." if len(roles) == 1 else f"It wants one of the roles {', '.join(roles)}."

    def _roles(self, rule: str) -> set[str]:
        """The roles that a rule names, as policy.yaml may have changed it, and the rules that it refers to."""
        found: set[str] = set()
        seen, row = {rule}, [rule]
        while row:
            text = str(self._enforcer.rules.get(row.pop(), ""))
            found.update(ROLE.findall(text))
            row += [other for other in RULE.findall(text) if other not in seen]
            seen.update(RULE.findall(text))
        return found


def space_of(scope: str, user: str, project: str) -> str:
    """Those among whom a name of that scope is unique, as they would meet it; at most 160 characters."""
    return {"private-project": f"user {user} in {project}", "private-cloud": f"user {user}", "public-project": f"project {project}",
            "public-cloud": "cloud"}[scope]  # fmt: skip


def visible(model: Any, context: Any) -> sa.ColumnElement[bool]:
    """The default of rule eden:see as SQL, for lists; a test holds the two together."""
    roles = {role.lower() for role in context.roles}
    if "admin" in roles:
        return sa.true()
    if not roles & set(ROLES):
        return sa.false()
    mine, here = model.user_id == context.user_id, model.project_id == context.project_id
    return sa.or_(
        sa.and_(model.scope == "private-project", mine, here),
        sa.and_(model.scope == "private-cloud", mine),
        sa.and_(model.scope == "public-project", here),
        model.scope == "public-cloud",
    )
