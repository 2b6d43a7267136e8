"""A trained model's layers through attnctl, as the quickstart sends them, and what `list` and `show` make of the file."""

import json
import pathlib

import attnctl
from attnctl import AttnctlTest, Programs


class ModelTest(AttnctlTest):

    def setUp(self):
        super().setUp()
        self.model = pathlib.Path(Programs.checkout) / "tests/data/minilm.safetensors"

    def send(self, layer, *arguments, status=attnctl.OK):
        name = f"layer{layer}"
        return self.attend("--input", self.model, "--query", f"{name}.query", "--key", f"{name}.key", "--value",
                           f"{name}.value", "--key-lengths", "key_lengths", "--expect-weights", f"{name}.weights", *arguments,
                           status=status)

    def test_every_layer_is_what_the_model_computed(self):
        layers = [name for name in json.loads(self.attnctl("list", "--input", self.model, "--json"))["tensors"]
                  if name.endswith(".query")]
        self.assertEqual(len(layers), 6)
        for layer in range(6):
            report = self.send(layer, "--expect-output", f"layer{layer}.output")
            self.assertTrue(report["within_tolerance"])

    def test_another_layers_output_is_not(self):
        report = self.send(0, "--expect-output", "layer1.output", status=attnctl.CHECK_FAILED)
        self.assertLess(report["weights_max_abs_error"], attnctl.TOLERANCE)
        self.assertGreater(report["output_max_abs_error"], 0.1)

    def test_a_head_is_drawn_with_its_tokens(self):
        self.send(0, "--output", self.folder / "out.safetensors")
        drawing = self.attnctl("show", "--input", self.folder / "out.safetensors", "--batch", "0", "--head", "0", "--width", "80")
        rows = [line.split("│")[0].strip() for line in drawing.splitlines() if "│" in line]
        self.assertEqual(rows, ["[CLS]", "the", "animal", "did", "not", "cross", "the", "street", "because", "it", "was", "too",
                                "tired", ".", "[SEP]"])
        self.assertIn("█", drawing)
        self.assertNotIn("\x1b", drawing)  # it goes to a pipe
        padded = self.attnctl("show", "--input", self.folder / "out.safetensors", "--batch", "1")
        self.assertNotIn("[PAD]", padded)

    def test_colours_may_be_asked_for(self):
        for color, sequence in (("none", None), ("256", "\x1b[48;5;"), ("truecolor", "\x1b[48;2;")):
            drawing = self.attnctl("show", "--input", self.model, "--weights", "layer0.weights", "--color", color)
            self.assertEqual("\x1b" in drawing, sequence is not None)
            self.assertIn(sequence or "░", drawing)

    def test_list_shows_types_shapes_and_metadata(self):
        text = self.attnctl("list", "--input", self.model)
        self.assertRegex(text, r"(?m)^key_lengths +int64 +\[3\]$")
        self.assertRegex(text, r"(?m)^layer5\.weights +float32 +\[3, 12, 15, 15\]$")
        self.assertIn("  model: sentence-transformers/all-MiniLM-L6-v2\n", text)
        listed = json.loads(self.attnctl("list", "--input", self.model, "--json"))
        self.assertEqual(listed["tensors"]["key_lengths"], {"element_type": "int64", "shape": [3]})
        self.assertEqual(json.loads(listed["metadata"]["tokens"])[0][0], "[CLS]")


if __name__ == "__main__":
    attnctl.main()
