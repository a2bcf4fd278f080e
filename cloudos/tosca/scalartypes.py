"""Data types with units (2.0, 9.1.2.2): which units may be written, and what each multiplies."""

from __future__ import annotations

from cloudos.tosca.documents import Names
from cloudos.tosca.grammar import Fields
from cloudos.tosca.source import MAP
from cloudos.tosca.typemodel import DataType

KEYS = ("units", "prefixes", "canonical_unit", "data_type")


def fill(made: DataType, fields: Fields, types: Names) -> None:
    """Settle units and number type of a data type; complain of units where they do not belong."""
    if made.base != "scalar":
        for key in KEYS:
            if key in fields:
                message = f"{key} belongs to types that derive from scalar; {made.name} does not"
                types.problems.add("type.scalar", fields[key].place, message, "Derive from scalar, or remove it.")
        return
    parent = made.parent
    inherited = parent if parent and parent.units else None
    made.number = _number(made, fields, types, inherited)
    units = _multipliers(made, fields, "units", types) if "units" in fields else dict(inherited.bare_units if inherited else {})
    if not units and not inherited:
        types.problems.add("type.scalar", made.place, f"scalar type {made.name} has no units", "Add units, one with multiplier 1.")
        return
    prefixes = {**(inherited.prefixes if inherited else {}), **_multipliers(made, fields, "prefixes", types)}
    made.bare_units, made.prefixes = units, prefixes
    made.units = dict(inherited.units) if inherited and not units else {}
    made.units.update(
        {f"{prefix}{unit}": factor * value for prefix, factor in (prefixes or {"": 1}).items() for unit, value in units.items()}
    )
    _check(made, fields, types, bool(inherited))


def _number(made: DataType, fields: Fields, types: Names, inherited: DataType | None) -> DataType | None:
    if "data_type" not in fields:
        return inherited.number if inherited else types.known("data", "float", made.document)
    node = fields["data_type"]
    found = types.get("data", fields.text("data_type") or "", made.document, node)
    if found and found.base not in ("integer", "float"):
        types.problems.add("type.scalar", node, f"data_type {found.name} is neither integer nor float", "Use one of these.")
    elif found and inherited and found is not inherited.number:
        types.problems.add("type.refinement", node, f"data_type of {made.name} differs from its parent's", "Remove it.")
    return found


def _multipliers(made: DataType, fields: Fields, key: str, types: Names) -> dict[str, float]:
    node, found = fields.get(key), {}
    for name, value in node.pairs() if node is not None and node.kind == MAP else ():
        if isinstance(value.value, bool) or not isinstance(value.value, int | float):
            types.problems.add("type.scalar", value, f"multiplier of {name} is {value.words()}, must be a number", "Correct it.")
        elif value.value <= 0:
            types.problems.add("type.scalar", value, f"multiplier of {name} is not positive", "Correct it.")
        else:
            found[name] = value.value
    return found


def _check(made: DataType, fields: Fields, types: Names, inherited: bool) -> None:
    """One unit is the canonical one: the only one with multiplier 1, or the one that is named."""
    add = types.problems.add
    canonical = fields.get("canonical_unit")
    if made.prefixes and len(made.bare_units) > 1:
        add("type.scalar", fields.get("prefixes", fields.node).place, "prefixes stand with more than one unit", "Write the units out.")
    if made.prefixes and 1 not in made.prefixes.values():
        add("type.scalar", fields.get("prefixes", fields.node).place, "no prefix has multiplier 1", 'Add "": 1.')
    if canonical is not None:
        if canonical.value not in made.units:
            add("type.scalar", canonical, f"canonical unit {canonical.value} is no unit of {made.name}", "Name one of the units.")
        elif made.units[canonical.value] != 1:
            add("type.scalar", canonical, f"canonical unit {canonical.value} has multiplier {made.units[canonical.value]}", "It must be 1.")
    elif not inherited and (ones := [name for name, value in made.units.items() if value == 1]) is not None and len(ones) != 1:
        place = fields.get("units", fields.node).place
        if ones:
            add("type.scalar", place, f"several units have multiplier 1 ({', '.join(ones)})", "Name one as canonical_unit.")
        else:
            add("type.scalar", place, "no unit has multiplier 1", "Add one, or define a canonical unit.")
