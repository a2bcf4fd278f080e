"""Module dashboard_login with a browser that shows the pages of a table, and the real browser against a small server."""

import datetime
import http.server
import ssl
import threading
from urllib.parse import urlsplit

import pytest
import yaml
from ansible_collections.cloudos.cloud.plugins.module_utils import browser as browsers
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure
from ansible_collections.cloudos.cloud.plugins.modules import dashboard_login
from kit import run_module

from cloudos import pki

PASSWORD = "not-for-the-eyes-of-others"
ROOT = "https://cloud.test"
PANELS = {"Overview": "/project/", "Instances": "/project/instances/"}


class Dashboard:
    """Stands in for the browser: what pages hold is in the attributes."""

    def __init__(self):
        self.session, self.filled, self.at = False, {}, None
        self.failures, self.statuses, self.errors = {}, {}, {}
        self.servers, self.console, self.ends_session = {"web1": "/project/instances/1/"}, "Connected to QEMU", True

    def __call__(self, cafile, timeout):
        self.cafile = cafile
        return self

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        pass

    def open(self, url):
        self.at = urlsplit(url).path if self.session else "/auth/login/"
        return browsers.Page(f"{ROOT}{self.at}", self.statuses.get(self.at, 200), self.failures.get(self.at, []), 0.1)

    def fill(self, **values):
        self.filled = values

    def follow(self, selector):
        if selector == dashboard_login.LOGIN:
            self.session = self.filled["id_password"] == PASSWORD
        elif self.ends_session:
            self.session = False
        return self.open(f"{ROOT}/project/")

    def all(self, selector):
        inside = {
            dashboard_login.PANEL: [(name, ROOT + path) for name, path in PANELS.items()],
            dashboard_login.LOGOUT: [("Sign Out", f"{ROOT}/auth/logout/")],
            dashboard_login.SERVER: [(name, ROOT + path) for name, path in self.servers.items()],
            "#console_embed": [("", "https://cloud.test:6080/")] if self.console else [],
        }
        outside = {dashboard_login.LOGIN: [("Sign In", "")]}
        errors = [(text, "") for text in self.errors.get(self.at, [])]
        return errors if selector == dashboard_login.ERRORS else (inside if self.session else outside).get(selector, [])

    def wait_for_text(self, selector, start, frame=None):
        if not self.console.startswith(start):
            raise Failure(f"{selector} says {self.console!r}")
        return self.console


@pytest.fixture
def clouds(tmp_path, monkeypatch):
    """Writes clouds.yaml with cloud toy; gives its entry's authority."""
    auth = {"auth_url": f"{ROOT}:5000/v3", "username": "jo", "password": PASSWORD, "project_name": "p",
            "user_domain_name": "Default", "project_domain_name": "Default"}  # fmt: skip
    entry = {"auth": auth, "region_name": "RegionOne", "cacert": str(tmp_path / "ca.pem")}
    (tmp_path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"toy": entry}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))


@pytest.fixture
def dashboard(clouds, monkeypatch):
    made = Dashboard()
    monkeypatch.setattr(dashboard_login, "Browser", made)
    return made


def ask(**arguments):
    return run_module("dashboard_login", cloud="toy", **arguments)


@pytest.mark.parametrize("check", [True, False])
def test_everything_is_opened_and_nothing_changes(dashboard, check, tmp_path):
    result = ask(server="web1", check=check)
    assert not result.get("failed"), result
    assert result["changed"] is False and "diff" not in result
    assert [(panel["name"], panel["path"]) for panel in result["panels"]] == list(PANELS.items())
    assert result["console"] == "Connected to QEMU"
    assert dashboard.cafile == str(tmp_path / "ca.pem") and not dashboard.session
    assert dashboard.filled == {"id_username": "jo", "id_password": PASSWORD}


def test_without_a_server_no_console_is_opened(dashboard):
    dashboard.console = ""
    assert "console" not in ask()


def test_every_broken_panel_is_told(dashboard):
    dashboard.statuses["/project/instances/"] = 500
    dashboard.failures["/project/instances/"] = ["404 for https://cloud.test/static/x.js"]
    dashboard.errors["/project/instances/"] = ["Error: Unable to retrieve instances."]
    message = ask()["msg"]
    assert "horizon horizon.service: 1 of 2 panels are broken" in message
    for line in ("answered with 500", "404 for https://cloud.test/static/x.js", "Unable to retrieve instances"):
        assert f"Instances (/project/instances/): {line}" in message or line in message
    assert "Next step: read what it says on the control node: journalctl -u horizon" in message


def test_a_wrong_password_is_told_and_not_shown(dashboard, monkeypatch):
    def refuse(selector):
        dashboard.errors["/auth/login/"] = ["Invalid credentials."]
        return dashboard.open(ROOT)

    monkeypatch.setattr(dashboard, "follow", refuse)
    result = ask()
    assert "user jo is not let in" in result["msg"] and "Invalid credentials." in result["msg"]
    assert PASSWORD not in str(result)


def test_a_server_that_is_not_listed_is_told(dashboard):
    assert "server web2 is not in the list of instances" in ask(server="web2")["msg"]


def test_a_console_that_does_not_connect_is_told(dashboard):
    dashboard.console = "Something went wrong, connection is closed"
    message = ask(server="web1")["msg"]
    assert message.startswith("nova-novncproxy: the console of web1 does not connect") and "Something went wrong" in message


def test_a_session_that_outlives_its_end_is_told(dashboard):
    dashboard.ends_session = False
    assert "the session goes on after logging out" in ask()["msg"]


def test_an_unknown_cloud_is_told(clouds):
    result = run_module("dashboard_login", cloud="other")
    assert result["failed"] and "other" in result["msg"] and "Next step: name a cloud of clouds.yaml" in result["msg"]


def event(method, **said):
    return {"method": f"Network.{method}", "params": said}


def sent(request, path, type="XHR", frame="outer"):
    return event("requestWillBeSent", requestId=request, request={"url": ROOT + path}, type=type, frameId=frame)


def answered(request, path, status, type="XHR", frame="outer"):
    answer = {"url": ROOT + path, "status": status}
    return event("responseReceived", requestId=request, type=type, frameId=frame, response=answer)


def test_failures_are_read_from_what_the_browser_tells():
    events = [
        event("loadingFailed", requestId="0", errorText="net::ERR_ABORTED"),
        event("requestWillBeSent", requestId="9", request={"url": "chrome://new-tab-page/"}, type="Document", frameId="outer"),
        event("responseReceived", requestId="9", type="Document", frameId="outer", response={"url": "chrome://", "status": 404}),
        sent("1", "/p", type="Document"),
        answered("1", "/p", 200, type="Document"),
        sent("2", "/q?token=secret"),
        answered("2", "/q?token=secret", 503),
        sent("3", "/console", type="Document", frame="inner"),
        answered("3", "/console", 404, type="Document", frame="inner"),
        sent("4", "/api?token=secret"),
        event("loadingFailed", requestId="4", errorText="net::ERR_FAILED"),
        event("loadingFailed", requestId="4", errorText="net::ERR_ABORTED", canceled=True),
    ]
    assert browsers.answers(events) == (
        200,
        [f"503 for {ROOT}/q", f"404 for {ROOT}/console", f"net::ERR_FAILED for {ROOT}/api"],
    )
    assert browsers.answers([]) == (None, [])


def test_a_page_is_loaded_again_after_the_network_changed(monkeypatch):
    said = [Failure("cannot be opened", log=[f"{browsers.CHANGED} for {ROOT}"]), [f"{browsers.CHANGED} for {ROOT}/x"], []]
    browser = browsers.Browser(None)

    def visited(act, what):
        if isinstance(next_one := said.pop(0), Failure):
            raise next_one
        return browsers.Page(what, 200, next_one, 0.1)

    monkeypatch.setattr(browser, "_visited", visited)
    assert browser.open(ROOT).failures == [] and not said


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = (404, "") if self.path.startswith("/missing") else (200, "<p id=a>hello</p><script src=/missing.js></script>")
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site(tmp_path):
    """Address of a server whose certificate is of the authority in tmp_path/ca.pem."""
    now = datetime.datetime.now(datetime.UTC)
    authority, key = pki.make_ca(now)
    (tmp_path / "ca.pem").write_text(authority)
    (tmp_path / "node.pem").write_text("".join(pki.make_certificate("ctl1", ["127.0.0.1"], authority, key, now)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "node.pem")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.handle_error = lambda *arguments: None  # a browser that does not trust it leaves
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()


def test_the_real_browser_trusts_the_authority_and_sees_what_is_missing(site, tmp_path):
    with browsers.Browser(str(tmp_path / "ca.pem"), timeout=30) as browser:
        page = browser.open(site)
        assert page.status == 200 and f"404 for {site}missing.js" in page.failures
        assert browser.wait_for_text("#a", "hel") == "hello"
    with browsers.Browser(None, timeout=30) as stranger, pytest.raises(Failure, match="ERR_CERT_AUTHORITY_INVALID"):
        stranger.open(site)
