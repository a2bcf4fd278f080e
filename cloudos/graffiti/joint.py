"""Joint feasibility: one choice for every requirement, so that quotas, capacities, places and pairs hold together.

Pure: items and their options in, a choice or the reason of its absence out; the same input gives the same choice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

STEPS = 50_000  # options tried before giving up; a choice not found until then is said to be not found, not impossible
PLACES = ("pool", "region", "zone", "resource")
POLICIES = ("cheapest", "spread", "pack", "balanced")


@dataclass(frozen=True)
class Option:
    """One resource for an item. uses: quota class -> amount; capacity: uses left of the resource, None without end; facts: (type,
    property) -> number, for pairs. Options of an item come in order of preference."""

    resource: str
    pool: str | None
    region: str
    zone: str
    score: float
    price: float | None = None
    uses: Mapping[str, float] = field(default_factory=dict)
    capacity: float | None = None
    facts: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def place(self, of: str) -> str | None:
        """Where it is, by pool, region, zone or resource."""
        return getattr(self, of)


@dataclass(frozen=True)
class Item:
    """One requirement: `count` uses of one resource, for a node."""

    id: str
    node: str
    count: int
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Rule:
    """`same` or `different` (`kind`) in pool, region, zone or resource (`of`) for these items.

    member: item -> what it is a part of, where that is not the item itself; items of one member are not apart from each other.
    """

    kind: str
    of: str
    items: tuple[str, ...]
    member: Mapping[str, str] = field(default_factory=dict)

    def others(self, item: str) -> list[str]:
        """The items that this one is held against."""
        mine = self.member.get(item, item)
        return [one for one in self.items if one != item and (self.kind == "same" or self.member.get(one, one) != mine)]


@dataclass(frozen=True)
class Pair:
    """An option's fact `needs` must not exceed the fact `has` of the other item of the same node; a `has` of 0 is no limit if `free`."""

    needs: tuple[str, str]
    has: tuple[str, str]
    free: bool = False


@dataclass(frozen=True)
class Choice:
    """item id -> option; `uses` what it takes of each pool's quota; `steps` options tried."""

    chosen: Mapping[str, Option]
    uses: Mapping[str, Mapping[str, float]]
    steps: int


@dataclass
class Impossible(Exception):
    """No choice; `reasons` says why, one sentence each. `proven`: False when the search was given up."""

    reasons: list[str]
    proven: bool = True

    def __str__(self) -> str:
        return "; ".join(self.reasons)


def choose(items: Sequence[Item], rules: Sequence[Rule], left: Mapping[str, Mapping[str, float]], policy: str = "balanced",
           pairs: Sequence[Pair] = ()) -> Choice:  # fmt: skip
    """The choice. left: pool -> quota class -> what may still be used (a class that is missing has no limit). Raises Impossible."""
    if empty := [item.id for item in items if not item.options]:
        raise Impossible([f"nothing fulfils {', '.join(empty)}"])
    return _Search(items, rules, left, policy, pairs).run()


class _Search:
    """Depth first: the pools of each group first, in the policy's order, then the options of its items, the best first."""

    def __init__(self, items: Sequence[Item], rules: Sequence[Rule], left: Mapping[str, Mapping[str, float]], policy: str,
                 pairs: Sequence[Pair]):  # fmt: skip
        self.left, self.policy, self.pairs = left, policy, pairs
        self.rules = [rule for rule in rules if len(rule.items) > 1]
        self.by_item: dict[str, list[Rule]] = defaultdict(list)
        for rule in self.rules:
            for name in rule.items:
                self.by_item[name].append(rule)
        self.groups = _groups(items, self.rules)
        self.chosen: dict[str, Option] = {}
        self.used: dict[str, Counter] = defaultdict(Counter)
        self.held: Counter = Counter()
        self.items = {item.id: item for item in items}
        self.nodes: dict[str, list[str]] = defaultdict(list)
        for item in items:
            self.nodes[item.node].append(item.id)
        self.steps = 0
        self.blocked: Counter = Counter()

    def run(self) -> Choice:
        self.plans = [(group, self._pools(group)) for group in self.groups]
        if nowhere := [reason for group, pools in self.plans if not pools for reason in self._nowhere(group)]:
            raise Impossible(nowhere)
        self.plans.sort(key=lambda plan: (len(plan[1]), plan[0][0].id))
        try:
            if not self._place(0):
                raise Impossible(self._why())
        except _GivenUp:
            raise Impossible([*self._why(), f"given up after {STEPS} options"], proven=False) from None
        uses = {pool: dict(found) for pool, found in self.used.items() if +found}
        return Choice(dict(self.chosen), uses, self.steps)

    def _pools(self, group: Sequence[Item]) -> list[str | None]:
        """The pools where each item of a group has an option; None stands for resources of no pool."""
        found = [{option.pool for option in item.options} for item in group]
        # What belongs to no pool, such as something published by hand, goes with every pool.
        common = set.intersection(*[(pools - {None}) if None not in pools else _everywhere(group) for pools in found])
        return [*sorted(common - {None}), *([None] if all(None in pools for pools in found) else [])]

    def _nowhere(self, group: Sequence[Item]) -> Iterator[str]:
        for pool in sorted(_everywhere(group) - {None}):
            lacking = [item.id for item in group if not any(option.pool in (pool, None) for option in item.options)]
            yield f"pool {pool} has nothing for {', '.join(lacking)}"

    def _place(self, number: int) -> bool:
        if number == len(self.plans):
            return True
        group, pools = self.plans[number]
        for pool in self._order(group, pools):
            options = [(item, [option for option in item.options if option.pool in (pool, None)]) for item in group]
            options.sort(key=lambda entry: (len(entry[1]), entry[0].id))
            least = _least(options)
            if self._fits_least(pool, least[0]) and self._assign(options, 0, pool, least, number):
                return True
        return False

    def _order(self, group: Sequence[Item], pools: Sequence[str | None]) -> list[str | None]:
        """Pools in the policy's order; the best first, ties by id. To have nothing of any pool comes last."""
        load = Counter(option.pool for option in self.chosen.values())

        def rank(pool: str | None) -> tuple:
            best = [next(option for option in item.options if option.pool in (pool, None)) for item in group]
            price = sum(min((option.price or 0) for option in item.options if option.pool in (pool, None)) * item.count for item in group)
            score = -sum(option.score for option in best)
            first = {"cheapest": price, "spread": load[pool], "pack": -load[pool]}.get(self.policy, score)
            return pool is None, first, score, pool or ""

        return sorted(pools, key=rank)

    def _assign(self, options: list, position: int, pool: str | None, least: list[Counter], number: int) -> bool:
        if position == len(options):
            return self._place(number + 1)
        item, some = options[position]
        for option in self._preferred(some):
            self.steps += 1
            if self.steps > STEPS:
                raise _GivenUp
            if not self._allowed(item, option):
                continue
            self._take(item, option, pool, 1)
            if self._fits_least(pool, least[position + 1]) and self._assign(options, position + 1, pool, least, number):
                return True
            self._take(item, option, pool, -1)
        return False

    def _preferred(self, options: Sequence[Option]) -> Sequence[Option]:
        """Spreading looks at zones too: those with the fewest things first."""
        if self.policy not in ("spread", "pack") or not any(option.zone for option in options):
            return options
        load = Counter(option.zone for option in self.chosen.values())
        sign = 1 if self.policy == "spread" else -1
        return sorted(options, key=lambda option: sign * load[option.zone])

    def _take(self, item: Item, option: Option, pool: str | None, sign: int) -> None:
        for name, amount in option.uses.items():
            self.used[option.pool or pool or ""][name] += sign * amount * item.count
        self.held[option.resource] += sign * item.count
        if sign > 0:
            self.chosen[item.id] = option
        else:
            del self.chosen[item.id]

    def _allowed(self, item: Item, option: Option) -> bool:
        if option.capacity is not None and self.held[option.resource] + item.count > option.capacity:
            self.blocked[f"{option.resource} has {option.capacity:g} uses left, {item.id} would be one too many"] += 1
            return False
        return all(self._ruled(rule, item, option) for rule in self.by_item[item.id]) and self._paired(item, option)

    def _ruled(self, rule: Rule, item: Item, option: Option) -> bool:
        here = option.place(rule.of)
        others = [self.chosen[name].place(rule.of) for name in rule.others(item.id) if name in self.chosen]
        if rule.of == "pool" and here is None:
            return True
        known = [other for other in others if rule.of != "pool" or other is not None]
        good = all(other == here for other in known) if rule.kind == "same" else here not in known
        if not good:
            self.blocked[f"{', '.join(rule.items)} want {'the same' if rule.kind == 'same' else 'different'} {rule.of}"] += 1
        return good

    def _paired(self, item: Item, option: Option) -> bool:
        for name in self.nodes[item.node] if self.pairs else ():
            other = self.chosen.get(name)
            if other is None or name == item.id:
                continue
            for pair in self.pairs:
                if not (_fits(pair, option, other) and _fits(pair, other, option)):
                    self.blocked[f"node {item.node}: {pair.needs[1]} of one choice is more than {pair.has[1]} of the other"] += 1
                    return False
        return True

    def _fits_least(self, pool: str | None, least: Counter) -> bool:
        """Whether what is still to come can fit into the pool's quota at all, taking the least of each."""
        for name, room in (self.left.get(pool or "") or {}).items():
            wanted = self.used[pool or ""][name] + least[name]
            if wanted > room:
                self.blocked[f"pool {pool}: {name} {wanted:g} > {room:g} left"] += 1
                return False
        return True

    def _why(self) -> list[str]:
        return [reason for reason, _ in self.blocked.most_common(5)] or ["no choice fulfils all together"]


class _GivenUp(Exception):
    pass


def _everywhere(group: Sequence[Item]) -> set[str | None]:
    return {option.pool for item in group for option in item.options if option.pool is not None}


def _groups(items: Sequence[Item], rules: Sequence[Rule]) -> list[list[Item]]:
    """Items that must share a pool, together."""
    leader = {item.id: item.id for item in items}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for rule in rules:
        if rule.kind == "same" and rule.of == "pool":
            for name in rule.items[1:]:
                leader[find(name)] = find(rule.items[0])
    found: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        found[find(item.id)].append(item)
    return list(found.values())


def _least(options: Sequence[tuple[Item, Sequence[Option]]]) -> list[Counter]:
    """For each position, the least that the items from there on use of each class."""
    found = [Counter()]
    for item, some in reversed(options):
        names = set.intersection(*[set(option.uses) for option in some]) if some else set()
        more = Counter({name: min(option.uses[name] for option in some) * item.count for name in names})
        found.append(Counter({name: found[-1][name] + more[name] for name in {*found[-1], *more}}))
    return found[::-1]


def _fits(pair: Pair, one: Option, other: Option) -> bool:
    needs, has = one.facts.get(pair.needs), other.facts.get(pair.has)
    if needs is None or has is None or (pair.free and has == 0):
        return True
    return needs <= has
