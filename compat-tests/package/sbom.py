#!/usr/bin/env python3
"""sbom.py oxkeeper.cdx.json ROOT: the list of parts names what Cargo resolves for the program. It may name a little more of
Cargo.lock: cargo-cyclonedx does not leave out what an optional feature of a part would bring along."""

import json
import re
import subprocess
import sys

bom = json.load(open(sys.argv[1]))
assert bom["bomFormat"] == "CycloneDX", bom["bomFormat"]
assert bom["metadata"]["component"]["name"] == "oxkeeper"
tree = subprocess.run(
    ["cargo", "tree", "--locked", "--edges", "normal,build", "--target", "x86_64-unknown-linux-gnu", "--prefix", "none",
     "--format", "{p}"], cwd=sys.argv[2], capture_output=True, text=True, check=True).stdout
wanted = {tuple(line.split()[:2]) for line in tree.splitlines() if line.strip()}
wanted = {f"{name}@{version[1:]}" for name, version in wanted if name != "oxkeeper"}
locked = re.findall(r'^name = "(.*)"\nversion = "(.*)"', open(sys.argv[2] + "/Cargo.lock").read(), re.MULTILINE)
locked = {f"{name}@{version}" for name, version in locked}
found = {f"{part['name']}@{part['version']}" for part in bom["components"]}
assert wanted <= found <= locked, f"missing {sorted(wanted - found)}, too many {sorted(found - locked)}"
assert "proptest" not in {part["name"] for part in bom["components"]}, "what only tests use is no part"
for part in bom["components"]:
    assert part["purl"].startswith("pkg:cargo/") and part["licenses"] and part["hashes"], part
assert sys.argv[2] not in json.dumps(bom), "it tells where it was made"
print(f"{len(found)} parts")
