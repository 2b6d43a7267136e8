"""The problems that are measured."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    """One problem; `kind` says what bounds it: "prefill" by arithmetic, "decode" by reading keys and values, "small" by what comes
    with every call."""
    name: str
    kind: str
    batch: int
    heads: int
    queries: int
    keys: int
    head_size: int
    key_value_heads: int = 0  # 0: as many as heads
    causal: bool = False
    window_left: int = -1  # -1: open
    key_lengths: tuple = ()
    returns: str = "output"  # or "weights", "summaries"
    source: str = "tensors"  # or "packed": keys and values that were packed before the call
    types: tuple = ("float32", "bfloat16")

    def __post_init__(self):
        if self.key_value_heads == 0:
            object.__setattr__(self, "key_value_heads", self.heads)

    def visible_pairs(self):
        """Pairs of a query row and a key that it sees, over all heads and batch entries."""
        pairs = 0
        for entry in range(self.batch):
            length = self.key_lengths[entry] if self.key_lengths else self.keys
            for row in range(self.queries):
                end = min(length, row + 1) if self.causal else length
                begin = max(0, row - self.window_left) if self.window_left >= 0 else 0
                pairs += max(0, end - begin)
        return pairs * self.heads

    def operations(self):
        return 4 * self.visible_pairs() * self.head_size

    def weights_bytes(self):
        return 4 * self.batch * self.heads * self.queries * self.keys if self.returns == "weights" else 0

    def key_value_bytes(self, element_size_bytes):
        return 2 * self.batch * self.key_value_heads * self.keys * self.head_size * element_size_bytes


ALL_TYPES = ("float32", "bfloat16", "float16")
# Evenly from 16 to 512.
PADDED_LENGTHS = tuple(16 + round(i * (512 - 16) / 15) for i in range(16))

ROWS = (
    Row("B8 H12 S512 D64", "prefill", 8, 12, 512, 512, 64, types=ALL_TYPES),
    Row("B1 H32 S2048 D128 causal", "prefill", 1, 32, 2048, 2048, 128, causal=True),
    Row("B1 H32 KV8 S1024 D128 causal", "prefill", 1, 32, 1024, 1024, 128, key_value_heads=8, causal=True, types=ALL_TYPES),
    Row("B1 H32 KV8 S8192 D128 causal", "prefill", 1, 32, 8192, 8192, 128, key_value_heads=8, causal=True),
    Row("B1 H8 S64 D64", "small", 1, 8, 64, 64, 64, types=ALL_TYPES),
    Row("B3 H12 S15 D32 lengths (MiniLM)", "small", 3, 12, 15, 15, 32, key_lengths=(15, 12, 9)),
    Row("B16 H12 S512 D64 lengths 16-512", "prefill", 16, 12, 512, 512, 64, key_lengths=PADDED_LENGTHS),
    Row("B1 H8 S8192 D64 window 1024", "prefill", 1, 8, 8192, 8192, 64, causal=True, window_left=1023),
    Row("decode B16 H32 KV8 Sk4096 D128", "decode", 16, 32, 1, 4096, 128, key_value_heads=8),
    Row("decode B1 H32 KV8 Sk32768 D128", "decode", 1, 32, 1, 32768, 128, key_value_heads=8),
    Row("decode B16 H32 KV8 Sk4096 D128 packed", "decode", 16, 32, 1, 4096, 128, key_value_heads=8, source="packed"),
    Row("decode B1 H32 KV8 Sk32768 D128 packed", "decode", 1, 32, 1, 32768, 128, key_value_heads=8, source="packed"),
    Row("cross B4 H16 Sq64 Sk4096 D64", "prefill", 4, 16, 64, 4096, 64),
    Row("B4 H12 S512 D80", "prefill", 4, 12, 512, 512, 80),
    Row("B4 H12 S512 D96", "prefill", 4, 12, 512, 512, 96),
    Row("B4 H12 S512 D256", "prefill", 4, 12, 512, 512, 256),
    Row("B4 H12 S512 D64", "prefill", 4, 12, 512, 512, 64),
    Row("B4 H12 S512 D64 weights", "weights", 4, 12, 512, 512, 64, returns="weights"),
    Row("B1 H8 S8192 D64 summaries", "summaries", 1, 8, 8192, 8192, 64, returns="summaries", types=("float32",)),
    # Calls on one pool beside calls of processes with a thread each.
    Row("B64 H1 S16 D64", "small", 64, 1, 16, 16, 64, types=("float32",)),
)

# Of which is measured how much memory a call takes beyond its inputs and outputs; a matrix of its weights would take 16 GiB.
MEMORY_ROW = Row("B1 H1 S65536 D64", "memory", 1, 1, 65536, 65536, 64, types=("float32",))
