"""Focus for Python programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from cloudos.eden.client import Client, Conflict, Failure, local

__all__ = ["Conflict", "Failure", "Focus", "local"]


class Focus(Client):
    """The repository of documents. Documents are named by id; versions by number, label or sha256:digest."""

    service_type = "focus"

    def search(self, **criteria: Any) -> Iterator[dict[str, Any]]:
        """Documents by the criteria of GET /v1/documents: q, name, type, tag, uses_type, state ..."""
        return self.every("/v1/documents", "documents", **criteria)

    def resolve(self, name: str) -> dict[str, Any]:
        """The document that name@version or id@version means, with that version as `version`. Raises NotFound."""
        return self.get("/v1/resolve", name=name)

    def store(self, content: bytes, media: str = "application/yaml", **about: Any) -> dict[str, Any]:
        """A new document. about: name, type, scope, description, tag, label, comment, reference."""
        return self._send("POST", "/v1/documents", content, media, about).json()

    def document(self, document: str) -> dict[str, Any]:
        """A document with its versions."""
        return self.get(_path(document))

    def update(self, document: str, **metadata: Any) -> dict[str, Any]:
        """Change metadata: name, type, scope, description, tags, properties, default_version. Raises Conflict when others did meanwhile."""
        return self.request("PUT", _path(document), body=metadata, headers=self._match(document)).json()

    def add(self, document: str, content: bytes, media: str = "application/yaml", **about: Any) -> dict[str, Any]:
        """A new version. about: label, comment, reference."""
        return self._send("POST", f"{_path(document)}/versions", content, media, about, self._match(document)).json()

    def version(self, document: str, version: str | int) -> dict[str, Any]:
        """One version."""
        return self.get(_path(document, version))

    def content(self, document: str, version: str | int, revoked: bool | None = None) -> bytes:
        """The content, byte for byte."""
        path = f"{_path(document, version)}/content"
        return self.request("GET", path, query={"revoked": revoked}, headers={"Accept": "*/*"}).content

    def validation(self, document: str, version: str | int) -> dict[str, Any]:
        """The judgement of a version: judge, valid, exit_code, problems."""
        return self.get(f"{_path(document, version)}/validation")

    def validate(self, content: bytes, name: str = "content") -> dict[str, Any]:
        """The judgement of a content that is not stored."""
        return self._send("POST", "/v1/validate", content, "application/octet-stream", {"name": name}).json()

    def closure(self, document: str, version: str | int) -> list[dict[str, Any]]:
        """All that a version needs, with digests."""
        return self.get(f"{_path(document, version)}/closure")["closure"]

    def csar(self, document: str, version: str | int, packing: str = "zip") -> bytes:
        """A version and its imports as an archive, zip or tar. Raises Conflict for what does not go into one."""
        path = f"{_path(document, version)}/csar"
        return self.request("GET", path, query={"as": packing}, headers={"Accept": "*/*"}).content

    def diff(self, before: str, after: str, form: str = "structure") -> dict[str, Any]:
        """What differs between two versions, each as id or name with @version."""
        return self.get("/v1/diff", **{"from": before, "to": after, "form": form})

    def revert(self, document: str, version: str | int) -> dict[str, Any]:
        """A version's content as a new version."""
        return self.request("POST", f"{_path(document, version)}/revert", headers=self._match(document)).json()

    def set_state(self, document: str, version: str | int, state: str, reason: str = "") -> dict[str, Any]:
        """Publish, deprecate or revoke: published, deprecated, revoked."""
        body = {"state": state, "reason": reason}
        return self.request("PUT", f"{_path(document, version)}/state", body=body, headers=self._match(document)).json()

    def delete(self, document: str, version: str | int | None = None) -> None:
        """Delete a document or a version. Raises Conflict, naming who uses it."""
        self.request("DELETE", _path(document, version), headers=self._match(document))

    def undelete(self, document: str, version: str | int | None = None) -> dict[str, Any]:
        """Take it back."""
        return self.request("POST", f"{_path(document, version)}/undelete").json()

    def uses(self, document: str) -> list[dict[str, Any]]:
        """Who needs it."""
        return self.get(f"{_path(document)}/uses")["used_by"]

    def use(self, document: str, version: str | int, use: str, title: str, uri: str) -> None:
        """Say that something needs the version; `use` is its id."""
        self.request("PUT", f"{_path(document, version)}/uses/{quote(use, safe='')}", body={"title": title, "uri": uri})

    def unuse(self, document: str, version: str | int, use: str) -> None:
        """Say that it does no more."""
        self.request("DELETE", f"{_path(document, version)}/uses/{quote(use, safe='')}")

    def revalidate(self) -> dict[str, Any]:
        """The job that judges all versions anew."""
        return self.request("POST", "/v1/revalidations").json()

    def _send(self, verb: str, path: str, content: bytes, media: str, query: dict, headers: dict | None = None) -> Any:
        return self.request(verb, path, query=query, data=content, headers={"Content-Type": media, **(headers or {})})

    def _match(self, document: str) -> dict[str, str]:
        return {"If-Match": self.request("GET", _path(document)).headers["ETag"]}


def _path(document: str, version: str | int | None = None) -> str:
    base = f"/v1/documents/{quote(document, safe='')}"
    return base if version is None else f"{base}/versions/{quote(str(version), safe='')}"
