# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks as graphs that ONNX Runtime computes: NAME.onnx beside the weights NAME.safetensors, which it holds no copy of.

`train.graphs` writes them. A folder of weights without them performs too, in torch, and so does a graphics card.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from ..errors import BadWeights
from .cards import damaged, GRAPH, unusable
from .graph_file import BadGraph, weights_of
from .weights import read_weights

TRANSPOSED = " transposed"  # end of the names of weights that a graph is handed transposed
_LARGEST = 2**21  # bytes of a graph: it holds no weights
_KINDS = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}

onnxruntime.disable_telemetry_events()  # Windows' own records of events


class Graph:
    """A network on the processor: float32 arrays in and out. Threads may call it beside each other."""

    def __init__(self, path: Path, threads: int = 1):
        """path: of NAME.onnx and NAME.safetensors, without the ending.  threads: that share one call. Raises BadWeights."""
        file = path.with_suffix(GRAPH)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # other programs, and other threads of ours, have work
        options.log_severity_level = 4  # what is wrong is said in the error
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # done when the graph was written
        options.enable_mem_pattern = False  # sounds have all lengths
        try:
            if file.stat().st_size > _LARGEST:
                raise BadGraph(f"is larger than {_LARGEST >> 20} MB")
            content, (stored, _) = file.read_bytes(), read_weights(path)
            wanted = weights_of(content)
            stored |= {name + TRANSPOSED: weight.T for name, weight in stored.items()}
            if any(name not in stored or stored[name].shape != shape for name, shape in wanted.items()):
                raise BadGraph("does not fit the weights beside it")
            self._weights = [np.asarray(stored[name], np.float32, "C") for name in wanted]  # which the session does not copy
            options.add_external_initializers(list(wanted), [onnxruntime.OrtValue.ortvalue_from_numpy(each) for each in self._weights])
            # From memory: what a graph says of files beside it is never read.
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except BadGraph as reason:
            raise unusable(file, str(reason)) from None
        except BadWeights:
            raise
        except OSError as error:
            raise damaged(file, error) from error
        except Exception as error:  # ONNX Runtime's, which share no class of their own
            raise unusable(file, "is no graph that ONNX Runtime can compute") from error
        self._inputs = {node.name: _KINDS[node.type] for node in self._session.get_inputs()}

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """Outputs for inputs by name; those that the network does not have are ignored."""
        given: dict[str, np.ndarray] = {name: np.ascontiguousarray(inputs[name], kind) for name, kind in self._inputs.items()}
        return self._session.run(None, given)
