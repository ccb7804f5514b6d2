"""results.py GO_TEST_JSON TEST...: one line 'pass|fail|skip<TAB>test<TAB>seconds or reason' for each of the tests."""
import json
import sys

ended, output = {}, {}
with open(sys.argv[1], errors="replace") as f:
    for line in f:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        test = event.get("Test", "").split("/")[0]
        if event.get("Action") == "output":
            # "[ZKERR]" marks what the server wrote
            if "[ZKERR]" not in event["Output"] and event["Output"].strip():
                output.setdefault(test, []).append(event["Output"].strip())
        elif event.get("Action") in ("pass", "fail", "skip") and event.get("Test") == test:
            ended[test] = (event["Action"], event.get("Elapsed", 0))
for test in sys.argv[2:]:
    action, seconds = ended.get(test, ("fail", 0))
    said = [s for s in output.get(test, []) if not s.startswith(("=== ", "--- "))]
    reason = " ".join(said[-3:])[-300:] if test in ended else "did not end: " + " ".join(output.get(test, ["never started"])[-2:])[-300:]
    print(action, test, f"{seconds:g}" if action == "pass" else reason.replace("\t", " "), sep="\t")
