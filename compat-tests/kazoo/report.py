"""A pytest plugin: one JSON line for each test into $KAZOO_REPORT, written as the test ends; tests named in
$KAZOO_DESELECT (lines 'id<TAB>reason') are not run but reported as skipped, with that reason; and tests named in
$KAZOO_RACES (the same lines) may be tried three times (pytest-rerunfailures)."""
import json
import os

import pytest

_tests = {}


def name(location):
    return os.path.basename(location[0]).removesuffix(".py") + "/" + location[2]


def listed(variable):
    """The tests of a list, with their reasons."""
    with open(os.environ[variable]) as f:
        lines = [line.rstrip("\n").split("\t", 1) for line in f if line.strip() and not line.startswith("#")]
    return {test: reason.strip() for test, reason in lines}


def pytest_collection_modifyitems(items):
    reasons, races = listed("KAZOO_DESELECT"), listed("KAZOO_RACES")
    for item in items:
        if reason := reasons.get(name(item.location)):
            item.add_marker(pytest.mark.skip(reason=reason))
        if name(item.location) in races:
            item.add_marker(pytest.mark.flaky(reruns=2))
            item.add_marker(pytest.mark.timeout(30))


def pytest_runtest_logreport(report):
    test = _tests.setdefault(report.nodeid, {"name": name(report.location), "status": "pass", "why": "", "seconds": 0.0})
    test["seconds"] = round(test["seconds"] + report.duration, 2)
    if report.outcome == "rerun":
        test["again"] = True
    elif report.skipped and test["status"] == "pass":
        test["status"] = "skip"
        test["why"] = report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else str(report.longrepr)
    elif report.failed:
        test["status"] = "fail"
        test["why"] = f"[{report.when}] " + (report.longreprtext.strip().splitlines() or [""])[-1][:300]
    if report.when == "teardown" and not test.pop("again", False):
        with open(os.environ["KAZOO_REPORT"], "a") as f:
            f.write(json.dumps(_tests.pop(report.nodeid)) + "\n")
