"""`attnctl show` as a user runs it: what it finds in a file, how it labels it, and the files that it writes. It needs no server."""

import json
import pathlib
import re
import tempfile
import unittest

import numpy

import attnctl
from attnctl import Programs


class ShowTest(unittest.TestCase):

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="attnctl-")))
        self.weights = numpy.eye(3)[[1, 2, 0]][None, None]
        self.top = {"top_keys": numpy.array([[[[1, 0], [2, -1], [0, 1]]]], numpy.int32),
                    "top_weights": numpy.array([[[[0.75, 0.25], [1, 0], [0.5, 0.5]]]])}

    def write(self, tensors, tokens=None):
        return attnctl.write_safetensors(self.folder / "x.safetensors", tensors, tokens and {"tokens": json.dumps([tokens])})

    def show(self, *arguments, status=attnctl.OK):
        """What it prints: on standard error where it fails."""
        ended, output, errors = attnctl.run(Programs.attnctl, "show", *arguments)
        self.assertEqual(ended, status, output + errors)
        self.assertEqual(errors if status == attnctl.OK else output, "")
        return output if status == attnctl.OK else errors

    def rows(self, *arguments):
        return [line.split("│")[0].strip() for line in self.show(*arguments).splitlines() if "│" in line]

    def test_the_kind_is_what_the_file_has(self):
        file = self.write(self.top | {"weights": self.weights, "pooled_map": numpy.ones((1, 1, 2, 1))})
        self.assertRegex(self.show("--input", file), r"\Aweights, batch 0, head 0: each row is a query")
        self.assertRegex(self.show("--input", file, "--kind", "pooled"), r"\Apooled_map, .*a range of queries")
        self.assertRegex(self.show("--input", file, "--kind", "top"), r"\Atop_keys, .*attends to most")
        self.assertRegex(self.show("--input", file, "--top-keys", "top_keys"), r"\Atop_keys, ")
        self.assertEqual(self.rows("--input", file, "--kind", "pooled"), ["0", "1–2"])
        self.assertRegex(self.show("--input", self.write(self.top)), r"\Atop_keys, ")
        self.assertIn('has no tensor "weights"', self.show("--input", self.write({"a": self.weights}), status=attnctl.BAD_INPUT))

    def test_top_keys_are_listed_with_their_tokens(self):
        lines = self.show("--input", self.write(self.top, ["the", "cat", "sat"]), "--width", "60").splitlines()
        self.assertEqual(lines[2], "the  1 cat 0.75 ████▌   0 the 0.25 █▌")
        self.assertEqual(lines[3], "cat  2 sat 1.00 ██████")

    def test_layers_are_found_by_a_pattern(self):
        file = self.write({"m.1.w": self.weights, "m.12.w": self.weights, "n": self.weights})
        self.assertRegex(self.show("--input", file, "--weights", "m.*.w"), r"\Am\.1\.w, ")
        self.assertRegex(self.show("--input", file, "--weights", "m.{layer}.w", "--layer", "12"), r"\Am\.12\.w, ")
        self.assertIn("--layer is 3, the file's layers are 1, 12",
                      self.show("--input", file, "--weights", "m.*.w", "--layer", "3", status=attnctl.BAD_INPUT))

    def test_tokens_come_from_files_too(self):
        file = self.write({"weights": self.weights[..., :2]}, ["in", "the", "file"])
        (self.folder / "queries").write_text("die\nKatze\nsitzt\n", encoding="utf-8")
        (self.folder / "keys.json").write_text('["the", "cat"]', encoding="utf-8")
        arguments = ("--input", file, "--tokens", self.folder / "queries")
        self.assertEqual(self.rows(*arguments), ["die", "Katze", "sitzt"])
        drawing = self.show(*arguments, "--key-tokens", self.folder / "keys.json")
        self.assertRegex(drawing, r"\n +t +c\n +h +a\n +e +t\n")
        self.assertIn("keys.json: 2 tokens found, 3 (the number of queries) expected",
                      self.show("--input", file, "--tokens", self.folder / "keys.json", "--key-tokens", self.folder / "queries",
                                status=attnctl.BAD_INPUT))

    def test_files_are_written_instead_of_a_drawing(self):
        file = self.write({"layer0.weights": self.weights, "layer1.weights": self.weights}, ["a", "b", "c"])
        png, html = self.folder / "x.png", self.folder / "x.html"
        said = self.show("--input", file, "--png", png, "--html", html)
        self.assertRegex(said, rf"\A{re.escape(str(png))}: 96 x 96 pixels; layer0\.weights, head 0.*\n{re.escape(str(html))}: 0\.\d MB\n\Z")
        self.assertEqual(png.read_bytes()[:24], b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (96).to_bytes(4, "big") * 2)
        self.assertRegex(self.show("--input", file, "--png", png, "--all-heads"), r"2 layers \(rows\) x 1 heads \(columns\)")
        page = html.read_text(encoding="utf-8")
        self.assertTrue(page.startswith("<!DOCTYPE html>"))
        described = json.loads(re.search(r'id="attention">(.*?)</script>', page).group(1))
        self.assertEqual([layer["tensor"] for layer in described["kinds"][0]["layers"]], ["layer0.weights", "layer1.weights"])
        self.assertEqual(described["kinds"][0]["keys"], ["a", "b", "c"])
        self.assertIn("cannot be written", self.show("--input", file, "--html", "/nowhere/x", status=attnctl.BAD_INPUT))
        self.assertIn("--all-heads requires --png", self.show("--input", file, "--all-heads", status=attnctl.BAD_INPUT))


if __name__ == "__main__":
    attnctl.main()
