"""Each summary that `attnctl attend` can ask for, judged by numpy from the weights in float64."""

import numpy

import attnctl
from attnctl import ProblemTest

ROWS, KEYS = ProblemTest.ROWS, ProblemTest.KEYS
CAUSAL = KEYS <= ROWS + 2
OFFSET = 2  # of bottom-right


def entropy(weights):
    return -(weights * numpy.log(numpy.where(weights == 0, 1, weights))).sum(-1)


def top_keys(weights, count):
    """By weight, of equal ones the lower first; −1 where only hidden ones are left."""
    order = numpy.argsort(-weights, -1, kind="stable")[..., :count]
    found = numpy.take_along_axis(weights, order, -1)
    return numpy.where(found == 0, -1, order), found


def pooled(weights, rows, columns, function):
    """Cell (r, c) is `function` of the rows and keys that attention.proto says."""
    def edges(count, cells):
        return [cell * count // cells for cell in range(cells + 1)]

    row_edges, key_edges = edges(weights.shape[-2], rows), edges(weights.shape[-1], columns)
    result = numpy.zeros(weights.shape[:-2] + (rows, columns))
    for r in range(rows):
        for c in range(columns):
            cell = weights[..., row_edges[r]:row_edges[r + 1], key_edges[c]:key_edges[c + 1]]
            if cell.size:
                result[..., r, c] = function(cell, (-2, -1))
    return result


class SummariesTest(ProblemTest):

    def setUp(self):
        super().setUp()
        self.weights = self.expect(visible=CAUSAL)[1]
        self.input = attnctl.write_safetensors(self.folder / "in", {"query": self.query, "key": self.key, "value": self.value})

    def ask(self, *options):
        """What --output holds beside the output."""
        out = self.folder / "out"
        self.attend("--input", self.input, "--causal", "bottom-right", "--output", out, *options)
        tensors = attnctl.read_safetensors(out)[0]
        del tensors["output"]
        return tensors

    def check_summary(self, name, expected, *options):
        tensors = self.ask(*options)
        self.assertEqual(list(tensors), [name])
        self.assertEqual(tensors[name].shape, expected.shape)
        numpy.testing.assert_allclose(tensors[name], expected, rtol=0, atol=attnctl.TOLERANCE)

    def test_of_rows(self):
        self.check_summary("entropy", entropy(self.weights), "--entropy")
        self.check_summary("largest_weight", self.weights.max(-1), "--largest-weight")
        self.check_summary("first_keys_weight", self.weights[..., :2].sum(-1), "--first-keys", "2")
        distance = abs(ROWS + OFFSET - KEYS)
        self.check_summary("mean_distance", (self.weights * distance).sum(-1), "--mean-distance")

    def test_of_keys(self):
        self.check_summary("received_sum", self.weights.sum(-2), "--received-sum")
        self.check_summary("received_maximum", self.weights.max(-2), "--received-maximum")

    def test_top_keys(self):
        keys, weights = top_keys(self.weights, 4)
        tensors = self.ask("--top-keys", "4")
        self.assertEqual(tensors["top_keys"].dtype, numpy.int32)
        numpy.testing.assert_array_equal(tensors["top_keys"], keys)
        numpy.testing.assert_allclose(tensors["top_weights"], weights, rtol=0, atol=attnctl.TOLERANCE)

    def test_matrix(self):
        scores = self.query.astype(numpy.float64) @ numpy.swapaxes(self.key, -1, -2) / numpy.sqrt(self.D)
        capped = numpy.tanh(scores / 2) * 2
        masked = numpy.where(CAUSAL, capped, -numpy.inf)
        self.check_summary("matrix", scores, "--matrix", "scaled", "--soft-cap", "2")
        self.check_summary("matrix", capped, "--matrix", "soft-capped", "--soft-cap", "2")
        self.check_summary("matrix", masked, "--matrix", "masked", "--soft-cap", "2")
        self.check_summary("matrix", self.weights, "--matrix", "weights", "--matrix-type", "float32")

    def test_matrix_as_the_querys_type(self):
        halves = {name: getattr(self, name).astype(numpy.float16) for name in ("query", "key", "value")}
        file = attnctl.write_safetensors(self.folder / "half", halves)
        self.attend("--input", file, "--matrix", "weights", "--matrix-type", "float16", "--output", self.folder / "out")
        self.assertEqual(attnctl.read_safetensors(self.folder / "out")[0]["matrix"].dtype, numpy.float16)

    def test_pooled_map(self):
        self.check_summary("pooled_map", pooled(self.weights, 2, 3, numpy.mean), "--pooled-map", "2x3")
        self.check_summary("pooled_map", pooled(self.weights, 2, 3, numpy.mean), "--pooled-map", "2x3", "--pooling", "mean")
        self.check_summary("pooled_map", pooled(self.weights, 8, 4, numpy.max), "--pooled-map", "8x4", "--pooling", "maximum")

    def test_of_what_is_chosen(self):
        rows = self.weights[1:2, ::2, 1:4]
        choice = ("--batch-entries", "1", "--heads", "0,2", "--query-rows", "1-3")
        self.check_summary("entropy", entropy(rows), "--entropy", *choice)
        self.check_summary("received_sum", rows.sum(-2), "--received-sum", *choice)
        self.check_summary("matrix", rows, "--matrix", "weights", *choice)
        self.check_summary("pooled_map", pooled(rows, 2, 2, numpy.mean), "--pooled-map", "2x2", *choice)

    def test_of_heads_together(self):
        self.check_summary("entropy", entropy(self.weights).mean(1), "--entropy", "--head-reduction", "mean")
        self.check_summary("entropy", entropy(self.weights).sum(1), "--entropy", "--head-reduction", "sum")
        self.check_summary("received_sum", self.weights[:, 1:].sum((1, 2)), "--received-sum", "--head-reduction", "sum", "--heads",
                           "1-2")
        self.check_summary("matrix", self.weights.mean(1), "--matrix", "weights", "--head-reduction", "mean")

    def test_many_at_once_and_the_report(self):
        options = ("--input", self.input, "--causal", "bottom-right", "--entropy", "--top-keys", "2", "--received-sum", "--weights")
        report = self.attend(*options, "--output", self.folder / "out")
        found = report["summaries"]
        self.assertEqual(list(found), ["top_keys", "top_weights", "entropy", "received_sum"])
        self.assertEqual(found["top_keys"]["element_type"], "int32")
        self.assertEqual(found["entropy"]["shape"], [self.B, self.H, self.SQ])
        self.assertAlmostEqual(found["entropy"]["largest"], entropy(self.weights).max(), 4)
        self.assertAlmostEqual(found["entropy"]["smallest"], entropy(self.weights).min(), 4)
        self.assertAlmostEqual(found["entropy"]["mean"], entropy(self.weights).mean(), 4)
        self.assertIsNone(found["entropy"]["max_abs_error"])
        self.assertGreater(report["report"]["summary_tiles"], 0)
        text = self.attnctl("attend", *options)
        self.assertRegex(text, r"(?m)^entropy +float32 \[2, 3, 5\]  \S+ to \S+, mean \S+$")
        self.assertRegex(text, r"(?m)^top-keys +int32 \[2, 3, 5, 2\]  \d to \d$")
        self.assertRegex(text, r"(?m)^summaries    \d+ tiles computed again$")

    def test_expects_the_summaries_that_a_file_holds(self):
        out, options = self.folder / "out", ("--input", self.input, "--entropy", "--top-keys", "2")
        self.attend(*options, "--output", out)
        report = self.attend(*options, "--expect", out, "--tolerance", "0")
        self.assertEqual(report["summaries"]["entropy"]["max_abs_error"], 0)
        tensors, _ = attnctl.read_safetensors(out)
        wrong = attnctl.write_safetensors(self.folder / "wrong", tensors | {"entropy": tensors["entropy"] + 1})
        report = self.attend(*options, "--expect", wrong, status=attnctl.CHECK_FAILED)
        self.assertAlmostEqual(report["summaries"]["entropy"]["max_abs_error"], 1, 5)
        errors = self.attnctl("attend", "--input", self.input, "--expect", out, status=attnctl.BAD_INPUT)
        self.assertIn("--expect: the file has", errors)


if __name__ == "__main__":
    attnctl.main()
