"""What goes wrong in Focus."""

from __future__ import annotations

from cloudos.eden.problems import BadRequest, Conflict, Problem


class NameTaken(Conflict):
    """Another document of that scope has the name."""

    code = "document.name_taken"
    text = ("A document named {name} is in scope {scope} already; choose another name, or store a new version of it: "
            "POST /v1/documents/{document}/versions.")  # fmt: skip


class InUse(Conflict):
    """Deleting would take from others what they need."""

    code = "document.in_use"
    text = "{what} is used by {users}; end these uses first. GET {list} shows them."


class NotPublishable(Conflict):
    """What has errors is not published."""

    code = "version.invalid"
    text = "{what} has {count} errors; GET {list} tells each with line and mend. Store a corrected version and publish that."


class StateRefused(Conflict):
    """A state does not follow another."""

    code = "version.state"
    text = "{what} is {state}; from there it can become {next}."


class Revoked(Problem):
    """The version must not be used any more."""

    code, status, title = "version.revoked", 410, "Revoked"
    text = "{what} was revoked: {reason} Use another version; GET {list} lists them. ?revoked=true gives it all the same."


class NotText(Conflict):
    """Diffs of lines want lines."""

    code = "diff.not_text"
    text = "{what} is no text; form=structure compares what is in it."


class NotComparable(Conflict):
    """A structure wants a document that can be read."""

    code = "diff.not_comparable"
    text = "{what} cannot be compared by structure: {reason}; form=text compares its lines."


class NotPackable(Conflict):
    """What does not go into a CSAR."""

    code = "csar.impossible"
    text = "{what} does not become an archive: {reason}. GET {content} gives it as it is."


class UnsafeContent(BadRequest):
    """An archive that must not be kept."""

    code, title = "content.unsafe", "Unsafe content"
    text = "The archive is refused: {reason} {mend}"
