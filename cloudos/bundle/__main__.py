"""`python -m cloudos.bundle`: the same commands as `cloudos bundle`."""

from cloudos.bundle.cli import bundle

bundle(prog_name="cloudos bundle")
