"""What goes wrong in Graffiti, for callers."""

from __future__ import annotations

from cloudos.eden.problems import Problem


class DictionaryWrong(Problem):
    """Types or namespaces that do not hold together; nothing of the batch was stored."""

    code, status, title = "dictionary.invalid", 422, "Not a valid dictionary"
    text = "{count} mistakes in the types sent, and nothing was stored; `errors` names each type and what is wrong with it."


class TypeUnknown(Problem):
    """A type that the dictionary, as the caller sees it, has not."""

    code, status, title = "type.unknown", 422, "Unknown type"
    text = "{reason}."


class NamespaceInUse(Problem):
    """Others derive from it."""

    code, status, title = "dictionary.in_use", 409, "In use"
    text = "{what} is what {users} derive from; delete or change those first."


class ResourceWrong(Problem):
    """A resource that its types do not allow."""

    code, status, title = "resource.invalid", 422, "Not a valid resource"
    text = "The resource is not as its types say; `errors` names each place."


class FilterWrong(Problem):
    """A filter or a pattern that is not TOSCA's."""

    code, status, title = "filter.invalid", 422, "Not a valid filter"
    text = "The filter cannot be read at {pointer}: {reason}."


class LoginRefused(Problem):
    """The provider did not let us in when a pool was to be saved; the pool is as it was."""

    code, status, title = "pool.login", 422, "Log-in failed"
    text = "{reason}. The pool was not saved."


class PoolUnusable(Problem):
    """A pool that was deleted or is inactive."""

    code, status, title = "pool.unusable", 409, "Pool not usable"
    text = "Pool {pool} is {state}; {next}."


class ServiceOnly(Problem):
    """What only services of the cloud may ask."""

    code, status, title = "pool.service_only", 403, "For services only"
    text = "Tokens of a pool are given to services (role service) that act for somebody who sees the pool, not to people."


class DriverFailed(Problem):
    """A provider that does not answer as it should."""

    code, status, title = "pool.provider", 502, "Provider failed"
    text = "{reason}."


class NotBound(Problem):
    """No choice of resources fulfils all that is required."""

    code, status, title = "binding.impossible", 409, "Cannot be bound"
    text = "{reason}. `requirements` tells for each one what was rejected and why."


class BindingOver(Problem):
    """A reservation that has expired or was released."""

    code, status, title = "binding.over", 409, "Binding is over"
    text = "Binding {binding} is {state}; bind again."


class TemplateWrong(Problem):
    """A template whose requirements cannot be told."""

    code, status, title = "template.invalid", 422, "Not a valid template"
    text = "The template cannot be read; `errors` names file, line and rule of each mistake."


PROBLEMS = (DictionaryWrong, TypeUnknown, NamespaceInUse, ResourceWrong, FilterWrong, LoginRefused, PoolUnusable, ServiceOnly, DriverFailed,
            NotBound, BindingOver, TemplateWrong)  # fmt: skip
