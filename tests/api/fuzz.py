"""Schemathesis for a served service: what its description allows, and what it does not; no answer may be an error of ours."""

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

# Streams wait for events, and what fails on purpose fails.
LEFT_OUT = ("/v1/boom",)


def fuzz(served, caller, examples):
    """Raises AssertionError with the first request of each operation whose answer is a 5xx or no problem."""
    schema = schemathesis.openapi.from_dict(served.app.openapi)
    schema.config.update(base_url=served.url)
    failures = []
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path in LEFT_OUT:
            continue
        for mode in GenerationMode:
            try:
                _one(operation, mode, caller, examples)
            except AssertionError as error:
                failures.append(str(error))
    assert not failures, "\n".join(failures)


def _one(operation, mode, caller, examples):
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case):
        answer = case.call(session=caller, headers=dict(caller.headers))
        told = f"{case.as_curl_command()}: {answer.status_code} {answer.text[:300]}"
        assert answer.status_code < 500 or answer.status_code == 503, told
        if answer.status_code >= 400:
            assert "problem+json" in str(answer.headers.get("content-type")) or operation.path == "/healthcheck", told

    try:
        check()
    except Exception as error:
        if "Unsatisfiable" not in type(error).__name__:
            raise
