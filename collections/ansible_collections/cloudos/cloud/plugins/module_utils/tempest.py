"""Selects tests of Tempest, reads what became of them, and tells it: used by module tempest."""

from __future__ import annotations

import re
from collections import Counter

from ansible_collections.cloudos.cloud.plugins.module_utils.operation import Failure

# What subunit calls an outcome -> the column it is counted in. Whatever is not here did not pass.
PASSED = {"success": "passed", "xfail": "passed", "skip": "skipped"}
FIRST_LINES = 12


def select(names, wanted, excluded):
    """The tests to run, and those left out as a mapping of name to reason.

    names: ids of all tests; wanted: regular expressions; excluded: list of {"test": regular expression, "why": reason}.
    An expression that no test matches is a mistake, as a list of tests must not get shorter by itself.
    """
    unknown = [text for text in (*wanted, *(item["test"] for item in excluded)) if not any(map(_searcher(text), names))]
    if unknown:
        raise Failure(
            f"no test of this Tempest matches {', '.join(unknown[:10])}",
            next_step="correct the expression, or take what is gone out of the list (roles/verify/files/tempest)",
        )
    chosen = [name for name in names if any(search(name) for search in map(_searcher, wanted))]
    left_out = {}
    for item in excluded:
        left_out |= dict.fromkeys(filter(_searcher(item["test"]), chosen), item["why"])
    return [name for name in chosen if name not in left_out], left_out


def _searcher(text):
    try:
        return re.compile(text).search
    except re.error as error:
        raise Failure(f"{text} is not a regular expression: {error}", next_step="correct it") from error


def read(stream):
    """Every test of a subunit stream as {"test", "outcome", "seconds", "text"}: passed, failed or skipped.

    A test that began and never ended failed. `text` is its traceback, or why it was skipped.
    """
    import subunit
    import testtools

    tests = []

    def ended(case):
        if case["id"] == "subunit.parser" or case["status"] == "exists":
            return
        began, end = case["timestamps"]
        seconds = (end - began).total_seconds() if began and end else 0.0
        tests.append(
            {
                "test": case["id"],
                "outcome": PASSED.get(case["status"], "failed"),
                "seconds": round(seconds, 1),
                "text": _text(case),
            }
        )

    result = testtools.StreamToDict(ended)
    result.startTestRun()
    subunit.ByteStreamToStreamResult(stream, non_subunit_name="stdout").run(result)
    result.stopTestRun()
    return sorted(tests, key=lambda test: test["test"])


def _text(case):
    """What there is to read about a test: tracebacks first, then the other texts, such as captured logs."""
    details = sorted(case["details"].items(), key=lambda item: not item[0].startswith("traceback"))
    texts = [content.as_text().strip() for _, content in details if content.content_type.type == "text"]
    if case["status"] == "inprogress":
        texts.insert(0, "the test began and did not end")
    return "\n\n".join(text for text in texts if text)


def account(tests, chosen):
    """The results with every chosen test in them, once.

    What a class could not set up, or was skipped for, is the result of each of its tests. A test without any result
    failed: its worker died.
    """
    fixtures = {match[1]: test for test in tests if (match := re.fullmatch(r"setUpClass \((\S+)\)", test["test"]))}
    told = {test["test"] for test in tests}
    complete = [test for test in tests if test not in fixtures.values()]
    for name in (name for name in chosen if name not in told):
        fixture = fixtures.get(name.split("[")[0].rpartition(".")[0])
        died = {"outcome": "failed", "seconds": 0.0, "text": "the test did not run: its worker ended before it"}
        complete.append({**(fixture or died), "test": name})
    return sorted(complete, key=lambda test: test["test"])


def counts(tests):
    """{"run", "passed", "failed", "skipped"}, where run are those that passed or failed."""
    outcomes = Counter(test["outcome"] for test in tests)
    return {"run": outcomes["passed"] + outcomes["failed"], **{name: outcomes[name] for name in ("passed", "failed", "skipped")}}


def failures(tests):
    """Lines that tell the failed tests, each with its error; an error that many tests share is told once."""
    lines, seen = [], {}
    for test in tests:
        if test["outcome"] == "failed":
            said = [f"as {seen[test['text']]}"] if test["text"] in seen else first_lines(test["text"])
            lines += ["", f"{test['test']} ({test['seconds']} s)", *said]
            seen.setdefault(test["text"], test["test"])
    return lines


def first_lines(text):
    """The lines that say what went wrong: the end of the first traceback, where the error is."""
    traceback = text.split("\n\n", 1)[0].splitlines()
    error = next((at for at, line in enumerate(traceback) if re.match(r"[\w.]+(Error|Exception|Failure|[A-Z]\w+): ", line)), None)
    lines = traceback[-FIRST_LINES:] if error is None else traceback[max(0, error - 4):error + FIRST_LINES - 4]
    return [line for line in lines if line.strip()]


def table(numbers, seconds):
    """The numbers of a run as two lines."""
    row = {**numbers, "seconds": round(seconds)}
    return ["  ".join(f"{name:>7}" for name in row), "  ".join(f"{value:>7}" for value in row.values())]


def report(tests, left_out, numbers, seconds):
    """The whole report as text: numbers, every failed test with all that it said, then skipped, left out and slowest ones."""
    lines = [*table(numbers, seconds), ""]
    for test in tests:
        if test["outcome"] == "failed":
            lines += [f"FAILED {test['test']} ({test['seconds']} s)", *(f"    {line}" for line in test["text"].splitlines()), ""]
    lines += [f"SKIPPED {test['test']}: {' '.join(test['text'].split())}" for test in tests if test["outcome"] == "skipped"]
    lines += [f"LEFT OUT {name}: {why}" for name, why in left_out.items()]
    slowest = sorted(tests, key=lambda test: -test["seconds"])[:20]
    lines += ["", "SLOWEST", *(f"{test['seconds']:>8}  {test['test']}" for test in slowest)]
    passed = [f"{test['seconds']:>8}  {test['test']}" for test in tests if test["outcome"] == "passed"]
    return "\n".join([*lines, "", "PASSED", *passed]) + "\n"
