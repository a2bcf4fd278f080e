"""Errors as RFC 9457 problems. What goes wrong has a class here or in a service; one function of the app renders it."""

from __future__ import annotations

import string
from typing import Any

MEDIA = "application/problem+json"


class Problem(Exception):
    """An error for the caller. `code` never changes; `text` names the thing and the next step, filled from the facts.

    facts `errors`: a list of {pointer, message}, shown beside the text. `headers`: sent with the answer.
    """

    code, status, title = "internal", 500, "Internal error"
    text = "The service failed; request {request_id} in its log tells why."

    def __init__(self, headers: dict[str, str] | None = None, **facts: Any):
        self.headers = headers or {}
        self.facts = facts
        super().__init__(string.Formatter().vformat(self.text, (), _Facts(facts)))

    def body(self, instance: str, request_id: str) -> dict[str, Any]:
        """The problem as RFC 9457 has it, with our code, the request's id and what else is known."""
        shown = {key: value for key, value in self.facts.items() if key != "request_id"}
        return {
            **shown, "type": f"urn:cloudos:problem:{self.code}", "code": self.code, "title": self.title,
            "status": self.status, "detail": self.detail(request_id), "instance": instance, "request_id": request_id,
        }  # fmt: skip

    def detail(self, request_id: str) -> str:
        """The text; the id of the request is known only when the problem is rendered."""
        return str(self).replace("{request_id}", request_id)


class _Facts(dict):
    def __missing__(self, key: str) -> str:
        return "{%s}" % key


class BadRequest(Problem):
    """What was sent does not have the shape that the route's schema asks for."""

    code, status, title = "request.invalid", 400, "Invalid request"
    text = "{what} is not as the interface describes it; `errors` names each place, /openapi.json the wanted shape."


class Malformed(Problem):
    """A body that cannot be read at all."""

    code, status, title = "request.malformed", 400, "Malformed request"
    text = "The body cannot be read: {reason}. Send {wanted}."


class Unauthenticated(Problem):
    """No token, or one that Keystone does not take."""

    code, status, title = "auth.required", 401, "Not authenticated"
    text = "{reason} Send a valid token of a project in X-Auth-Token; `openstack token issue` makes one."


class Forbidden(Problem):
    """The caller sees the thing, yet may not do this to it."""

    code, status, title = "auth.forbidden", 403, "Forbidden"
    text = "Rule {rule} does not let {user} do this with the roles {roles} in project {project}. {hint}"


class NoRoute(Problem):
    """No such path."""

    code, status, title = "route.unknown", 404, "No such path"
    text = "{path} is not a path of this service; /openapi.json lists them."


class NotFound(Problem):
    """No such thing, or one that the caller may not see."""

    code, status, title = "not_found", 404, "Not found"
    text = "No {what} {id}, or you may not see it. GET {list} lists those that you see."


class NoMethod(Problem):
    """The path has no such verb."""

    code, status, title = "route.method", 405, "Verb not allowed"
    text = "{path} does not take {verb}; it takes {allowed}."


class NotAcceptable(Problem):
    """None of the media types asked for can be had."""

    code, status, title = "request.not_acceptable", 406, "Not acceptable"
    text = "The answer comes as {offered}; name one of these in Accept."


class Conflict(Problem):
    """The thing's state does not allow it."""

    code, status, title = "conflict", 409, "Conflict"
    text = "{reason}"


class PreconditionFailed(Problem):
    """Somebody else changed the thing since it was read."""

    code, status, title = "precondition.failed", 412, "Changed meanwhile"
    text = "{what} is at {etag} now, not at what If-Match names: read it again, and repeat the change on that."


class TooLarge(Problem):
    """A body over the limit."""

    code, status, title = "request.too_large", 413, "Too large"
    text = "The body is longer than the {limit} bytes that [api] max_request_size allows."


class UnsupportedMedia(Problem):
    """A body of a media type that the route does not take."""

    code, status, title = "request.media_type", 415, "Unsupported media type"
    text = "This takes {offered}, not {media}; set Content-Type."


class PreconditionRequired(Problem):
    """A change without saying of what."""

    code, status, title = "precondition.required", 428, "If-Match is required"
    text = "Send If-Match with the ETag of {what} as you read it, so that no change of others is lost."


class TooManyRequests(Problem):
    """More requests than the rate that one user may have."""

    code, status, title = "request.rate", 429, "Too many requests"
    text = "More than {rate} requests a second; wait {seconds} s."


class OverQuota(Problem):
    """The project has as many as it may."""

    code, status, title = "quota.exceeded", 403, "Over quota"
    text = "Project {project} has {used} of {limit} {resource}. Delete some, or let an administrator raise it: PUT /v1/quotas/{project}."


class Unavailable(Problem):
    """Something that the service needs does not answer."""

    code, status, title = "unavailable", 503, "Not available now"
    text = "{reason} Try again in {seconds} s."


def known(parent: type[Problem] = Problem) -> list[type[Problem]]:
    """Every problem that is defined in what is imported, by code."""
    found = {parent.code: parent}
    for child in parent.__subclasses__():
        found.update({problem.code: problem for problem in known(child)})
    return [found[code] for code in sorted(found)]
