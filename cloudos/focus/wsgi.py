"""The WSGI application: `gunicorn cloudos.focus.wsgi:application`."""

from cloudos.eden.app import make_app
from cloudos.focus.service import SERVICE

application = make_app(SERVICE)
