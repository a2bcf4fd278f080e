"""The few calls of Cinder that modules make; collections `types`, `volumes` and `backends` of the cloud in this process."""


def answer(cloud, method, parts, query, body):
    """(status, body) of a request to Cinder."""
    if parts[0] == "types":
        return types(cloud, method, parts[1:], body)
    if parts[0] == "os-services":
        return services(cloud, method, parts[1:], body)
    if parts == ["scheduler-stats", "get_pools"]:
        backends = [one for one in cloud.store["backends"].values() if one["binary"] == "cinder-volume"]
        return 200, {"pools": [{"name": f"{one['host']}#pool"} for one in backends if one.get("ready", True)]}
    if parts[0] == "volumes" and parts[-1] == "action":
        return migrate(cloud, cloud.store["volumes"][parts[1]], body["os-migrate_volume"]["host"])
    if parts == ["volumes", "detail"]:
        return 200, {"volumes": list(cloud.store["volumes"].values())}
    return 404, {"itemNotFound": {"message": f"the fake knows no {method} {parts}"}}


def types(cloud, method, rest, body):
    store = cloud.store["types"]
    if not rest and method == "GET":
        return 200, {"volume_types": list(store.values())}
    if not rest:
        fields = body["volume_type"]
        public = fields.pop("os-volume-type-access:is_public")
        return 200, {"volume_type": cloud.add("types", **fields, is_public=public, extra_specs={})}
    if rest[1:] == ["extra_specs"]:
        store[rest[0]]["extra_specs"].update(body["extra_specs"])
        return 200, body
    if method == "PUT":
        store[rest[0]].update(body["volume_type"])
        return 200, {"volume_type": store[rest[0]]}
    if any(volume.get("volume_type") == store[rest[0]]["name"] for volume in cloud.store["volumes"].values()):
        return 400, {"badRequest": {"message": "Target volume type is still in use."}}
    del store[rest[0]]
    return 202, None


def services(cloud, method, rest, body):
    if method == "GET":
        return 200, {"services": list(cloud.store["backends"].values())}
    one = next(one for one in cloud.store["backends"].values() if one["host"] == body["host"])
    change = {"enable": ("enabled", None), "disable-log-reason": ("disabled", body.get("disabled_reason"))}[rest[0]]
    one["status"], one["disabled_reason"] = change
    return 200, one


def migrate(cloud, volume, target):
    """At once, unless the target has no room."""
    backend = next((one for one in cloud.store["backends"].values() if one["host"] == target.split("#")[0]), None)
    if backend is None:
        return 400, {"badRequest": {"message": f"No available service named {target}"}}
    if backend.get("full"):
        volume["migration_status"] = "error"
    else:
        volume.update({"os-vol-host-attr:host": target, "migration_status": "success"})
    return 202, None
