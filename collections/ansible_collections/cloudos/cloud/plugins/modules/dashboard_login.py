"""Module dashboard_login: a browser logs in to the dashboard, opens every panel, an instance's console, and logs out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: dashboard_login
short_description: Prove in a browser that the dashboard works
description:
  - Logs in to Horizon with a real browser (Chromium, without a screen) that trusts the cloud's own authority, and opens
    every panel that the side bar offers.
  - A panel is broken when its page, or anything that the page loads, is answered with a status of 400 or above or not at
    all, or when the page shows an error message. All broken panels are told at once.
  - With O(server), that server must be in the list of instances, and its console must connect within the page.
  - Logs out in the end, and makes sure that the session is over. Changes nothing.
options:
  url:
    description: Address of the dashboard; default is HTTPS on the host that Keystone is on.
    type: str
  cloud:
    description: Name of the cloud in clouds.yaml, whose user logs in with its password.
    type: str
    required: true
  server:
    description: Name of a running server of the user's project.
    type: str
  timeout:
    description: Seconds that a page may take, and the console until it is connected.
    type: int
    default: 60
requirements:
  - Debian packages chromium, chromium-driver and libnss3-tools, and selenium, where the module runs
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: The dashboard, in a browser
  cloudos.cloud.dashboard_login:
    cloud: mycloud
    server: web1
"""

RETURN = r"""
panels:
  description: The panels that were opened, each with O(ignore:name), C(path) and C(seconds).
  type: list
  elements: dict
  returned: success
console:
  description: What the console says once it is connected.
  type: str
  returned: when O(server) is given
"""

from urllib.parse import urljoin, urlsplit

from ansible_collections.cloudos.cloud.plugins.module_utils.browser import Browser
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure, Look

JOURNAL = "read what it says on the control node: journalctl -u horizon"
LOGIN = "#loginBtn"
PANEL = "a.openstack-panel"
SERVER = "#instances td a[href*='/project/instances/']"  # further links of the row open menus
ERRORS = ".alert-danger"
LOGOUT = "form[action$='/auth/logout/'] button, a[href$='/auth/logout/']"  # a link in former releases


class DashboardLogin(Look):
    spec = {
        "url": {"type": "str"},
        "cloud": {"type": "str", "required": True},
        "server": {"type": "str"},
        "timeout": {"type": "int", "default": 60},
    }

    def result(self, step):
        entry = self.entry()
        keystone = urlsplit(entry["auth"]["auth_url"])
        self.url = self.params["url"] or f"https://{keystone.netloc.removesuffix(f':{keystone.port}')}/"
        with Browser(entry.get("cacert"), self.params["timeout"]) as self.browser:
            self.log_in(entry["auth"])
            seen = {"panels": self.open_panels()}
            if self.params["server"]:
                seen["console"] = self.open_console()
            self.log_out()
        return seen

    def entry(self):
        """The cloud's entry in clouds.yaml."""
        from openstack.config import OpenStackConfig
        from openstack.exceptions import ConfigException

        try:
            return OpenStackConfig().get_one(self.params["cloud"]).config
        except ConfigException as error:
            raise Failure(str(error), next_step="name a cloud of clouds.yaml") from error

    def log_in(self, auth):
        """Through the form, as a person does; raises Failure with what the dashboard says where that fails."""
        self.module.no_log_values.add(auth["password"])
        self.whole(self.browser.open(self.url), "the login page")
        if not self.browser.all(LOGIN):
            self.fail(f"there is no form to log in with at {self.url}")
        fields = {"id_username": auth["username"], "id_password": auth["password"]}
        if self.browser.all("#id_domain"):
            fields["id_domain"] = auth["user_domain_name"]
        self.browser.fill(**fields)
        page = self.browser.follow(LOGIN)
        if self.browser.all(LOGIN):
            self.fail(f"user {auth['username']} is not let in", log=self.errors())
        self.whole(page, "the first page")

    def open_panels(self):
        """[{name, path, seconds}]; raises Failure with all that are broken."""
        offered = dict.fromkeys(self.browser.all(PANEL))
        if not offered:
            self.fail("the side bar offers no panel")
        seen, broken = [], []
        for name, address in offered:
            page = self.browser.open(address)
            seen.append({"name": name, "path": page.path, "seconds": page.seconds})
            broken += [f"{name} ({urlsplit(address).path}): {line}" for line in self.complaints(page)]
        if broken:
            names = len({line.partition(":")[0] for line in broken})
            self.fail(f"{names} of {len(seen)} panels are broken", log=broken)
        return seen

    def open_console(self):
        """What the console of the server says, opened from the list of instances."""
        name = self.params["server"]
        self.whole(self.browser.open(urljoin(self.url, "project/instances/")), "the list of instances")
        address = dict(self.browser.all(SERVER)).get(name)
        if address is None:
            self.fail(f"server {name} is not in the list of instances")
        self.whole(self.browser.open(f"{address}?tab=instance_details__console"), f"the console page of {name}")
        if not self.browser.all("#console_embed"):
            self.fail(f"the page of {name} has no console", log=self.errors())
        try:
            return self.browser.wait_for_text("#status", "Connected to", frame="#console_embed")
        except Failure as failure:
            raise Failure(f"the console of {name} does not connect in the browser: {failure.facts['cause']}",
                          unit="nova-novncproxy", next_step="read its journal on the control node: journalctl -u nova-novncproxy"
                          ) from failure

    def log_out(self):
        """By the user's menu; raises Failure where the session goes on all the same."""
        if not self.browser.all(LOGOUT):
            self.fail("the page offers no way to log out")
        self.whole(self.browser.follow(LOGOUT), "the page after logging out")
        self.browser.open(urljoin(self.url, "project/"))
        if not self.browser.all(LOGIN):
            self.fail("the session goes on after logging out")

    def whole(self, page, what):
        """Raises Failure where anything of a page is broken."""
        if complaints := self.complaints(page):
            self.fail(f"{what} is broken", log=complaints)

    def complaints(self, page):
        """What is wrong with the page that the browser shows."""
        status = [] if page.status == 200 else [f"the page itself is answered with {page.status}"]
        return list(dict.fromkeys([*status, *page.failures, *self.errors()]))

    def errors(self):
        """The error messages that the page shows."""
        return [text for text, _ in self.browser.all(ERRORS) if text]

    def fail(self, cause, log=()):
        raise Failure(cause, service="horizon", unit="horizon.service", log=log, next_step=JOURNAL)


def main():
    DashboardLogin.main()


if __name__ == "__main__":
    main()
