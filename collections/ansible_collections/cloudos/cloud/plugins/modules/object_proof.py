#!/usr/bin/python
"""Module object_proof: Swift keeps what it is given, and gives it to those alone who may have it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: object_proof
short_description: Prove that objects can be stored and shared
description:
  - As an ordinary user of a cloud, uploads a large object and compares what comes back, whole and in part; shares one with
    everybody, and by a temporary URL; and stores one through the S3 API with credentials of the user's own.
  - With O(state=absent), removes what the proof made, and what C(swift-dispersion-populate) made in the same project.
options:
  name: {description: Name of the container; others begin with it., type: str, required: true}
  cloud: {description: Name of the cloud in clouds.yaml., type: str, required: true}
  size: {description: MiB of the large object., type: int, default: 200}
  state:
    description: Whether to prove it, or to remove what a proof made.
    type: str
    choices: [proven, absent]
    default: proven
extends_documentation_fragment: [cloudos.cloud.operation]
author: Cloud OS maintainers (@cloudos)
"""

EXAMPLES = r"""
- name: Objects
  cloudos.cloud.object_proof:
    name: proof
    cloud: mycloud
"""

RETURN = r"""
seconds: {description: What was proven to the seconds that it took., type: dict, returned: when O(state=proven)}
"""

import hashlib
import hmac
import time
import uuid
from urllib.parse import quote, urlsplit

from ansible_collections.cloudos.cloud.plugins.module_utils.cloud import CloudOperation
from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

MIB = 1 << 20
KEY = "a b/ü"  # needs quoting
MADE = ("dispersion_",)  # how the containers of swift-dispersion-populate begin


class ObjectProof(CloudOperation):
    service = "swift"
    spec = {
        "name": {"type": "str", "required": True},
        "cloud": {"type": "str", "required": True},
        "size": {"type": "int", "default": 200},
        "state": {"type": "str", "choices": ["proven", "absent"], "default": "proven"},
    }

    def found(self):
        """What there is to remove; a proof changes nothing that stays."""
        return self.made() if self.params["state"] == "absent" else {}

    def wanted(self):
        return {}

    def made(self):
        """{"containers": names} of those that proofs made; empty where there is none."""
        listed = self.ask("GET", "/", params={"format": "json"}).json()
        names = [entry["name"] for entry in listed if entry["name"].startswith((self.params["name"], *MADE))]
        return {"containers": names} if names else {}

    def converge(self, step):
        self.remove()

    def result(self, step):
        if self.params["state"] == "absent" or self.rehearsal:
            return {}
        seconds = {}
        with self.told():
            self.large = Large(self.params["size"])
            try:
                for proof in (self.store, self.part, self.public, self.foreign, self.temporary, self.s3):
                    start = time.monotonic()
                    proof()
                    seconds[proof.__name__] = round(time.monotonic() - start, 1)
            finally:
                self.remove()
        return {"seconds": seconds}

    def store(self):
        """An object comes back as it went, by our digest and by Swift's."""
        self.ask("PUT", self.container)
        answer = self.ask("PUT", self.object, data=self.large.pieces())
        digest = self.large.digest()
        if answer.headers["ETag"].strip('"') != digest:
            self.refuse(f"Swift says that it stored {answer.headers['ETag']}, and it was given {digest}")
        seen = hashlib.md5(usedforsecurity=False)
        with self.ask("GET", self.object, stream=True) as answer:
            for piece in answer.iter_content(MIB):
                seen.update(piece)
        if seen.hexdigest() != digest:
            self.refuse(f"an object of {self.params['size']} MiB came back as {seen.hexdigest()}, not {digest}")

    def part(self):
        """A range across two pieces is just that."""
        first, last = self.params["size"] * MIB // 2 - 100, self.params["size"] * MIB // 2 + 99
        answer = self.ask("GET", self.object, headers={"Range": f"bytes={first}-{last}"}, expected=206)
        if answer.content != self.large.bytes(first, last + 1):
            self.refuse(f"bytes {first} to {last} are other ones than were stored")

    def public(self):
        """Nobody reads the container but its owner, until the owner says so."""
        self.ask("PUT", f"{self.container}/public", data=b"for everybody")
        self.anonymous(f"{self.container}/public", 401)
        self.ask("POST", self.container, headers={"X-Container-Read": ".r:*,.rlistings"})
        self.anonymous(f"{self.container}/public", 200, b"for everybody")
        self.ask("POST", self.container, headers={"X-Container-Read": ""})

    def foreign(self):
        """The account of another project is closed, whatever roles the user has in its own."""
        account = self.endpoint.rpartition("_")[0] + f"_{uuid.uuid4().hex}"
        answer = self.connection.object_store.request(account, "GET")
        if answer.status_code != 403:
            self.refuse(f"the account of another project is answered with {answer.status_code} instead of 403")

    def temporary(self):
        """A signed URL opens what it names until it expires, and a forged one does not."""
        key = hashlib.sha256(str(time.time()).encode()).hexdigest()
        self.ask("POST", self.container, headers={"X-Container-Meta-Temp-URL-Key": key})
        path = f"{urlsplit(self.endpoint).path}{self.container}/public"

        def query(until, key):
            text = f"GET\n{until}\n{path}".encode()
            return f"?temp_url_sig={hmac.new(key.encode(), text, 'sha256').hexdigest()}&temp_url_expires={until}"

        now = int(time.time())
        self.anonymous(f"{self.container}/public{query(now + 60, key)}", 200, b"for everybody")
        self.anonymous(f"{self.container}/public{query(now - 60, key)}", 401)
        self.anonymous(f"{self.container}/public{query(now + 60, 'another key')}", 401)

    def s3(self):
        """A client of Amazon's own stores and reads with credentials from Keystone; with a wrong secret it cannot."""
        identity, path = self.connection.identity, f"/users/{self.connection.current_user_id}/credentials/OS-EC2"
        answer = identity.post(path, json={"tenant_id": self.connection.current_project_id})
        if not answer.ok:
            self.refuse(f"Keystone gave no EC2 credentials: {answer.status_code} {answer.text}")
        given = answer.json()["credential"]
        self.module.no_log_values.add(given["secret"])
        try:
            self.bucket(self.s3_client(given["access"], given["secret"]))
            self.forged(self.s3_client(given["access"], "wrong"))
        finally:
            identity.delete(f"{path}/{given['access']}")

    def bucket(self, client):
        """What went into a bucket is listed and comes back."""
        import botocore.exceptions

        try:
            client.create_bucket(Bucket=self.bucket_name)
            client.put_object(Bucket=self.bucket_name, Key=KEY, Body=b"by S3")
            keys = [entry["Key"] for entry in client.list_objects_v2(Bucket=self.bucket_name)["Contents"]]
            data = client.get_object(Bucket=self.bucket_name, Key=KEY)["Body"].read()
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            self.refuse(f"S3: {error}")
        if (keys, data) != ([KEY], b"by S3"):
            self.refuse(f"the bucket has {keys}, and {data!r} in the object")

    def forged(self, client):
        """A signature with another secret is refused."""
        import botocore.exceptions

        try:
            client.get_object(Bucket=self.bucket_name, Key=KEY)
        except botocore.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 403:
                return
            self.refuse(f"S3 answers a wrong signature with {error}")
        self.refuse("S3 gives the object to whoever signs with a wrong secret")

    @property
    def bucket_name(self):
        return f"{self.params['name']}-s3"

    def s3_client(self, access, secret):
        import botocore.config
        import botocore.session

        return botocore.session.Session().create_client(
            "s3",
            endpoint_url="{0.scheme}://{0.netloc}".format(urlsplit(self.endpoint)),
            region_name=self.connection.config.region_name,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            verify=self.connection.session.verify,
            config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    @property
    def container(self):
        return f"/{self.params['name']}"

    @property
    def object(self):
        return f"{self.container}/large"

    @property
    def endpoint(self):
        return self.connection.object_store.get_endpoint()

    def ask(self, method, path, expected=None, **arguments):
        """The answer to the user's request; any other status than a good one, or `expected`, is a Failure."""
        answer = self.connection.object_store.request(path, method, **arguments)
        if answer.status_code != expected if expected else not answer.ok:
            self.refuse(f"{method} {path} was answered with {answer.status_code} {answer.reason}")
        return answer

    def anonymous(self, path, expected, content=None):
        """What somebody without a token gets."""
        import requests

        answer = requests.get(self.endpoint + path, verify=self.connection.session.verify, timeout=60)
        if answer.status_code != expected or (content is not None and answer.content != content):
            shown = path.partition("?")[0] + (" with a temporary URL" if "?" in path else "")
            self.refuse(f"without a token {shown} is answered with {answer.status_code} instead of {expected}")

    def remove(self):
        """Delete the containers with all that is in them, in one request each."""
        for name in self.made().get("containers", ()):
            listed = self.ask("GET", f"/{name}", params={"format": "json"}).json()
            lines = [f"{name}/{entry['name']}" for entry in listed] + [name]
            headers = {"Content-Type": "text/plain", "Accept": "application/json"}
            body = "\n".join(quote(line) for line in lines)
            told = self.ask("POST", "", params={"bulk-delete": ""}, data=body, headers=headers).json()
            if told["Errors"]:
                self.refuse(f"container {name} was not deleted: {told['Errors'][0]}")

    @staticmethod
    def refuse(cause):
        raise Failure(
            cause,
            service="swift",
            unit="swift-proxy.service",
            next_step="on the control node, read journalctl -u swift-proxy; swift-recon --all tells of the storage nodes",
        )


class Large:
    """An object of so many MiB, each of which differs from the others."""

    def __init__(self, size):
        self.size = size

    def pieces(self):
        return (self.piece(number) for number in range(self.size))

    @staticmethod
    def piece(number):
        return number.to_bytes(8, "big") * (MIB // 8)

    def digest(self):
        digest = hashlib.md5(usedforsecurity=False)
        for piece in self.pieces():
            digest.update(piece)
        return digest.hexdigest()

    def bytes(self, first, end):
        start = first // MIB
        data = b"".join(self.piece(number) for number in range(start, min((end - 1) // MIB + 1, self.size)))
        return data[first - start * MIB : end - start * MIB]


def main():
    ObjectProof.main()


if __name__ == "__main__":
    main()
