"""The page of `attnctl show --html` in headless Chromium: what it draws, says and does, against the tensors that are in it.

Usage: page_browser_test.py ATTNCTL CHECKOUT PICTURES [UNITTEST ARGUMENT…], where pictures are kept for people to look at.
"""

import json
import os
import pathlib
import sys
import tempfile
import unittest

import numpy

import attnctl
from chromium import Chromium

WIDTH, HEIGHT = 1440, 900
ATTNCTL, CHECKOUT, PICTURES = map(os.path.abspath, sys.argv[1:4])


def softmax(scores):
    exponentials = numpy.exp(scores - scores.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


class PageTest(unittest.TestCase):
    """One browser for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.browser = cls.enterClassContext(Chromium())

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="page-")))
        self.page = self.folder / "page.html"
        self.browser.problems.clear()
        self.browser.requests.clear()

    def tearDown(self):
        """Nothing is logged as wrong, and nothing but the page itself is asked for."""
        self.browser.evaluate("0")  # so that all that has happened is read
        self.assertEqual(self.browser.problems, [])
        self.assertEqual(set(self.browser.requests) - {"about:blank"}, {f"file://{self.page}"})

    # ---- The page --------------------------------------------------------------------------------------------------

    def write(self, *arguments):
        status, output, errors = attnctl.run(ATTNCTL, "show", "--html", self.page, *arguments)
        self.assertEqual((status, errors), (attnctl.OK, ""), output)

    def open(self, address="", dark=False, width=WIDTH, height=HEIGHT):
        self.browser.show(width, height, dark)
        self.browser.open("about:blank")  # the same page with another address would not be loaded again
        self.browser.wait_for("location.href === 'about:blank'")
        self.browser.open(f"file://{self.page}#{address}")
        self.browser.wait_for("document.getElementById('map').dataset.head")

    def wait_for_head(self, kind, layer, head):
        """By their places in the page."""
        self.browser.wait_for(f"document.getElementById('map').dataset.head === '{kind}-{layer}-{head}'")

    def picture(self, name):
        """The pixels, which are also kept."""
        return self.browser.screenshot(os.path.join(PICTURES, f"{name}.png"))

    def text(self, place):
        return self.browser.evaluate(f"document.getElementById('{place}').innerText")

    def texts(self, selector):
        return self.browser.evaluate(f"Array.from(document.querySelectorAll('{selector}'), (found) => found.innerText)")

    def middle_of(self, row, column):
        """Of a cell, in pixels of the screen."""
        plot = json.loads(self.browser.evaluate("document.getElementById('map').dataset.plot"))
        left, top = self.browser.evaluate(
            "(({x, y}) => [x, y])(document.getElementById('map').getBoundingClientRect())")
        place = lambda axis, cell, first: (cell - first) // plot[axis]["factor"] * plot[axis]["side"] + (plot[axis]["side"] - 1) // 2
        return (round(left) + plot["left"] + place("x", column, plot["view"]["column"]),
                round(top) + plot["top"] + place("y", row, plot["view"]["row"]))

    def point_at(self, row, column):
        x, y = self.middle_of(row, column)
        self.browser.mouse("mouseMoved", x + 0.5, y + 0.5)

    def point_away(self):
        self.browser.mouse("mouseMoved", 2, 2)

    # ---- What is expected of it ------------------------------------------------------------------------------------

    def color(self, weight, limit, root=False):
        ramp = self.browser.evaluate("data.ramp")
        share = numpy.sqrt(weight / limit) if root else weight / limit
        return [numpy.interp(share, numpy.linspace(0, 1, len(ramp)), [point[i] for point in ramp]) for i in range(3)]

    def assert_draws(self, picture, weights, cells, limit=None, root=False, off_by=2):
        """The cells have the colours of their weights; with nothing pointed at or chosen."""
        limit = limit or weights.max()
        for row, column in cells:
            x, y = self.middle_of(row, column)
            difference = numpy.abs(picture[y, x] - self.color(weights[row, column], limit, root))
            self.assertLessEqual(difference.max(), off_by, f"cell {row}, {column} of weight {weights[row, column]} at {x}, {y}")

    def assert_says(self, weights, row, column, query, key, bits):
        self.assertEqual((self.text("query"), self.text("query-number")), (query, f"row {row}"))
        self.assertEqual((self.text("key"), self.text("key-number")), (key, f"column {column}"))
        weight, _, error = self.text("weight").replace("\n", "").partition("±")
        largest, steps = weights.max(), 2**bits - 3
        bound = numpy.sqrt(weights[row, column] * largest) / steps + largest / (4 * steps**2)
        # What is written is rounded to three digits, or two.
        self.assertAlmostEqual(float(weight), weights[row, column],
                               delta=1.1 * bound + weights[row, column] * (0.005 if bits == 16 else 0.05))
        self.assertAlmostEqual(float(error), bound, delta=0.6 * bound)


class MiniLmPageTest(PageTest):

    def setUp(self):
        super().setUp()
        path = os.path.join(CHECKOUT, "tests/data/minilm.safetensors")
        self.tensors, metadata = attnctl.read_safetensors(path)
        self.tokens = json.loads(metadata["tokens"])
        self.write("--input", path)

    def weights(self, layer, head):
        return self.tensors[f"layer{layer}.weights"][0, head]

    def test_every_cell_has_its_colour(self):
        for dark in (False, True):
            self.open("layer=2&head=4", dark)
            self.point_away()
            picture = self.picture(f"minilm-{'dark' if dark else 'light'}")
            self.assert_draws(picture, self.weights(2, 4), numpy.ndindex(15, 15))
            background = picture[-3, 3].mean()
            self.assertTrue(background < 40 if dark else background > 220)

    def test_pointing_tells_tokens_and_weight(self):
        self.open("layer=0&head=0")
        for row, column in ((9, 2), (0, 14), (14, 0)):
            self.point_at(row, column)
            self.assert_says(self.weights(0, 0), row, column, self.tokens[0][row], self.tokens[0][column], 16)
            order = numpy.argsort(-self.weights(0, 0)[row], kind="stable")[:12]
            self.assertEqual(self.texts("#most .number"), list(map(str, order)))
            self.assertEqual(self.texts("#most .token"), [self.tokens[0][key] for key in order])
            order = numpy.argsort(-self.weights(0, 0)[:, column], kind="stable")[:12]
            self.assertEqual(self.texts("#received .number"), list(map(str, order)))
        self.picture("minilm-pointed")
        self.point_away()
        self.assertEqual(self.text("weight"), "–")

    def test_layers_and_heads_are_chosen_by_lists_the_overview_and_keys(self):
        self.open()
        self.wait_for_head(0, 0, 0)
        self.browser.evaluate("(() => { const list = document.getElementById('layer'); list.value = '3';"
                              "list.dispatchEvent(new Event('change')); })()")
        self.wait_for_head(0, 3, 0)
        x, y = self.browser.evaluate("(({x, y}) => [x + tiles.gap + 7.5 * (tiles.side + tiles.gap),"
                                     "y + tiles.gap + 1.5 * (tiles.side + tiles.gap)])(overview.getBoundingClientRect())")
        self.browser.click(x, y)
        self.wait_for_head(0, 1, 7)
        self.assertEqual(self.browser.evaluate("[document.getElementById('layer').value, document.getElementById('head').value]"),
                         ["1", "7"])
        self.point_away()
        self.assert_draws(self.picture("minilm-chosen"), self.weights(1, 7), numpy.ndindex(15, 15))
        self.browser.evaluate("overview.focus()")
        self.browser.press("ArrowDown")
        self.browser.press("ArrowRight")
        self.wait_for_head(0, 2, 8)
        self.browser.evaluate("canvas.focus()")
        self.browser.press("[")
        self.wait_for_head(0, 2, 7)

    def test_the_keyboard_moves_a_cell_that_the_address_keeps(self):
        self.open("layer=2&head=1&query=3&key=5")
        self.assert_says(self.weights(2, 1), 3, 5, "did", "cross", 16)
        self.browser.evaluate("canvas.focus()")
        for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
            self.browser.press(key)
        self.assert_says(self.weights(2, 1), 4, 7, "not", "street", 16)
        self.assertEqual(self.browser.evaluate("location.hash"), "#kind=weights&layer=2&head=1&query=4&key=7")
        self.assertRegex(self.text("said"), r"\Aquery not, key street: ")
        self.browser.press("End")
        self.assertEqual(self.text("key"), "[SEP]")
        self.browser.press("Escape")
        self.assertEqual(self.text("weight"), "–")

    def test_colours_may_be_by_square_root_and_up_to_the_largest_of_all(self):
        self.open("layer=0&head=0")
        self.point_away()
        for name, value in (("curve", "root"), ("limit", "all")):
            self.browser.evaluate(f"(() => {{ const list = document.getElementById('{name}'); list.value = '{value}';"
                                  "list.dispatchEvent(new Event('change')); })()")
        largest = max(self.weights(layer, head).max() for layer in range(6) for head in range(12))
        self.browser.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        self.assert_draws(self.picture("minilm-root"), self.weights(0, 0), numpy.ndindex(15, 15), largest, root=True)
        self.assertEqual(self.texts("#ticks span")[-1], f"{largest:#.2g}")

    def test_narrow_screens_show_it_too(self):
        self.open("layer=0&head=0", width=420, height=900)
        self.assertLessEqual(self.browser.evaluate("document.documentElement.scrollWidth"), 420)
        self.picture("minilm-narrow")


class KindsPageTest(PageTest):

    def setUp(self):
        super().setUp()
        random = numpy.random.default_rng(20261125)
        self.weights = softmax(3 * random.standard_normal((1, 2, 8, 10))).astype(numpy.float32)
        self.keys = numpy.argsort(-self.weights, -1, kind="stable")[..., :3].astype(numpy.int32)
        self.top = numpy.take_along_axis(self.weights, self.keys, -1)
        self.keys[0, 1, 2, 1:] = -1
        self.pooled = self.weights.reshape(1, 2, 4, 2, 5, 2).mean((3, 5))
        attnctl.write_safetensors(self.folder / "x", {"weights": self.weights, "pooled_map": self.pooled, "top_keys": self.keys,
                                                      "top_weights": self.top})
        (self.folder / "queries").write_text("\n".join("abcdefgh"), encoding="utf-8")
        (self.folder / "keys.json").write_text(json.dumps([f"k{i}" for i in range(10)]), encoding="utf-8")
        self.write("--input", self.folder / "x", "--tokens", self.folder / "queries", "--key-tokens", self.folder / "keys.json")

    def choose(self, kind):
        x, y = self.browser.evaluate(f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])(document.querySelector("
                                     f"'#kinds input[value={kind}] + span').getBoundingClientRect())")
        self.browser.click(x, y)
        self.wait_for_head(["weights", "pooled", "top"].index(kind), 0, 1)
        self.point_away()

    def test_each_kind_is_drawn(self):
        self.open("head=1")
        self.point_away()
        self.assert_draws(self.picture("kinds-weights"), self.weights[0, 1], numpy.ndindex(8, 10))
        self.choose("pooled")
        self.assert_draws(self.picture("kinds-pooled"), self.pooled[0, 1], numpy.ndindex(4, 5))
        self.point_at(1, 4)
        self.assert_says(self.pooled[0, 1], 1, 4, "2–3", "8–9", 16)
        self.choose("top")
        picture = self.picture("kinds-top")
        surface = picture[self.middle_of(0, 0)[1], self.middle_of(0, 9)[0] + 120]
        known = {(row, int(key)): self.top[0, 1, row, place]
                 for (row, place), key in numpy.ndenumerate(self.keys[0, 1]) if key >= 0}
        for row, column in numpy.ndindex(8, 10):
            x, y = self.middle_of(row, column)
            expected = self.color(known[row, column], self.top[0, 1].max()) if (row, column) in known else surface
            self.assertLessEqual(numpy.abs(picture[y, x] - expected).max(), 2, f"cell {row}, {column}")

    def test_top_keys_are_listed(self):
        self.open("kind=top&head=1&query=2&key=9")
        self.assertEqual((self.text("query"), self.text("key")), ("c", "k9"))
        self.assertEqual(self.texts("#most .number"), [str(self.keys[0, 1, 2, 0])])
        row = 5
        self.point_at(row, int(self.keys[0, 1, row, 2]))
        self.assertEqual(self.texts("#most .number"), list(map(str, self.keys[0, 1, row])))
        missing = next(key for key in range(10) if key not in self.keys[0, 1, row])
        self.point_at(row, missing)
        self.assertEqual(self.text("weight").strip(), "not among the largest")


class StrangePageTest(PageTest):

    def test_tokens_are_text_whatever_they_hold(self):
        tokens = ["</script><script>window.injected = 1</script>", "<img src=x onerror='window.injected = 1'>", "\"quoted' & \\",
                  "\n\t\u0000", " ", "<!--", "&lt;", "日本"]
        attnctl.write_safetensors(self.folder / "x", {"weights": softmax(numpy.eye(8))[None, None]}, {"tokens": json.dumps([tokens])})
        self.write("--input", self.folder / "x")
        self.open()
        shown = tokens[:3] + ["\\n\\t\\u0000", "␣", "<!--", "&lt;", "日本"]
        for row, text in enumerate(shown):
            self.point_at(row, 7 - row)
            self.assertEqual((self.text("query"), self.text("key")), (text, shown[7 - row]))
            # All others are equal: those before come first.
            self.assertEqual(self.texts("#most .number"), [str(row)] + [str(key) for key in range(8) if key != row])
        self.assertIsNone(self.browser.evaluate("window.injected"))
        self.picture("strange-tokens")

    def test_what_is_not_finite_is_red_and_said(self):
        weights = numpy.array([[0.5, numpy.nan], [numpy.inf, 0.25]])
        attnctl.write_safetensors(self.folder / "x", {"weights": weights})
        self.write("--input", self.folder / "x")
        self.open()
        self.point_away()
        picture = self.picture("strange-numbers")
        for row, column in ((0, 1), (1, 0)):
            x, y = self.middle_of(row, column)
            self.assertEqual(picture[y, x].tolist(), [214, 48, 49])
            self.point_at(row, column)
            self.assertEqual(self.text("weight").strip(), "not a finite number")
        self.point_away()
        self.assert_draws(picture, weights, ((0, 0), (1, 1)), limit=0.5)

    def test_one_query_on_many_keys_is_more_than_a_line(self):
        weights = softmax(numpy.arange(4000.0)[None] / 500)
        attnctl.write_safetensors(self.folder / "x", {"weights": weights})
        self.write("--input", self.folder / "x")
        self.open()
        self.point_away()
        plot = json.loads(self.browser.evaluate("document.getElementById('map').dataset.plot"))
        self.assertGreater(plot["x"]["factor"], 1)
        self.assertGreaterEqual(plot["y"]["side"], 8)
        self.picture("one-query")
        # A pixel is the largest of its keys, which are in ascending order.
        x, y = self.middle_of(0, 2000)
        factor = plot["x"]["factor"]
        self.assertEqual(self.text("pixels"), f"a pixel is the largest of {factor} × 1")
        expected = self.color(weights[0, 2000 // factor * factor + factor - 1], weights.max(), root=True)
        self.assertLessEqual(numpy.abs(self.browser.screenshot()[y, x] - expected).max(), 2)


class LargePageTest(PageTest):
    """512 tokens, 12 layers of 12 heads."""

    def setUp(self):
        super().setUp()
        random = numpy.random.default_rng(20261126)
        position = numpy.arange(512)
        self.tensors = {}
        for layer in range(12):
            query, key = random.standard_normal((2, 12, 512, 8), dtype=numpy.float32)
            scores = query @ numpy.swapaxes(key, -1, -2)
            scores -= numpy.abs(position[:, None] - position) * numpy.linspace(0, 0.2, 12, dtype=numpy.float32)[:, None, None]
            self.tensors[f"layers.{layer}.weights"] = softmax(scores)[None]
        tokens = [f"t{i}" for i in range(512)]
        attnctl.write_safetensors(self.folder / "x", self.tensors, {"tokens": json.dumps([tokens])})
        self.write("--input", self.folder / "x")

    def test_heads_are_inflated_when_they_are_shown(self):
        self.open("layer=7&head=3")
        self.point_away()
        self.assertEqual(self.browser.evaluate("decoded.size"), 1)
        cells = [(row, row + shift) for row in range(20, 500, 37) for shift in (-9, -1, 0, 1, 6)]
        # 8 bits are within half a step of 253 along the square root, at most 3 of 255 in a colour.
        self.assert_draws(self.picture("large"), self.tensors["layers.7.weights"][0, 3], cells, root=True, off_by=4)
        self.browser.evaluate("showHead(2, 11)")
        self.wait_for_head(0, 2, 11)
        self.assertEqual(self.browser.evaluate("decoded.size"), 2)
        weights = self.tensors["layers.2.weights"][0, 11]
        self.assert_draws(self.picture("large-other"), weights, cells, root=True, off_by=4)
        self.point_at(300, 299)
        self.assert_says(weights, 300, 299, "t300", "t299", 8)
        self.assertLess(self.page.stat().st_size, 144 * 512 * 512)

    def test_zooming_keeps_the_cell_and_shows_its_neighbours(self):
        self.open("layer=0&head=6")
        self.point_at(200, 190)
        x, y = self.middle_of(200, 190)
        for _ in range(12):
            self.browser.mouse("mouseWheel", x + 0.5, y + 0.5, deltaX=0, deltaY=-100)
        view = json.loads(self.browser.evaluate("document.getElementById('map').dataset.plot"))["view"]
        self.assertLess(view["rows"], 64)
        self.assertLessEqual(abs(int(self.text("query")[1:]) - 200), 1)
        self.assertLessEqual(abs(int(self.text("key")[1:]) - 190), 1)
        self.point_away()
        cells = [(view["row"] + row, view["column"] + column) for row in range(0, view["rows"], 5) for column in range(0, view["columns"], 4)]
        self.assert_draws(self.picture("large-zoomed"), self.tensors["layers.0.weights"][0, 6], cells, root=True, off_by=4)
        self.browser.evaluate("canvas.focus()")
        self.browser.press("0")
        self.assertEqual(json.loads(self.browser.evaluate("document.getElementById('map').dataset.plot"))["view"]["rows"], 512)


if __name__ == "__main__":
    del sys.argv[1:4]
    unittest.main()
