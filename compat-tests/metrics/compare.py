#!/usr/bin/env python3
"""The same requests to Apache's server and to Oxkeeper, and what both then show of them.

  compare.py OXKEEPER JAVA_SERVER

Both are commands that take a zoo.cfg; the Java server needs its exporter (JAVA_POM=zookeeper-prometheus).
Prints a PASS or FAIL line for each family of the exporter, and at last 'N passed, N failed, N skipped'.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.request

import load

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

# Values that follow from the requests alone, on every server.
EQUAL_VALUES = """
    approximate_data_size connection_drop_probability ephemerals_count global_sessions local_sessions
    num_alive_connections outstanding_requests outstanding_tls_handshake packets_received packets_sent watch_count znode_count
    max_client_response_size min_client_response_size non_mtls_local_conn_count non_mtls_remote_conn_count
    quota_bytes_limit_per_namespace quota_bytes_usage_per_namespace quota_count_limit_per_namespace quota_count_usage_per_namespace
    add_dead_watcher_stall_time bytes_received_count cnxn_closed_without_zk_server_running commit_count connection_rejected
    connection_request_count connection_revalidate_count dead_watchers_cleared dead_watchers_queued diff_count
    digest_mismatches_count ensemble_auth_fail ensemble_auth_skip ensemble_auth_success insecure_admin_count
    large_requests_rejected learner_commit_received_count learner_proposal_received_count looking_count
    outstanding_changes_queued outstanding_changes_removed proposal_count quit_leading_due_to_disloyal_voter
    quota_exceeded_error_per_namespace request_commit_queued request_throttle_wait_count
    requests_not_forwarded_to_commit_processor response_bytes restore_error_count restore_rate_limited_count revalidate_count
    sessionless_connections_expired skip_learner_request_to_next_processor_count snap_count snapshot_error_count
    snapshot_rate_limited_count stale_replies stale_requests stale_requests_dropped stale_sessions_expired throttled_ops
    tls_handshake_exceeded unrecoverable_error_count unsuccessful_handshake watch_bytes max_file_descriptor_count
""".split()
# Summaries of values that follow from the requests: number and sum are equal.
EQUAL_SUMS = """
    connection_token_deficit node_changed_watch_count node_children_watch_count node_created_watch_count
    node_deleted_watch_count read_per_namespace startup_txns_loaded write_per_namespace
""".split()
# Summaries of times: their number is equal.
EQUAL_COUNTS = """
    ack_latency close_session_prep_time commit_commit_proc_req_queued commit_process_time commit_propagation_latency
    concurrent_request_processing_in_commit_processor dbinittime dead_watchers_cleaner_latency election_time follower_sync_time
    inflight_diff_count inflight_snap_count jvm_pause_time_ms leader_unavailable_time learner_handler_qp_size
    learner_handler_qp_time_ms learner_request_processor_queue_size local_write_committed_time_ms netty_queued_buffer_capacity
    observer_sync_time om_commit_process_time_ms om_proposal_process_time_ms pending_session_queue_size propagation_latency
    proposal_ack_creation_latency proposal_latency quorum_ack_latency read_commit_proc_issued read_commit_proc_req_queued
    read_commitproc_time_ms read_final_proc_time_ms readlatency reads_after_write_in_session_queue
    reads_issued_from_session_queue request_throttle_queue_time_ms requests_in_session_queue restore_time
    server_write_committed_time_ms session_queues_drained socket_closing_time startup_snap_load_time startup_txns_load_time
    time_waiting_empty_pool_in_commit_processor_read_ms unavailable_time updatelatency write_batch_time_in_commit_processor
    write_commit_proc_issued write_commit_proc_req_queued write_commitproc_time_ms write_final_proc_time_ms
""".split()
# What is counted in both and differs, with the reason.
DIFFERENT = {
    "avg_latency": "a time", "max_latency": "a time", "min_latency": "a time", "uptime": "a time",
    "auth_failed_count": "the original counts certificates only, here each identity that is refused",
    "last_client_response_size": "whose answer was the last depends on the race of a ping",
    "open_file_descriptor_count": "a matter of the implementation",
    "connection_drop_count": "the original also counts clients that close after their closeSession, if it reads that first",
    "snapshottime": "the original writes one at each start",
    "fsynctime": "how many writes one sync takes is chance",
    "prep_processor_request_queued": "reads do not pass the preparation of writes here",
    "prep_processor_queue_size": "one value for each group of requests, not for each request",
    "prep_processor_queue_time_ms": "reads do not pass the preparation of writes here",
    "prep_process_time": "reads do not pass the preparation of writes here",
    "proposal_process_time": "reads do not pass the preparation of writes here",
    "sync_processor_request_queued": "reads do not pass the log here",
    "sync_processor_queue_size": "one value for each group of writes, not for each request",
    "sync_processor_queue_time_ms": "reads do not pass the log here",
    "sync_process_time": "reads do not pass the log here",
    "sync_processor_batch_size": "how many writes one sync takes is chance",
    "sync_processor_queue_flush_time_ms": "how many writes one sync takes is chance",
    "sync_processor_queue_and_flush_time_ms": "the original leaves out reads that meet no write, by chance",
    "response_packet_cache_hits": "answers to getData are not kept: they are as quickly made as found",
    "response_packet_cache_misses": "answers to getData are not kept",
    "response_packet_get_children_cache_hits": "lists are kept from 32 children on",
    "response_packet_get_children_cache_misses": "lists are kept from 32 children on",
}


def free_ports(count):
    out = subprocess.run([sys.executable, os.path.join(HERE, "..", "lib", "free_ports.py"), str(count)],
                         check=True, capture_output=True, text=True).stdout
    return int(out)


class Server:
    def __init__(self, name, command, folder):
        self.name, self.port = name, free_ports(2)
        home = os.path.join(folder, name)
        os.makedirs(os.path.join(home, "data"))
        self.log = os.path.join(home, "log")
        lines = [f"dataDir={home}/data", "tickTime=500", f"clientPort={self.port}", "clientPortAddress=127.0.0.1",
                 "admin.enableServer=false", "4lw.commands.whitelist=*", "enforceQuota=true", "extendedTypesEnabled=true",
                 "maxClientCnxns=0",
                 "metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider",
                 "metricsProvider.httpHost=127.0.0.1", f"metricsProvider.httpPort={self.port + 1}"]
        with open(os.path.join(home, "zoo.cfg"), "w") as file:
            file.write("\n".join(lines) + "\n")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(shlex.split(command) + [os.path.join(home, "zoo.cfg")], stdout=log, stderr=log,
                                            cwd=home, env={**os.environ, "JAVA_POM": "zookeeper-prometheus"})

    def wait(self):
        load.until(f"{self.name} serves", lambda: self.process.poll() is not None or "Mode:" in load.word(self.port, "srvr"), 60)
        assert self.process.poll() is None, f"{self.name} has ended: {open(self.log).read()[-2000:]}"

    def scrape(self, query=""):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port + 1}/metrics{query}", timeout=20) as page:
            assert page.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", page.headers
            return page.read().decode()

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def samples(page):
    """{family: {sample with its labels but the quantile: value}}, with the type under the key None."""
    families, current = {}, None
    for line in page.splitlines():
        if match := re.match(r"# TYPE (\S+) (\S+)", line):
            current = families.setdefault(match[1], {None: match[2]})
        elif line and not line.startswith("#"):
            sample, value = line.rsplit(" ", 1)
            name, _, labels = sample.partition("{")
            labels = [label for label in labels.rstrip("}").rstrip(",").split(",") if label]
            if not any(label.startswith("quantile=") for label in labels):
                current[f"{name}{{{','.join(labels)}}}" if labels else name] = float(value)
    return families


def compared(name, family):
    """What must be equal of a family."""
    values = {key: value for key, value in family.items() if key is not None}
    if name in EQUAL_COUNTS:
        values = {key: value for key, value in values.items() if key.partition("{")[0].endswith("_count")}
    return {None: family[None], **values}


def main():
    oxkeeper, java = sys.argv[1:]
    passed, failed = 0, 0

    def verdict(good, name, why=""):
        nonlocal passed, failed
        passed, failed = passed + good, failed + (not good)
        print("PASS" if good else "FAIL", name, why, flush=True)

    with tempfile.TemporaryDirectory(prefix="oxkeeper-metrics-") as folder:
        servers = [Server("java", java, folder), Server("oxkeeper", oxkeeper, folder)]
        try:
            kept = []
            for server in servers:
                server.wait()
                # What was asked to find out whether it serves is not compared.
                server.before = samples(server.scrape())
                kept += load.run(server.port)
            for server in servers:
                # Clients that hung up are seen to be gone, and the short session has expired.
                load.until(f"{server.name} has come to rest", lambda: samples(
                    server.scrape("?name[]=num_alive_connections&name[]=stale_sessions_expired")) == {
                        "num_alive_connections": {None: "gauge", "num_alive_connections": 2.0},
                        "stale_sessions_expired": {None: "counter", "stale_sessions_expired": 1.0}})
            pages = {server.name: samples(server.scrape()) for server in servers}
            for server in servers:
                for name, family in pages[server.name].items():
                    for key, value in list(family.items()):
                        if key is not None and (family[None] != "gauge" or name.startswith("packets_")):
                            family[key] = value - server.before.get(name, {}).get(key, 0.0) if name not in STARTED else value
            java_page, our_page = pages["java"], pages["oxkeeper"]
            for name, theirs in sorted(java_page.items()):
                if name.startswith(("jvm_", "process_")) and name != "jvm_pause_time_ms":
                    continue
                if name in DIFFERENT:
                    verdict(our_page.get(name, {}).get(None) == theirs[None], name, f"({DIFFERENT[name]})")
                    continue
                if name not in EQUAL_VALUES + EQUAL_SUMS + EQUAL_COUNTS:
                    verdict(False, name, "is in no list")
                    continue
                want, got = compared(name, theirs), compared(name, our_page.get(name, {None: "missing"}))
                verdict(want == got, name, "" if want == got else difference(want, got))
            beyond = [name for name in our_page if name not in java_page
                      and not name.startswith(("oxkeeper_", "jvm_", "process_"))]
            verdict(not beyond, "nothing-else", f"{beyond or ''}")
            for client in kept:
                client.drop()
        finally:
            for server in servers:
                server.end()
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed != 0


# What happened before the first look at the page.
STARTED = ("dbinittime", "startup_snap_load_time", "startup_txns_load_time", "startup_txns_loaded")


def difference(want, got):
    keys = sorted(key for key in want.keys() | got.keys() if key is not None and want.get(key) != got.get(key))
    shown = ", ".join(f"{key}: {want.get(key)} by the original, {got.get(key)} here" for key in keys[:6])
    return shown or f"a {got[None]} where the original has a {want[None]}"


if __name__ == "__main__":
    started = time.time()
    code = main()
    print(f"took {time.time() - started:.0f} s", file=sys.stderr)
    sys.exit(code)
