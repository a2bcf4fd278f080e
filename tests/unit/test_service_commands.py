"""Commands of the services: nobody who asks what they do needs a cloud, and whoever uses them without one is told how."""

import os

import pytest
from click.testing import CliRunner

from cloudos.cli import main


@pytest.fixture
def run(monkeypatch, tmp_path):
    """A command without any cloud and without a service of one's own; its exit code and output."""
    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CLOUDOS_HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["pytest"])

    def call(*words):
        done = CliRunner().invoke(main, words)
        return done.exit_code, done.output

    return call


@pytest.mark.parametrize("words", [("focus", "show"), ("eve", "topology", "deploy"), ("eve", "job", "retry"), ("graffiti", "job", "list")])
def test_help_needs_no_cloud(run, words):
    code, output = run(*words, "--help")
    assert code == 0 and "Usage:" in output


@pytest.mark.parametrize("words", [("focus", "search", "web"), ("eve", "topology", "list"), ("graffiti", "job", "list")])
def test_without_a_cloud_the_way_is_told(run, words):
    code, output = run(*words)
    assert code == 2 and f"{words[0]}-manage --embedded serve" in output


def test_a_missing_argument_is_told_before_the_cloud_is_asked_for(run):
    code, output = run("eve", "topology", "deploy")
    assert code == 2 and "Missing argument 'NAME'" in output


def test_a_cloud_that_is_not_known_is_told(run):
    code, output = run("eve", "topology", "--cloud", "nowhere", "list")
    assert code == 1 and "nowhere" in output and "OS_CLIENT_CONFIG_FILE" in output


def test_a_cloud_without_any_clouds_yaml_is_told(run, monkeypatch, tmp_path):
    """The SDK then makes a cloud of what it finds in the environment, which is nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    monkeypatch.setenv("OS_CLOUD", "nowhere")
    code, output = run("focus", "search", "web")
    assert code == 1 and "Name an entry of clouds.yaml with --cloud or OS_CLOUD" in output
