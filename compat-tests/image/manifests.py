#!/usr/bin/env python3
"""What schemas do not see of docker/: names that must agree between the manifests, the entry point and the image.

usage: manifests.py FOLDER
"""
import pathlib
import re
import sys

import yaml

FOLDER = pathlib.Path(sys.argv[1])
entry = (FOLDER / "entrypoint.sh").read_text()
known = set(re.findall(r"\bZOO_[A-Z0-9_]+", entry)) | {"OXKEEPER_LOG", "OXKEEPER_LOG_FORMAT"}
image = (FOLDER / "Dockerfile").read_text()

compose = yaml.safe_load((FOLDER / "compose.yaml").read_text())
members = {name: service for name, service in compose["services"].items() if name.startswith("zoo")}
assert len(members) == 3, members
for name, member in members.items():
    environment = member["environment"]
    assert set(environment) <= known, set(environment) - known
    line = f"server.{environment['ZOO_MY_ID']}={name}:2888:3888;2181"
    assert line in environment["ZOO_SERVERS"].split(), line
    assert member["hostname"] == name and member["read_only"]
    for volume in member["volumes"]:
        assert volume.split(":")[0] in compose["volumes"], volume
scraped = yaml.safe_load((FOLDER / "prometheus/prometheus.yml").read_text())["scrape_configs"][0]["static_configs"][0]["targets"]
assert scraped == [f"{name}:7000" for name in members], scraped
for service in compose["services"].values():
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        assert not source.startswith(".") or (FOLDER / source).exists(), f"{source} is not there"

documents = list(yaml.safe_load_all((FOLDER / "kubernetes/oxkeeper.yaml").read_text()))
kinds = {document["kind"]: document for document in documents}
assert set(kinds) == {"Service", "PodDisruptionBudget", "StatefulSet"}, set(kinds)
services = {document["metadata"]["name"]: document["spec"] for document in documents if document["kind"] == "Service"}
spec = kinds["StatefulSet"]["spec"]
labels = spec["template"]["metadata"]["labels"]
container = spec["template"]["spec"]["containers"][0]
environment = {variable["name"]: variable["value"] for variable in container["env"]}
assert set(environment) <= known, set(environment) - known
assert environment["ZOO_MY_ID"] == "ordinal" and environment["ZOO_REPLICAS"] == str(spec["replicas"])
assert environment["ZOO_SERVICE"] == spec["serviceName"]
headless = services[spec["serviceName"]]
assert headless["clusterIP"] == "None" and headless["publishNotReadyAddresses"]
ports = {port["name"] for port in container["ports"]}
for service in services.values():
    assert service["selector"] == labels
    assert {port["targetPort"] for port in service["ports"]} <= ports
assert spec["selector"]["matchLabels"] == kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
pod = spec["template"]["spec"]["securityContext"]
assert f"USER {pod['runAsUser']}:{pod['runAsGroup']}" in image
assert container["securityContext"]["readOnlyRootFilesystem"]
mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
assert {"/conf", "/data", "/datalog", "/tmp"} <= mounts, mounts
