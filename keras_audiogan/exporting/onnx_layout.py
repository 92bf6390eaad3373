"""Sequences as pictures of one row, from end to end of an ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np

_ELEMENTWISE = (
    "Abs Add Clip Div Elu Erf Exp LeakyRelu Max Min Mul Neg Pow Relu Sigmoid "
    "Sin Sqrt Sub Tanh"
).split()


def keep_row_axis(proto: Any) -> None:
    """Keeps the axis that convolutions need, from one to the next, in place.

    TensorFlow convolves pictures alone: in front of each convolution of a
    sequence an axis of one row is put in, and behind it is taken out. Between
    convolutions of pictures onnxruntime and OpenVINO do the bias, the
    activation and the sum of a residual block in passing, and in the layout
    that they are quickest in; not so across such changes of shape.

    Args:
        proto: an `onnx.ModelProto`.
    """
    from onnx import helper, numpy_helper, shape_inference

    graph = proto.graph
    inferred = shape_inference.infer_shapes(proto, data_prop=True).graph
    ranks = {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in inferred.value_info
    }
    constants = {tensor.name: tensor for tensor in graph.initializer}
    # Sequence -> its picture, and the place of the axis of one row.
    pictures: dict[str, tuple[str, int]] = {}
    renamed: dict[str, str] = {}
    nodes: list[Any] = []

    def axis_of(node: Any) -> int | None:
        axes = constants.get(node.input[1]) if len(node.input) > 1 else None
        values = [] if axes is None else numpy_helper.to_array(axes).tolist()
        return values[0] if values in ([2], [3]) else None

    def operands(node: Any) -> tuple[list[str], int] | None:
        """Returns a node's inputs with pictures for sequences, and the axis."""
        axes = {pictures[x][1] for x in node.input if x in pictures}
        if len(axes) != 1:
            return None
        (axis,) = axes
        names = []
        for name in node.input:
            if name in pictures:
                name = pictures[name][0]
            elif name in constants:
                values = numpy_helper.to_array(constants[name])
                if values.ndim > 3:
                    return None
                if values.ndim:
                    name = f"{name}__row{axis}"
                    if name not in constants:
                        values = np.expand_dims(values, axis - 4)
                        tensor = numpy_helper.from_array(values, name)
                        constants[name] = tensor
                        graph.initializer.append(tensor)
            elif name:
                return None
            names.append(name)
        return names, axis

    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
        found = None
        axis = axis_of(node)
        if node.op_type == "Squeeze" and axis and ranks.get(node.input[0]) == 4:
            pictures[node.output[0]] = (node.input[0], axis)
        elif node.op_type == "Unsqueeze" and node.input[0] in pictures:
            name, squeezed = pictures[node.input[0]]
            if axis == squeezed:
                renamed[node.output[0]] = name
        elif node.op_type in _ELEMENTWISE:
            found = operands(node)
        if found is None:
            nodes.append(node)
            continue
        names, axis = found
        sequence, picture = node.output[0], f"{node.output[0]}__picture"
        del node.input[:]
        node.input.extend(names)
        node.output[0] = picture
        axes = f"axes__row{axis}"
        if axes not in constants:
            constants[axes] = numpy_helper.from_array(np.array([axis]), axes)
            graph.initializer.append(constants[axes])
        pictures[sequence] = (picture, axis)
        nodes += [
            node,
            helper.make_node(
                "Squeeze", [picture, axes], [sequence], f"{picture}__squeeze"
            ),
        ]
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    tensors = [each for each in graph.initializer if each.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(tensors)
