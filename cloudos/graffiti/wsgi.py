"""What gunicorn serves."""

from cloudos.eden.app import make_app
from cloudos.graffiti.service import SERVICE

application = make_app(SERVICE)
