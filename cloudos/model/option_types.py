"""Whether a value suits an oslo.config type, by the names and bounds that the catalogue gives."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

TRUTH = {"true", "1", "on", "yes", "false", "0", "off", "no"}
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


def complaint(described: dict, value: Any) -> str:
    """What is wrong with a value ("must be an integer from 1 to 8"), or nothing."""
    if described.get("multi") and isinstance(value, dict) and value.keys() == {"multi"}:
        value = value["multi"]
    if described.get("multi") and isinstance(value, list):
        return next((wrong for item in value if (wrong := _of_type(described, item))), "")
    return _of_type(described, value)


def _of_type(described: dict, value: Any) -> str:
    if isinstance(value, str) and "${secret:" in value:
        return ""
    if "$" in str(value):
        return ""  # oslo.config replaces $name by another option's value
    check = CHECKS.get(described.get("type", "string"))
    return check(described, value) if check else ""


def _integer(described: dict, value: Any, word: str = "an integer", convert: Callable = int) -> str:
    wrong = f"must be {word}{_bounds(described)}"
    if isinstance(value, (bool, list, dict)):
        return wrong
    try:
        number = convert(str(value))
    except ValueError:
        return wrong
    choices = described.get("choices")
    if choices and number not in [convert(str(choice)) for choice in choices]:
        return f"must be one of {', '.join(map(str, choices))}"
    if number < described.get("min", number) or number > described.get("max", number):
        return wrong
    return ""


def _float(described: dict, value: Any) -> str:
    return _integer(described, value, "a number", float)


def _port(described: dict, value: Any) -> str:
    return _integer({"min": 0, "max": 65535, **described}, value, "a port")


def _boolean(_described: dict, value: Any) -> str:
    return "" if isinstance(value, bool) or str(value).lower() in TRUTH else "must be true or false"


def _string(described: dict, value: Any) -> str:
    if isinstance(value, (list, dict)):
        return "must be text, not a list or mapping"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    fold = str.lower if described.get("ignore_case") else str
    choices = [choice for choice in described.get("choices", []) if choice is not None]
    if choices and fold(text) not in [fold(str(choice)) for choice in choices]:
        return f"must be one of {', '.join(map(str, choices))}"
    if (pattern := described.get("regex")) and not re.search(
        pattern, text, re.IGNORECASE if described.get("ignore_case") else 0
    ):
        return f"must match {pattern}"
    if len(text) > described.get("max_length", len(text)):
        return f"is longer than {described['max_length']} characters"
    return ""


def _list(described: dict, value: Any) -> str:
    if isinstance(value, dict):
        return "must be a list"
    items = (
        value
        if isinstance(value, list)
        else [item.strip() for item in str(value).strip("[]").split(",") if item.strip()]
    )
    return next(
        (f"has {item!r}, which {wrong}" for item in items if (wrong := _of_type(described.get("item", {}), item))), ""
    )


def _dict(described: dict, value: Any) -> str:
    if isinstance(value, list) or (
        not isinstance(value, dict) and value and any(":" not in pair for pair in str(value).split(","))
    ):
        return "must be a mapping, or text like name:value,name:value"
    values = value.values() if isinstance(value, dict) else []
    return next((wrong for item in values if (wrong := _of_type(described.get("value", {}), item))), "")


def _address(described: dict, value: Any) -> str:
    try:
        address = ipaddress.ip_address(str(value))
    except ValueError:
        return "must be an IP address"
    version = described.get("version")
    return f"must be an IPv{version} address" if version and address.version != version else ""


def _host(described: dict, value: Any) -> str:
    return "" if not _address({}, value) or HOST.fullmatch(str(value)) else "must be a host name or an IP address"


def _uri(described: dict, value: Any) -> str:
    scheme, separator, rest = str(value).partition("://")
    if not (separator and rest):
        return "must be a URI such as https://host/path"
    schemes = described.get("schemes")
    return (
        f"must begin with {' or '.join(f'{name}://' for name in schemes)}" if schemes and scheme not in schemes else ""
    )


def _bounds(described: dict) -> str:
    low, high = described.get("min"), described.get("max")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" of at least {low}"
    return f" of at most {high}" if high is not None else ""


CHECKS: dict[str, Callable[[dict, Any], str]] = {
    "integer": _integer,
    "float": _float,
    "port": _port,
    "boolean": _boolean,
    "string": _string,
    "list": _list,
    "dict": _dict,
    "ipaddress": _address,
    "ip": _address,
    "hostaddress": _host,
    "hostname": _host,
    "hostdomain": _host,
    "uri": _uri,
}
