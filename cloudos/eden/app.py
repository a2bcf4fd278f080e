"""The app factory: a Flask application from a service's table of routes, and the WSGI layers around it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from importlib import resources
from typing import Any

import flask
from oslo_config import cfg
from oslo_db.exception import DBConnectionError, DBError
from oslo_log import log
from oslo_middleware import http_proxy_to_wsgi, request_id
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.http import parse_accept_header
from werkzeug.routing import RequestRedirect

from cloudos.eden import audit, auth, config, problems
from cloudos.eden.call import Call
from cloudos.eden.metrics import Metrics
from cloudos.eden.openapi import document
from cloudos.eden.policy import Guard
from cloudos.eden.problems import MEDIA, Problem
from cloudos.eden.routes import common_routes
from cloudos.eden.runtime import Runtime, log_setup
from cloudos.eden.schemas import Schemas
from cloudos.eden.service import JSON, Answer, Route, Service

LOG = log.getLogger(__name__)
SECURE = {
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}  # fmt: skip
NO_BODY = (204, 304)


def make_app(service: Service, conf: cfg.ConfigOpts | None = None, migrate: bool = False) -> flask.Flask:
    """The application of a service; `app.runtime` is its Runtime. conf None: read as the service's command would."""
    if conf is None:
        conf = config.load(service)
        log_setup(conf, service)
    return Application(service, conf, migrate).flask


class Application:
    """Binds the routes and carries requests to handlers: caller, rate, shape, transaction, answer, audit, metrics."""

    def __init__(self, service: Service, conf: cfg.ConfigOpts, migrate: bool):
        self.service, self.conf = service, conf
        self.runtime = Runtime(service, conf)
        if migrate:
            self.runtime.db_sync()
        self.schemas = Schemas(service.schemas)
        self.metrics = Metrics(service.name)
        self.flask = flask.Flask(f"{service.name}-api", static_folder=None)
        self.flask.runtime, self.flask.metrics = self.runtime, self.metrics
        self.flask.config["MAX_CONTENT_LENGTH"] = conf.api.max_request_size
        self.flask.url_map.strict_slashes = False
        for route in service.routes:
            for path in (route.path, *route.also):
                name = f"{route.verb} {path}"
                self.flask.add_url_rule(path, name, self._view(route), methods=[route.verb], provide_automatic_options=False)
        self.flask.openapi = document(service)
        self.flask.register_error_handler(Exception, self._failed)
        self.flask.wsgi_app = self._layers(self.flask.wsgi_app)

    def _layers(self, application: Callable) -> Callable:
        """From outside in: the proxy's headers, the request's id, Keystone."""
        application = auth.protect(application, self.conf)
        return http_proxy_to_wsgi.HTTPProxyToWSGI(request_id.RequestId(application, self.conf), self.conf)

    def _view(self, route: Route) -> Callable[..., flask.Response]:
        def view(**path: Any) -> flask.Response:
            flask.g.began, flask.g.route = time.monotonic(), route
            flask.g.context = self._context(route)
            self.runtime.rate.take(flask.g.context.user_id or flask.request.remote_addr or "")
            return self._finish(route, self._answer(route, path))

        return view

    def _context(self, route: Route) -> Any:
        environ = flask.request.environ
        return auth.anybody(environ) if self._open(route) else auth.context(environ, self.conf)

    def _open(self, route: Route) -> bool:
        return route.role is None or bool(route.opened_by and self.conf.api[route.opened_by])

    def _answer(self, route: Route, path: dict[str, Any]) -> flask.Response:
        """Judge the request, run the handler in a transaction, audit it there, and do what comes after the commit."""
        flask.g.guard = guard = Guard(self.runtime.enforcer, flask.g.context)
        if not self._open(route):
            guard.demand(f"{self.service.name}:{route.policy}")
        request = flask.request
        fixed = {
            "query": self.schemas.query(request.args.items(multi=True), route.query, route.needs),
            "body": self._body(route), "path": self._path(path), "headers": self._headers(route), "accepts": self._accepts(route),
            "media": request.mimetype or None,
            "if_match": _tags("If-Match"), "last_event": request.headers.get("Last-Event-ID"),
        }  # fmt: skip

        def once(session: Any) -> tuple[Call, Answer]:
            flask.g.call = call = Call(self.runtime, route, flask.g.context, guard, session, request.path, **fixed)
            answer = route.handler(call)
            answer = answer if isinstance(answer, Answer) else Answer(answer)
            session.flush()
            audit.record(session, call, answer.status or route.status)
            return call, answer

        try:
            call, answer = self.runtime.db.transact(once, reading=not route.keeps)
        except StaleDataError:
            raise problems.PreconditionFailed(what=request.path, etag="another version") from None
        for after in call.after:
            after()
        return self._response(route, answer)

    def _path(self, path: dict[str, Any]) -> dict[str, Any]:
        for name, value in path.items():
            if isinstance(value, str) and (len(value) > 255 or "\0" in value):
                raise problems.BadRequest(what="The path", errors=[{"pointer": name, "message": "is too long, or has a zero byte"}])
        return path

    def _headers(self, route: Route) -> dict[str, str]:
        found = {name: flask.request.headers[name] for name in route.headers if name in flask.request.headers}
        for name, value in found.items():
            self.schemas.judge(f"The header {name}", value, route.headers[name])
        return found

    def _body(self, route: Route) -> Any:
        data = flask.request.get_data(cache=False)
        media = flask.request.mimetype
        if route.body is None and route.takes == (JSON,):
            return None
        if not data and route.optional_body:
            return None
        if "*/*" not in route.takes and media not in route.takes:
            raise problems.UnsupportedMedia(offered=" or ".join(route.takes), media=media or "no media type")
        if media != JSON or route.body is None:
            return data
        return self._json(data, route.body)

    def _json(self, data: bytes, schema: dict) -> Any:
        try:
            body = json.loads(data, parse_constant=_no_constant)
            _no_zero(body)
        except (ValueError, RecursionError) as error:
            raise problems.Malformed(reason=str(error) or "it is nested too deeply", wanted="JSON in UTF-8") from None
        self.schemas.judge("The body", body, schema)
        return body

    def _accepts(self, route: Route) -> str:
        wanted = parse_accept_header(flask.request.headers.get("Accept") or "*/*")
        best = next((kind for kind, _ in wanted if kind in route.gives), None)
        if "*/*" in route.gives:
            return best or route.gives[0]
        chosen = wanted.best_match(route.gives) if not any(kind == "*/*" for kind, _ in wanted) else best or route.gives[0]
        if chosen is None:
            raise problems.NotAcceptable(offered=" or ".join(route.gives))
        return chosen

    def _response(self, route: Route, answer: Answer) -> flask.Response:
        status, body = answer.status or route.status, answer.body
        headers = Headers(list(answer.headers.items()))
        if answer.etag:
            headers["ETag"] = f'"{answer.etag}"'
            headers["Cache-Control"] = "private, no-cache"
            if flask.request.method == "GET" and (_tags("If-None-Match") or set()) & {answer.etag, "*"}:
                return flask.Response(status=304, headers=headers)
        if isinstance(body, dict):
            body = json.dumps(body, ensure_ascii=False)
        if body is None and status not in NO_BODY:
            status = 204 if status == 200 else status
        mimetype = None if body is None else answer.media or JSON
        return flask.Response(body, status=status, headers=headers, content_type=mimetype)

    def _finish(self, route: Route, response: flask.Response) -> flask.Response:
        for name, value in SECURE.items():
            response.headers.setdefault(name, value)
        response.headers["X-Openstack-Request-Id"] = flask.request.environ.get("openstack.request_id", "")
        self.metrics.request(route, response.status_code, time.monotonic() - flask.g.began)
        return response

    def _failed(self, error: Exception) -> flask.Response:
        """Every error as a problem; those that nobody foresaw are logged with their traceback, and tell only where to look."""
        if isinstance(error, RequestRedirect):
            return error.get_response()
        problem = self._problem(error)
        request = flask.request
        flask.g.setdefault("began", time.monotonic())
        number = request.environ.get("openstack.request_id", "")
        body = json.dumps(problem.body(request.path, number), ensure_ascii=False)
        response = flask.Response(body, status=problem.status, headers=problem.headers, content_type=MEDIA)
        route = flask.g.get("route") or Route(request.method, "unknown", lambda call: None, "unknown", "")
        audit.refused(self.runtime, route, flask.g.get("context"), flask.g.get("call"), problem, number)
        return self._finish(route, response)

    def _problem(self, error: Exception) -> Problem:
        request = flask.request
        if isinstance(error, Problem):
            return error
        if isinstance(error, MethodNotAllowed):
            allowed = ", ".join(sorted(error.valid_methods or ()))
            return problems.NoMethod(headers={"Allow": allowed}, path=request.path, verb=request.method, allowed=allowed)
        if isinstance(error, RequestEntityTooLarge):
            return problems.TooLarge(limit=self.conf.api.max_request_size)
        if isinstance(error, HTTPException) and error.code == 404:
            return problems.NoRoute(path=request.path)
        if isinstance(error, HTTPException) and error.code == 400:
            return problems.Malformed(reason=error.description, wanted="a whole request")
        if isinstance(error, DBConnectionError):
            LOG.error("The database does not answer: %s", error)
            return problems.Unavailable(headers={"Retry-After": "5"}, reason="The database does not answer.", seconds=5)
        # The statement of a database's error is not for callers; the log has it.
        LOG.exception("%s %s failed%s", request.method, request.path, ": " + str(error) if isinstance(error, DBError) else "")
        return Problem()


def complete(service_routes: Iterable[Route], name: str) -> tuple[Route, ...]:
    """A service's routes with those that every service has: jobs, quotas, audit, health, metrics, description."""
    return (*service_routes, *common_routes(name, resources.files("cloudos.eden") / "tryit"))


def _tags(header: str) -> frozenset[str] | None:
    """The ETags of a header, without quotes and marks of weakness; None where it is missing."""
    text = flask.request.headers.get(header)
    if text is None:
        return None
    return frozenset(part.strip().removeprefix("W/").strip('"') for part in text.split(","))


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _no_zero(value: Any) -> None:
    """Text that no database keeps as it is: zero bytes and halves of surrogate pairs."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("a text has a zero byte")
        value.encode("utf-8", "strict")
    elif isinstance(value, dict):
        for key, item in value.items():
            _no_zero(key)
            _no_zero(item)
    elif isinstance(value, list):
        for item in value:
            _no_zero(item)
