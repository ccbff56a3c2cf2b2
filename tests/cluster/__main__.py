"""`make cluster`: every stage as a job on a farm of hosts, then the fault table (runs/cluster/faults.md)."""

from __future__ import annotations

import itertools
import logging
import shutil
import sys
import tempfile
from pathlib import Path

from tests.cluster import stages
from tests.cluster.farm import unavailable
from tests.cluster.faults import FAULTS, Outcome, read, table, train, tried, weights_sha256, write
from tests.cluster.ray_farm import ROOT, RayFarm, ray_farm

logger = logging.getLogger("cluster")

RESULTS = ROOT / "runs/cluster"
NODES = ("node-a", "node-b", "node-c")


def main(chosen: list[str]) -> int:
    """Run the stages and the faults whose names contain one of the chosen words, all without any."""
    if reason := unavailable():
        print(f"make cluster: skipped, {reason}")
        return 0
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    shutil.rmtree(RESULTS if not chosen else RESULTS / "logs", ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="farm-", dir="/var/tmp"))
    with ray_farm(folder, NODES, logs=RESULTS / "logs") as cluster:
        logger.info("a head and %d nodes are up", len(NODES))
        outcomes = run(cluster, chosen)
    print(table(outcomes))
    return 0 if all("SUCCEEDED" in one.ends and one.same_result is not False for one in outcomes) else 1


def run(cluster: RayFarm, chosen: list[str]) -> list[Outcome]:
    """The stages in order, then the faults; the table, with the rows of earlier calls, is written after each one."""
    outcomes, numbers = read(RESULTS), itertools.count(1)

    def add(outcome: Outcome) -> None:
        outcomes[:] = [one for one in outcomes if one.fault != outcome.fault] + [outcome]
        write(outcomes, RESULTS)
        logger.info(
            "%s: %s, same result: %s, %.0f s", outcome.fault, outcome.ends, outcome.same_result, outcome.seconds
        )
        cluster.farm.clear_away()
        while len(cluster.farm.hosts) <= len(NODES):
            cluster.start_node(f"new-{next(numbers)}")

    stages.write_videos(cluster.farm.shared / "videos")
    for job in (stages.preprocess(cluster, "/shared/dataset"), stages.preprocess(cluster, "s3://bucket/dataset")):
        stages.succeeded(job)
        logger.info("%s: done", job.name)
    stages.succeeded(train(cluster, "undisturbed"))
    expected = weights_sha256(cluster, "undisturbed")
    stages.succeeded(stages.evaluate(cluster, "/shared/out/undisturbed/checkpoint", "/shared/report"))
    stages.succeeded(stages.tune(cluster, "/shared/search"))
    logger.info("preprocess (folder and S3), train, evaluate and tune ran as jobs")
    for number, fault in enumerate(FAULTS):
        if not chosen or any(word in fault.name for word in chosen):
            add(tried(cluster, fault, name=f"fault-{number}", expected_sha256=expected))
    if not chosen or "preprocessing" in chosen:
        add(stages.preprocess_losing_a_node(cluster, expected=stages.content(cluster.farm.shared / "dataset")))
    if not chosen or "search" in chosen:
        best = stages.settings_of(cluster.farm.shared / "search/best.yaml")
        add(stages.search_losing_a_node(cluster, expected=best))
    return outcomes


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
