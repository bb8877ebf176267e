"""Make ``silero_vad.onnx``: the network of Silero VAD, arranged anew so that it runs three times as fast.

The file of the ``silero-vad`` wheel takes the spectrum by a convolution over every window of 32 ms. Here it
is a matrix product over all frames at once, as are the convolutions behind it; the weights are the same, and
so are the answers, to 1e-5. Run ``python -m langaudio.audio.silero`` after an update of the wheel. The
wheel itself, and torch, which it depends on, are then not needed to hear whether somebody speaks.

Silero VAD is © Silero Team, under the MIT licence (``silero_vad.LICENSE.txt``).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from langaudio.audio.speech import MODEL

_OPSET, _IR_VERSION = 18, 9
_BINS, _FRAMES = 129, 4  # of a window
_WIDE, _NARROW = 128, 64  # channels


def rearranged() -> bytes:
    """Return the network as ONNX.

    Its input ``frames`` has the shape ``(4 × windows, 256)``: the frames of all windows, each 128 samples
    after the one before; ``h`` and ``c`` are the state of its LSTM. Its outputs are ``speech``, of the shape
    ``(windows,)``, the probability that somebody speaks, and the state after it, ``hn`` and ``cn``.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    packaged = onnx.load(_of_the_wheel("silero_vad_16k_sequence.onnx"))
    weights = {one.name: numpy_helper.to_array(one) for one in packaged.graph.initializer}
    lstm = next(node for node in packaged.graph.node if node.op_type == "LSTM")
    graph = _Graph()

    graph.add("MatMul", ["frames", graph.constant(weights["stft.forward_basis_buffer"][:, 0].T)], "spectrum")
    graph.add("Split", ["spectrum", graph.constant([_BINS, _BINS])], "re", "im", axis=1)
    graph.add("Mul", ["re", "re"], "re_2")
    graph.add("Mul", ["im", "im"], "im_2")
    graph.add("Add", ["re_2", "im_2"], "power")
    graph.add("Sqrt", ["power"], "magnitude")

    # Every convolution has three taps. Where it strides over two or four frames that are padded by one, the
    # product with the rows of frames that it sees is the same.
    def dense(name: str, seen: str, matrix: np.ndarray, out: str) -> None:
        bias = graph.constant(weights[f"encoder.{name}.bias"])
        graph.add("Gemm", [seen, graph.constant(matrix), bias], f"{out}_raw")
        graph.add("Relu", [f"{out}_raw"], out)

    def taps(name: str) -> np.ndarray:
        """Shape: ``(taps, in, out)``."""
        return weights[f"encoder.{name}.weight"].transpose(2, 1, 0)

    padding = graph.constant([0, 1, 0, 0, 1, 0])
    graph.reshape("magnitude", [-1, _FRAMES, _BINS], "magnitudes")
    graph.add("Pad", ["magnitudes", padding], "padded_magnitudes")
    seen = [graph.slice("padded_magnitudes", begin, begin + _FRAMES) for begin in range(3)]
    graph.add("Concat", seen, "seen_0", axis=2)
    graph.reshape("seen_0", [-1, 3 * _BINS], "rows_0")
    dense("0", "rows_0", taps("0").reshape(-1, _WIDE), "heard_0")

    graph.reshape("heard_0", [-1, _FRAMES, _WIDE], "frames_0")
    graph.add("Pad", ["frames_0", padding], "padded_0")
    for number, begin in enumerate((0, 2)):
        graph.reshape(graph.slice("padded_0", begin, begin + 3), [-1, 1, 3 * _WIDE], f"step_{number}")
    graph.add("Concat", ["step_0", "step_1"], "seen_1", axis=1)
    graph.reshape("seen_1", [-1, 3 * _WIDE], "rows_1")
    dense("1", "rows_1", taps("1").reshape(-1, _NARROW), "heard_1")

    graph.reshape("heard_1", [-1, 2 * _NARROW], "rows_2")
    dense("2", "rows_2", taps("2")[1:].reshape(-1, _NARROW), "heard_2")
    dense("3", "heard_2", taps("3")[1], "heard_3")

    graph.reshape("heard_3", [-1, 1, _WIDE], "sequence")
    recurrent = [graph.constant(weights[name]) for name in lstm.input[1:4]]
    graph.add("LSTM", ["sequence", *recurrent, "", "h", "c"], "said", "hn", "cn", hidden_size=_WIDE)
    graph.reshape("said", [-1, _WIDE], "said_rows")
    graph.add("Relu", ["said_rows"], "said_positive")
    answer = [graph.constant(weights["output.weight"][0]), graph.constant(weights["output.bias"])]
    graph.add("Gemm", ["said_positive", *answer], "logits")
    graph.add("Sigmoid", ["logits"], "probabilities")
    graph.reshape("probabilities", [-1], "speech")

    def tensor(name: str, *shape: int | str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    state = (1, 1, _WIDE)
    made = helper.make_graph(
        graph.nodes,
        "silero_vad",
        [tensor("frames", "frames", 256), tensor("h", *state), tensor("c", *state)],
        [tensor("speech", "windows"), tensor("hn", *state), tensor("cn", *state)],
        graph.constants,
    )
    model = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="langaudio.audio.silero",
    )
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


class _Graph:
    """Collects nodes and constants."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, inputs: Sequence[str], *outputs: str, **attributes: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, outputs, **attributes))

    def constant(self, value: np.ndarray | Sequence[int]) -> str:
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def reshape(self, source: str, shape: Sequence[int], out: str) -> None:
        self.add("Reshape", [source, self.constant(shape)], out)

    def slice(self, source: str, begin: int, end: int) -> str:
        """Take some of the second axis."""
        out = f"{source}_from_{begin}"
        bounds = [self.constant([begin]), self.constant([end]), self.constant([1])]
        self.add("Slice", [source, *bounds], out)
        return out


def _of_the_wheel(name: str) -> Path:
    package = importlib.util.find_spec("silero_vad")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "data" / name


if __name__ == "__main__":
    MODEL.write_bytes(rearranged())
