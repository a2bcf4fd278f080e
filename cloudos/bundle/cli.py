"""Commands around releases and bundles: lock, build, verify."""

from pathlib import Path

import click

from cloudos import home
from cloudos.bundle.artifact import Artifact
from cloudos.bundle.build import Build
from cloudos.bundle.errors import BundleError
from cloudos.bundle.lock import make_lock
from cloudos.bundle.release import load_locked, load_release

ROOT = Path(__file__).parents[2]
DIRECTORY = click.Path(path_type=Path, exists=True, file_okay=False)


class Commands(click.Group):
    """Tells a BundleError as one message instead of a traceback."""

    def invoke(self, context):
        try:
            return super().invoke(context)
        except BundleError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands)
@click.option("--releases", type=DIRECTORY, default=ROOT / "releases", help="Directory of the releases.")
@click.pass_context
def bundle(context, releases):
    """Locks of a release, and the bundle made from one."""
    context.obj = {"releases": releases}


@bundle.command()
@click.argument("series")
@click.option(
    "--constraints",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="The upper constraints that the series publishes.",
)
@click.option("--upgrade", is_flag=True, help="Forget the pins of the newest lock.")
@click.option(
    "--replace", is_flag=True, help="Rewrite the newest lock, which nobody uses yet, instead of making the next one."
)
@click.pass_obj
def lock(settings, series, constraints, upgrade, replace):
    """Resolve SERIES and write the lock of its next patch level."""
    release, _ = load_release(settings["releases"], series)
    patch_level, changed = make_lock(release, constraints, upgrade, replace)
    click.echo(f"{release.lock(patch_level)}: {'written' if changed else 'unchanged'}")


@bundle.command()
@click.argument("release")
@click.option("--services", type=DIRECTORY, default=ROOT / "services", help="Directory of the service files.")
@click.option("--plugins", type=DIRECTORY, default=ROOT / "plugins", help="Directory of the plugin files.")
@click.pass_obj
def build(settings, release, services, plugins):
    """Build the bundle of RELEASE, a series or a patch level, unless it is there."""
    loaded, patch_level = load_locked(settings["releases"], release)
    work = Build(loaded, patch_level, services, plugins, home.root(), say=click.echo)
    click.echo(f"{work.artifact.path('sqfs')}: {'built' if work.make() else 'unchanged'}")
    work.check_options()


@bundle.command()
@click.argument("release")
@click.pass_obj
def verify(settings, release):
    """Check the signature and every hash of the bundle of RELEASE."""
    loaded, patch_level = load_locked(settings["releases"], release)
    artifact = Artifact(home.root() / "bundles", patch_level, "cp" + loaded.python.replace(".", ""))
    artifact.verify(home.root() / "keys" / "bundle.pub")
    click.echo(f"{artifact.path('sqfs')}: right")
