"""Module guest_image: a small image to prove a cloud with. How it is built: module_utils/guest_image."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_image
short_description: Build a small bootable guest image
description:
  - Builds a qcow2 image of some 23 MB from Debian packages. It boots in seconds even under emulation, asks for its
    address by DHCP, takes SSH keys, hostname and a user data script from the metadata service or from a config drive,
    lets users C(cloud), who may use sudo, and C(root) in by SSH with those keys, and logs to the serial console.
  - The file is named after all that goes into it; it is built when it is not there.
  - Needs C(syslinux), C(mtools), C(dosfstools), C(cpio), C(kmod) and C(qemu-utils).
options:
  home:
    description: Directory with the state of Cloud OS; default is C(CLOUDOS_HOME), or C(~/.cloudos).
    type: path
  state:
    description: Whether the image is there.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: An image to try a cloud with
  cloudos.cloud.guest_image:
  register: guest
"""

RETURN = r"""
path:
  description: The image.
  type: str
  returned: always
sha256:
  description: Digest of the image; empty in check mode while it is not built.
  type: str
  returned: when the state is present
size:
  description: Bytes of the image; 0 in check mode while it is not built.
  type: int
  returned: when the state is present
"""

import hashlib
import os
from pathlib import Path

from ansible_collections.cloudos.cloud.plugins.module_utils import guest_image
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Operation


class GuestImage(Operation):
    """The state is the path of the image that the packages of now make."""

    spec = {
        "home": {"type": "path"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
    lock = "guest-image"

    def __init__(self, module):
        super().__init__(module)
        self.cache = Path(self.params["home"] or os.environ.get("CLOUDOS_HOME") or "~/.cloudos").expanduser() / "cache"

    def found(self):
        self.packages = guest_image.Packages()
        self.image = self.cache / "guest" / f"guest-{guest_image.digest(self.packages)}.qcow2"
        return {"image": str(self.image)} if self.image.exists() else {}

    def wanted(self):
        return {"image": str(self.image)} if self.params["state"] == "present" else {}

    def converge(self, step):
        if "image" in step.after:
            guest_image.build(self.packages, self.cache / "apt" / "archives", self.image)
        else:
            self.image.unlink()

    def result(self, step):
        if self.params["state"] == "absent":
            return {"path": str(self.image)}
        data = self.image.read_bytes() if self.image.exists() else None
        return {
            "path": str(self.image),
            "sha256": hashlib.sha256(data).hexdigest() if data else "",
            "size": len(data or b""),
        }


def main():
    GuestImage.main()


if __name__ == "__main__":
    main()
