#!/usr/bin/python
"""Module image: an image in Glance that holds exactly the bytes of a file or URL."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image
short_description: Keep an image that holds the bytes of a file or URL
description:
  - The image's SHA-256 is compared with the wanted one, so that a new build of a file replaces the image. The new image
    is uploaded and checked first; the old one is removed or hidden only then, and users see one or the other.
  - Data is read and sent in pieces, whatever its size. What an interrupted upload left is cleared away.
options:
  name: {description: Name of the image., type: str, required: true}
  source: {description: Path on the machine that runs the module or URL (http or https)., type: str}
  checksum:
    description:
      - SHA-256 of the source, verified before the upload; C(sha256:) may precede it.
      - Required for a URL; by default that of the file.
    type: str
  disk_format: {description: Format of the data., type: str, default: qcow2}
  container_format: {description: Format around it., type: str, default: bare}
  visibility: {description: Who may use it., type: str, choices: [public, private, shared, community], default: public}
  min_disk: {description: GiB of disk that a server needs., type: int, default: 0}
  min_ram: {description: MiB of memory that a server needs., type: int, default: 0}
  properties: {description: Further properties; others that the image has are left alone., type: dict, default: {}}
  state: {description: Whether the image is there., type: str, choices: [present, absent], default: present}
  replaced:
    description: What becomes of an image whose data is replaced - C(deleted), or C(hidden), where servers made from
      it must still migrate.
    type: str
    choices: [deleted, hidden]
    default: deleted
  timeout: {description: Seconds for Glance to process the data., type: int, default: 600}
extends_documentation_fragment: [cloudos.cloud.operation, cloudos.cloud.cloud]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: The guest image
  cloudos.cloud.image:
    cloud: mycloud
    name: guest
    source: /var/lib/images/guest.qcow2
    properties: {hw_rng_model: virtio}
"""

RETURN = r"""
id: {description: Identifier of the image., type: str, returned: when there is one}
sha256: {description: SHA-256 of its data., type: str, returned: when O(state=present)}
"""

import contextlib
import hashlib
import tempfile
import time
import urllib.error
import urllib.request

from ansible_collections.cloudos.cloud.plugins.module_utils.cloud import CLOUD, CloudOperation
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

SHA256 = "owner_specified.openstack.sha256"  # where openstacksdk and openstack.cloud keep it as well
PIECE = 1 << 20
PLAIN = ("disk_format", "container_format", "visibility", "min_disk", "min_ram")


class Image(CloudOperation):
    service = "glance"
    spec = {
        **CLOUD,
        "name": {"type": "str", "required": True},
        "source": {"type": "str"},
        "checksum": {"type": "str"},
        "disk_format": {"type": "str", "default": "qcow2"},
        "container_format": {"type": "str", "default": "bare"},
        "visibility": {"type": "str", "choices": ["public", "private", "shared", "community"], "default": "public"},
        "min_disk": {"type": "int", "default": 0},
        "min_ram": {"type": "int", "default": 0},
        "properties": {"type": "dict", "default": {}},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "replaced": {"type": "str", "choices": ["deleted", "hidden"], "default": "deleted"},
        "timeout": {"type": "int", "default": 600},
    }
    options = {"required_if": [("state", "present", ["source"])]}

    def found(self):
        """{"image": its data's digest and attributes, "leftovers": how many more there are of that name, if any}."""
        self.images = self.request("GET", "/images", params={"name": self.params["name"]})["images"]
        self.images.sort(key=lambda image: image["created_at"], reverse=True)
        active = [image for image in self.images if image["status"] == "active"]
        right = [image for image in active if image.get(SHA256) == self.checksum()]
        self.image = next(iter(right or active), None)
        leftovers = len([image for image in self.images if image is not self.image])
        return {
            **({"image": self.shown(self.image)} if self.image else {}),
            **({"leftovers": leftovers} if leftovers else {}),
        }

    def wanted(self):
        if self.params["state"] == "absent":
            return {}
        properties = {key: str(value) for key, value in self.params["properties"].items()}
        return {
            "image": {"sha256": self.checksum(), **{key: self.params[key] for key in PLAIN}, **properties},
        }

    def shown(self, image):
        """What of the image the arguments speak about."""
        return {"sha256": image.get(SHA256), **{key: image.get(key) for key in (*PLAIN, *self.params["properties"])}}

    def checksum(self):
        """Wanted SHA-256; None where no image is wanted."""
        if self.params["state"] == "present" and not self.params["checksum"]:
            if self.remote:
                raise Failure(
                    f"the image's source {self.params['source']} is a URL without a checksum",
                    next_step="give its SHA-256",
                )
            self.params["checksum"] = digests(self.params["source"])["sha256"]
        return (self.params["checksum"] or "").removeprefix("sha256:").lower() or None

    @property
    def remote(self):
        return self.params["source"].startswith(("http://", "https://"))

    def converge(self, step):
        after = step.after.get("image")
        if after and step.before.get("image", {}).get("sha256") != after["sha256"]:
            with self.local() as path:
                self.image = self.upload(path, after)
        elif after:
            self.patch(step.before["image"], after)
        for image in self.images:
            if not after or image["id"] != self.image["id"]:
                self.retire(image, hide=after and image["status"] == "active" and self.params["replaced"] == "hidden")
        self.image = self.image if after else None

    @contextlib.contextmanager
    def local(self):
        """Path of the verified data."""
        if not self.remote:
            yield self.params["source"]
            return
        with tempfile.NamedTemporaryFile(dir="/var/tmp", prefix="cloudos-image-") as file:
            try:
                with urllib.request.urlopen(self.params["source"], timeout=60) as answer:  # noqa: S310 - http or https
                    while piece := answer.read(PIECE):
                        file.write(piece)
            except (urllib.error.URLError, OSError) as error:
                raise Failure(
                    f"{self.params['source']} cannot be fetched: {error}", next_step="check the URL from this machine"
                ) from error
            file.flush()
            yield file.name

    def upload(self, path, after):
        """The new image, active and equal to the file; nothing of it stays where that fails."""
        digest = digests(path)
        if digest["sha256"] != self.checksum():
            raise Failure(
                f"SHA-256 of {self.params['source']} is {digest['sha256']}, not {self.checksum()}",
                next_step="fetch the file again, or correct the checksum",
            )
        fields = {key: value for key, value in after.items() if key != "sha256"}
        image = self.request("POST", "/images", json={"name": self.params["name"], SHA256: digest["sha256"], **fields})
        try:
            with open(path, "rb") as file:
                self.request(
                    "PUT",
                    f"/images/{image['id']}/file",
                    data=file,
                    headers={"Content-Type": "application/octet-stream"},
                )
            return self.active(image["id"], digest)
        except BaseException:
            self.request("DELETE", f"/images/{image['id']}")
            raise

    def active(self, identifier, digest):
        """The image once it is active, its data compared with the digest that Glance made of it."""
        deadline = time.monotonic() + self.params["timeout"]
        while (image := self.request("GET", f"/images/{identifier}"))["status"] != "active":
            if time.monotonic() > deadline or image["status"] in ("killed", "deleted"):
                raise Failure(
                    f"image {self.params['name']} is {image['status']} instead of active",
                    service="glance",
                    unit="glance-api.service",
                )
            time.sleep(0.3)
        stored = digest.get(image.get("os_hash_algo"))
        if stored and image["os_hash_value"] != stored:
            raise Failure(
                f"Glance stored other data than {self.params['source']} holds",
                service="glance",
                unit="glance-api.service",
                next_step="look at the store's disk and network, then run again",
            )
        return image

    def patch(self, before, after):
        changes = [
            {"op": "replace" if before[key] is not None else "add", "path": f"/{key}", "value": value}
            for key, value in after.items()
            if before[key] != value
        ]
        if changes:
            self.request(
                "PATCH",
                f"/images/{self.image['id']}",
                json=changes,
                headers={"Content-Type": "application/openstack-images-v2.1-json-patch"},
            )

    def retire(self, image, hide):
        if hide:
            self.request(
                "PATCH",
                f"/images/{image['id']}",
                json=[{"op": "replace", "path": "/os_hidden", "value": True}],
                headers={"Content-Type": "application/openstack-images-v2.1-json-patch"},
            )
        else:
            self.request("DELETE", f"/images/{image['id']}")

    def request(self, method, path, **arguments):
        """The parsed body; openstacksdk's Image objects rename properties, the API's own documents do not."""
        from openstack import exceptions

        answer = self.connection.image.request(path, method, **arguments)
        exceptions.raise_from_response(answer)
        return answer.json() if answer.content else None

    def result(self, step):
        outcome = {"sha256": self.checksum()} if self.params["state"] == "present" else {}
        return {**outcome, **({"id": self.image["id"]} if self.image else {})}


def digests(path):
    """{algorithm: hex digest} of a file, for what we compare and what Glance does."""
    hashes = {name: hashlib.new(name) for name in ("sha256", "sha512")}
    try:
        with open(path, "rb") as file:
            while piece := file.read(PIECE):
                for one in hashes.values():
                    one.update(piece)
    except OSError as error:
        raise Failure(
            f"image file {path} cannot be read: {error.strerror}",
            next_step="check the path on the machine that runs this",
        ) from error
    return {name: one.hexdigest() for name, one in hashes.items()}


def main():
    Image.main()


if __name__ == "__main__":
    main()
