"""torch.nn.functional.scaled_dot_product_attention, said as one call of the interface."""

import torch
from attnd.v1 import attention_pb2 as pb

from attend_calls import attend
from attnd_process import PATIENCE_SECONDS

_ELEMENT_TYPES = {torch.float32: pb.ELEMENT_TYPE_FLOAT32, torch.bfloat16: pb.ELEMENT_TYPE_BFLOAT16,
                  torch.float16: pb.ELEMENT_TYPE_FLOAT16, torch.bool: pb.ELEMENT_TYPE_BOOL}


def _describe(tensor):
    return pb.TensorDescription(element_type=_ELEMENT_TYPES[tensor.dtype], shape=tensor.shape)


def _to_bytes(tensor):
    # As integers of the same size, because numpy has no bfloat16.
    integers = {1: torch.uint8, 2: torch.int16, 4: torch.int32}[tensor.element_size()]
    return tensor.contiguous().view(integers).numpy().tobytes()


def _to_tensor(description, data, dtype):
    return torch.frombuffer(bytearray(data), dtype=dtype).reshape(tuple(description.shape))


def _check(query, key, attn_mask, dropout_p, is_causal, enable_gqa):
    """What PyTorch refuses, or the service has no word for."""
    if dropout_p != 0:
        raise ValueError(f"dropout_p: {dropout_p} found, 0 expected: the service computes, it does not train")
    if is_causal and attn_mask is not None:
        raise ValueError("attn_mask: PyTorch takes none beside is_causal")
    if query.dim() == 4 and not enable_gqa and query.shape[1] != key.shape[1]:
        raise ValueError(f"enable_gqa: needed where query has {query.shape[1]} heads and key {key.shape[1]}")


def scaled_dot_product_attention(channel, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None,
                                 enable_gqa=False):
    """As PyTorch's, for tensors of two, three ([N, L, E]) or four dimensions ([N, H, L, E])."""
    _check(query, key, attn_mask, dropout_p, is_causal, enable_gqa)
    problem = pb.AttentionProblem(query=_describe(query), scale=scale,
                                  tensors=pb.KeyValueTensors(key=_describe(key), value=_describe(value)))
    request = pb.AttendRequest(problem=problem, query_data=_to_bytes(query), key_data=_to_bytes(key),
                               value_data=_to_bytes(value))
    if is_causal:
        # PyTorch's diagonal begins at the top left, whatever the lengths.
        request.problem.mask.causal.alignment = pb.CausalMask.ALIGNMENT_TOP_LEFT
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        request.problem.mask.boolean.tensor.CopyFrom(_describe(attn_mask))
        request.mask_data = _to_bytes(attn_mask)
    elif attn_mask is not None:
        request.problem.bias.tensor.CopyFrom(_describe(attn_mask))
        request.bias_data = _to_bytes(attn_mask)
    response = attend(channel)(request, timeout=PATIENCE_SECONDS)
    return _to_tensor(response.result.output, response.output_data, query.dtype)
