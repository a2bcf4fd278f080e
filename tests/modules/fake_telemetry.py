"""Gnocchi and Aodh for the cloud in this process: the few calls that modules make, answered as the real ones do."""

from fake_openstack import SERVICES, Answer

ADDED = {"metric": "/metric", "alarming": "/alarming"}


def add_telemetry(cloud, monkeypatch):
    """Give a fake cloud both services; `cloud.policies_in_use` are names that Gnocchi refuses to remove."""
    for kind, path in ADDED.items():
        monkeypatch.setitem(SERVICES, kind, path)
    cloud.store |= {"policies": {}, "rules": {}, "resources": {}, "measures": {}, "alarms": {}}
    cloud.policies_in_use = set()
    cloud.state_of_alarms = "insufficient data"
    cloud.metric = lambda *request: metric(cloud, *request)
    cloud.alarming = lambda *request: alarming(cloud, *request)
    return cloud


def metric(cloud, method, parts, _query, body):
    if parts[0] == "resource":
        if parts[2] not in cloud.store["resources"]:
            raise Answer(404, {"code": 404, "description": {"cause": "Resource does not exist"}, "title": "Not Found"})
        raise Answer(200, cloud.store["resources"][parts[2]])
    if parts[0] == "metric":
        raise Answer(200, cloud.store["measures"].get(parts[1], []))
    collection = cloud.store["policies" if parts[0] == "archive_policy" else "rules"]
    if method == "GET":
        raise Answer(200, list(collection.values()))
    if method == "POST":
        collection[body["name"]] = as_gnocchi_says(body)
        raise Answer(201, collection[body["name"]])
    if method == "PATCH":
        found = collection[parts[1]]
        told = as_gnocchi_says({**found, **body})
        if [one["granularity"] for one in told["definition"]] != [one["granularity"] for one in found["definition"]]:
            raise Answer(400, {"code": 400, "description": "granularity interval was changed", "title": "Bad Request"})
        collection[parts[1]] = told
        raise Answer(200, told)
    named = {rule["archive_policy_name"] for rule in cloud.store["rules"].values()}
    if parts[0] == "archive_policy" and parts[1] in cloud.policies_in_use | named:
        raise Answer(400, {"code": 400, "description": f"Archive policy {parts[1]} is still in use", "title": "Bad Request"})
    del collection[parts[1]]
    raise Answer(204)


def as_gnocchi_says(body):
    """What was sent, with times as Gnocchi writes them."""
    if "definition" not in body:
        return body
    spans = [{key: clock(one[key]) for key in ("granularity", "timespan")} for one in body["definition"]]
    return {"back_window": 0, **body, "definition": spans}


def clock(seconds):
    if isinstance(seconds, str):
        return seconds
    days, rest = divmod(seconds, 86400)
    text = f"{rest // 3600}:{rest % 3600 // 60:02}:{rest % 60:02}"
    return f"{days} day{'s' if days > 1 else ''}, {text}" if days else text


def alarming(cloud, method, parts, query, body):
    alarms = cloud.store["alarms"]
    if method == "POST":
        made = {"description": f"{body['type']} alarm rule", "repeat_actions": False, **body}
        made |= {"alarm_id": next(cloud.ids), "state": cloud.state_of_alarms, "state_reason": "Not evaluated yet"}
        alarms[made["alarm_id"]] = made
        raise Answer(201, made)
    if len(parts) == 1:
        raise Answer(200, [one for one in alarms.values() if one["name"] == query["q.value"]])
    if method == "PUT":
        alarms[parts[1]].update(body)
    elif method == "DELETE":
        del alarms[parts[1]]
        raise Answer(204)
    alarms[parts[1]]["state"] = cloud.state_of_alarms
    raise Answer(200, alarms[parts[1]])
