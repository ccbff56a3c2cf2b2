from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from itertools import permutations
from pathlib import Path

import pytest

from preprocessing.cluster.capacity import Capacity, NodeType, capacity, node_types, tasks_at_once
from preprocessing.cluster.ray_internals import monitor_settings
from preprocessing.errors import ResourceError

GPU_TYPE = NodeType("gpu", {"CPU": 8, "GPU": 4}, max_more=2)
CPU_TYPE = NodeType("cpu", {"CPU": 4}, max_more=3)


@pytest.mark.parametrize(
    ("there", "bundles", "fits"),
    [
        (Capacity(({"CPU": 2},)), [{"CPU": 1}] * 2, True),
        (Capacity(({"CPU": 2},)), [{"CPU": 1}] * 3, False),
        (Capacity(({"CPU": 2}, {"CPU": 2})), [{"CPU": 3}], False),  # enough in all, and no node has it
        (Capacity(({"CPU": 2}, {"CPU": 1})), [{"CPU": 1}, {"CPU": 2}], True),  # the larger one first
        (Capacity(({"CPU": 2, "GPU": 1}, {"CPU": 1})), [{"CPU": 1}, {"CPU": 2, "GPU": 1}], True),
        (Capacity(({"CPU": 0},)), [{"CPU": 1}], False),
        (Capacity((), addable=()), [{"CPU": 1}], False),
        (Capacity((), addable=(CPU_TYPE,)), [{"CPU": 4}] * 3, True),
        (Capacity((), addable=(CPU_TYPE,)), [{"CPU": 4}] * 4, False),
        (Capacity(({"CPU": 4},), addable=(CPU_TYPE,)), [{"CPU": 4}] * 4, True),
        (Capacity((), addable=(CPU_TYPE, GPU_TYPE)), [{"CPU": 2, "GPU": 1}] * 8, True),
        (Capacity((), addable=(CPU_TYPE, GPU_TYPE)), [{"CPU": 2, "GPU": 1}] * 9, False),
        (Capacity((), addable=(CPU_TYPE,)), [{"CPU": 1, "GPU": 1}], False),
        (Capacity((), addable=None), [{"CPU": 1, "GPU": 1}] * 100, True),  # nobody knows
        (Capacity(({"CPU": 2, "GPU": 1},)), [{"CPU": 1, "GPU": 0.25}] * 2, True),
    ],
)
def test_what_a_cluster_could_hold(there: Capacity, bundles: list[dict[str, float]], fits: bool) -> None:
    assert there.could_hold(bundles) == fits
    assert there.could_hold(bundles[::-1]) == fits


def test_equal_bundles_are_refused_only_if_no_assignment_holds_them() -> None:
    draw = random.Random(0)
    for _ in range(300):
        nodes = tuple({"CPU": draw.randint(0, 4), "GPU": draw.randint(0, 2)} for _ in range(draw.randint(1, 3)))
        bundle = {"CPU": draw.randint(1, 2), "GPU": draw.randint(0, 1)}
        most = sum(min(node[name] // bundle[name] for name in bundle if bundle[name]) for node in nodes)
        for order in permutations(nodes):
            assert Capacity(order).could_hold([bundle] * most)
            assert not Capacity(order).could_hold([bundle] * (most + 1))


def test_a_refusal_says_what_is_wanted_what_there_is_and_the_remedy() -> None:
    there = Capacity(({"CPU": 2},), addable=(CPU_TYPE,))
    with pytest.raises(ResourceError) as refused:
        there.require([{"CPU": 1, "GPU": 1}], what="training takes 1 worker", remedy="set gpu=false")
    assert str(refused.value) == (
        "training takes 1 worker: Ray can grow to 14 CPU, 0 GPU in all and 4 CPU, 0 GPU on its "
        "largest node; set gpu=false"
    )
    there.require([{"CPU": 4}] * 3, what="", remedy="")


def test_nodes_alive_are_not_counted_again() -> None:
    content = {
        "max_workers": 5,
        "head_node_type": "head",
        "available_node_types": {
            "head": {"resources": {"CPU": 0}},
            "a": {"resources": {"CPU": 1}, "max_workers": 4},
            "b": {"resources": {"CPU": 2}},
        },
    }
    more = {each.name: each.max_more for each in node_types(content, alive={})}
    assert more == {"a": 4, "b": 5}
    more = {each.name: each.max_more for each in node_types(content, alive={"head": 1, "a": 3})}
    assert more == {"a": 1, "b": 2}
    more = {each.name: each.max_more for each in node_types(content, alive={"a": 4, "b": 1})}
    assert more == {"a": 0, "b": 0}


def test_a_private_ray_cannot_grow(ray_session: None) -> None:
    there = capacity()
    assert there.addable == ()
    assert there.total("CPU") == there.most("CPU") == 2
    assert tasks_at_once() == 2


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs Linux's /proc")
def test_the_cluster_file_is_found_on_the_command_line_of_rays_monitor(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text("max_workers: 3\n")
    program = tmp_path / "monitor.py"
    program.write_text("import time\ntime.sleep(60)\n")
    address = f"192.0.2.1:{os.getpid()}"
    assert monitor_settings(address) is None
    for arguments, expected in (([f"--autoscaling-config={file}"], {"max_workers": 3}), ([], {})):
        process = subprocess.Popen([sys.executable, str(program), f"--gcs-address={address}", *arguments])
        try:
            deadline = time.monotonic() + 20
            while monitor_settings(address) is None and time.monotonic() < deadline:
                time.sleep(0.01)
            assert monitor_settings(address) == expected
        finally:
            process.kill()
            process.wait()
