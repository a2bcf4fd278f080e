"""The WSGI application: `gunicorn cloudos.eve.wsgi:application`."""

from cloudos.eden.app import make_app
from cloudos.eve.service import SERVICE

application = make_app(SERVICE)
