"""A real browser without a screen: Chromium, driven by Selenium. It tells of each page what a person would see, and what
went wrong below: answers of 400 and above, and requests that got none, of the page and of all that it loads."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
FLAGS = ("--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--window-size=1600,1200", "--lang=en")
# This machine got or lost an interface, somewhere: Chromium drops all connections, and a person loads the page again.
CHANGED = "net::ERR_NETWORK_CHANGED"
# Loaded, and neither jQuery nor Angular waits for an answer.
IDLE = """
const injector = window.angular && angular.element(document.body).injector();
return document.readyState === "complete" && !(window.jQuery && jQuery.active)
    && !(injector && injector.get("$http").pendingRequests.length);
"""


class Page:
    """What a visit found: where it ended, its HTTP status, what failed and why (list of lines), and the seconds it took."""

    def __init__(self, url, status, failures, seconds):
        self.path, self.status, self.failures, self.seconds = urlsplit(url).path, status, failures, seconds


class Browser:
    """Trusts the authority in file `cafile` besides the public ones; use it as a context, and it goes away with it."""

    def __init__(self, cafile, timeout=60):
        self.cafile, self.timeout = cafile, timeout

    def __enter__(self):
        self.home = tempfile.TemporaryDirectory(prefix="cloudos-browser-")
        try:
            if self.cafile:
                self._trust()
            self.driver = self._start()
        except BaseException:
            self.home.cleanup()
            raise
        return self

    def __exit__(self, *reason):
        self.driver.quit()
        self.home.cleanup()

    def open(self, url):
        """Go to an address; raises Failure where nothing answers there that the browser trusts."""
        for last in (False, False, True):
            try:
                page = self._visited(lambda: self.driver.get(url), url)
            except Failure as failure:
                if last or not any(CHANGED in line for line in failure.facts["log"]):
                    raise
                continue
            if last or not any(CHANGED in line for line in page.failures):
                break
        return page

    def follow(self, selector):
        """Click what a CSS selector names, and see where that leads."""
        from selenium.webdriver.common.by import By

        element = self.driver.find_element(By.CSS_SELECTOR, selector)
        return self._visited(lambda: self.driver.execute_script("arguments[0].click()", element), selector)

    def fill(self, **values):
        """Write into the fields with these ids."""
        from selenium.webdriver.common.by import By

        for name, value in values.items():
            self.driver.find_element(By.ID, name).send_keys(value)

    def all(self, selector):
        """[(text, absolute address)] of all elements that a CSS selector names, visible or not."""
        script = "return [...document.querySelectorAll(arguments[0])].map(e => [e.textContent, e.href || e.src || ''])"
        found = self.driver.execute_script(script, selector)
        return [(" ".join(text.split()), address) for text, address in found]

    def wait_for_text(self, selector, start, frame=None):
        """The text of an element once it starts with `start`; raises Failure with what it said at last.

        frame: CSS selector of the frame that the element is in."""
        from selenium.common.exceptions import NoSuchElementException
        from selenium.webdriver.common.by import By

        deadline, text = time.monotonic() + self.timeout, ""
        if frame:
            self.driver.switch_to.frame(self.driver.find_element(By.CSS_SELECTOR, frame))
        try:
            while True:
                try:
                    text = self.driver.find_element(By.CSS_SELECTOR, selector).text
                except NoSuchElementException:
                    text = ""
                if text.startswith(start):
                    return text
                if time.monotonic() > deadline:
                    raise Failure(f"{selector} of {frame or 'the page'} says {text!r} instead of {start!r} after {self.timeout} s")
                time.sleep(0.2)
        finally:
            self.driver.switch_to.default_content()

    def _visited(self, act, what):
        from selenium.common.exceptions import TimeoutException, WebDriverException

        start = time.monotonic()
        self.driver.get_log("performance")  # of former pages
        try:
            act()
            self._settle(start)
        except TimeoutException as error:
            raise Failure(f"{what} is not there after {self.timeout} s") from error
        except WebDriverException as error:
            raise Failure(f"{what}: {(error.msg or '').splitlines()[0]}") from error
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        status, failures = answers(events)
        if status is None:
            raise Failure(f"{what} cannot be opened", log=failures)
        return Page(self.driver.current_url, status, failures, round(time.monotonic() - start, 1))

    def _settle(self, start):
        """Until the page has been idle at two looks in a row, so that a request that another one leads to is seen too."""
        from selenium.common.exceptions import JavascriptException, TimeoutException

        idle = 0
        while idle < 2:
            if time.monotonic() - start > self.timeout:
                raise TimeoutException
            time.sleep(0.1)
            try:
                idle = idle + 1 if self.driver.execute_script(IDLE) else 0
            except JavascriptException:  # between two pages
                idle = 0

    def _trust(self):
        """Make the authority known where Chromium looks for a user's own."""
        database = Path(self.home.name, ".pki", "nssdb")
        database.mkdir(parents=True)
        for arguments in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "cloudos", "-i", self.cafile]):
            command = ["certutil", "-d", f"sql:{database}", *arguments]
            try:
                subprocess.run(command, check=True, capture_output=True, text=True)
            except FileNotFoundError as error:
                raise Failure("certutil is not installed", next_step="install the Debian package libnss3-tools") from error
            except subprocess.CalledProcessError as error:
                raise Failure(f"{self.cafile} cannot be made known to the browser", log=error.stderr.splitlines()) from error

    def _start(self):
        try:
            from selenium import webdriver
            from selenium.common.exceptions import WebDriverException
        except ImportError as error:
            raise Failure("Selenium is not installed beside Ansible", next_step="run `make env`, or install selenium") from error
        for program in (CHROMIUM, DRIVER):
            if not os.access(program, os.X_OK):
                raise Failure(f"{program} is not installed", next_step="install the Debian packages chromium and chromium-driver")
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        # The sandbox of a browser that runs as root does not start.
        for flag in (*FLAGS, f"--user-data-dir={self.home.name}/profile", *(["--no-sandbox"] if os.geteuid() == 0 else [])):
            options.add_argument(flag)
        options.accept_insecure_certs = False
        options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
        service = webdriver.ChromeService(DRIVER, env={**os.environ, "HOME": self.home.name})
        try:
            driver = webdriver.Chrome(options=options, service=service)
        except WebDriverException as error:
            raise Failure("the browser does not start", log=(error.msg or "").splitlines()[:10]) from error
        driver.set_page_load_timeout(self.timeout)
        driver.set_script_timeout(self.timeout)
        return driver


def answers(events):
    """(status of the page, None where the browser shows an error of its own instead; failures) from network events.

    Addresses are told without their query, which may hold a token. Requests of former pages, whose beginning is not
    among the events, and those of the browser's own pages are left out."""
    status, failures, asked, main = None, [], {}, None
    for event in events:
        said, request = event["params"], event["params"].get("requestId")
        if event["method"] == "Network.requestWillBeSent" and said["request"]["url"].startswith("http"):
            asked[request] = said["request"]["url"]
            main = main or (said.get("type") == "Document" and said["frameId"]) or None
        elif event["method"] == "Network.responseReceived" and request in asked:
            answer = said["response"]
            if said["type"] == "Document" and said["frameId"] == main:
                status = answer["status"]
            if answer["status"] >= 400:
                failures.append(f"{answer['status']} for {plain(answer['url'])}")
        elif event["method"] == "Network.loadingFailed" and request in asked and not said.get("canceled"):
            failures.append(f"{said['errorText']} for {plain(asked[request])}")
    return status, failures


def plain(url):
    """An address without query and fragment."""
    return urlsplit(url)._replace(query="", fragment="").geturl()
