"""Eden: what the services Focus, Graffiti and Eve have in common, so that each is a table of routes, models and handlers.

It knows neither TOSCA nor any of the services. `docs/reference/eden.md` shows how a service is made with it.
"""
