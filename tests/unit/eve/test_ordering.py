"""What an order keeps for its job."""

from types import SimpleNamespace

import sqlalchemy as sa
from oslo_config import cfg
from oslo_db import options

from cloudos.eden.db import Database
from cloudos.eve.api.ordering import Wanted
from cloudos.eve.models import Design


def test_two_orders_of_a_new_design_at_once_keep_it_once(tmp_path):
    """The second has looked before the first had kept it."""
    conf = cfg.ConfigOpts()
    conf.register_opts(options.database_opts, group="database")
    conf(args=[], default_config_files=[])
    conf.set_override("connection", f"sqlite:///{tmp_path}/data.db", group="database")
    db = Database(conf)
    Design.__table__.create(db.engine)
    order = Wanted({"design": {"sha256": "0" * 64}}, {}, b"archive")
    with db.session() as session:
        order.keep(SimpleNamespace(session=session))
    with db.session() as session:
        unseen = SimpleNamespace(get=lambda *_: None, add=session.add, begin_nested=session.begin_nested)
        order.keep(SimpleNamespace(session=unseen))
        assert session.scalar(sa.select(sa.func.count()).select_from(Design)) == 1
