# SPDX-License-Identifier: GPL-3.0-or-later
"""A Ray cluster of several nodes on this machine, for tests: `ray_cluster.py NODES` in a Python
that has Ray.

Prints its address, then ends the node whose id begins with each line of stdin, as if its machine
had lost its power.
"""

import sys

from ray.cluster_utils import Cluster

cluster = Cluster(
    initialize_head=True,
    head_node_args={"num_cpus": 0, "include_dashboard": False, "object_store_memory": 100 * 2**20},
)
nodes = [
    cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20) for _ in range(int(sys.argv[1]))
]
print("address", cluster.address, flush=True)
try:
    for line in sys.stdin:
        gone = next(node for node in nodes if node.node_id.startswith(line.strip()))
        cluster.remove_node(gone, allow_graceful=False)
        print("ended", line.strip(), flush=True)
finally:
    cluster.shutdown()
