"""Commands that modules run on a node, and what the journal says about units."""

from __future__ import annotations

import os
import pwd
import subprocess

from .operation import BUNDLE, Failure


def run(argv, user=None, environment=None, timeout=600, service=None, secrets=(), accept=(0,)):
    """Output (stdout, str) of a command, run as `user` with the bundle's programs first on PATH.

    argv: list of str; secrets never belong there, pass them in `environment`. secrets: values to hide in a failure.
    Raises Failure with the last lines of the output for an exit status that is not in `accept`, or after `timeout`
    seconds.
    """
    try:
        done = subprocess.run(argv, env=_environment(user, environment), **_identity(user), cwd="/", timeout=timeout,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # fmt: skip
    except FileNotFoundError as error:
        raise Failure(
            f"there is no program {argv[0]}",
            service=service,
            next_step=f"look whether {BUNDLE} is in place: systemctl status opt-cloudos-*",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Failure(
            f"`{' '.join(argv)}` did not end within {timeout} s",
            service=service,
            log=_last(_text(error.stdout) + _text(error.stderr), secrets),
        ) from error
    if done.returncode not in accept:
        raise Failure(
            f"`{' '.join(argv)}` ended with status {done.returncode}",
            service=service,
            log=_last(done.stdout + done.stderr, secrets),
        )
    return done.stdout


def journal(unit, lines=20):
    """The unit's newest lines in the journal, oldest first; empty where there is no journal."""
    argv = ["journalctl", "--unit", unit, "--lines", str(lines), "--output", "cat", "--no-pager", "--quiet"]
    try:
        shown = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
    except FileNotFoundError:
        return []
    return shown.stdout.splitlines()


def _environment(user, extra):
    path = f"{BUNDLE}/bin:{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin:/bin"
    home = pwd.getpwnam(user).pw_dir if user else "/root"
    return {"PATH": path, "HOME": home, "LANG": "C.UTF-8", **(extra or {})}


def _identity(user):
    """Arguments of subprocess that make the command the user's, with its groups."""
    if not user or pwd.getpwnam(user).pw_uid == os.geteuid():
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": os.getgrouplist(user, entry.pw_gid)}


def _text(output):
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def _last(output, secrets, lines=20):
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        output = output.replace(secret, "***")
    return output.splitlines()[-lines:]
