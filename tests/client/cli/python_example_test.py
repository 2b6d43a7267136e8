"""The Python example does what it says, by the commands that its header gives; and so does the README's piece of Python."""

import ast
import pathlib
import re
import sys

import numpy

import attnctl
from attnctl import TOLERANCE, AttnctlTest, Programs, attention

# Where the documents say that the server is.
DOCUMENTED_ADDRESS = "127.0.0.1:50051"
# A machine's proxy is none of the examples' business.
ENVIRONMENT = {"no_grpc_proxy": "127.0.0.1"}


def read(file):
    return pathlib.Path(Programs.checkout, file).read_text(encoding="utf-8")


class PythonExampleTest(AttnctlTest):

    def setUp(self):
        super().setUp()
        # The commands write beneath build/, which must not be that of the checkout.
        for folder in ("proto", "client"):
            (self.folder / folder).symlink_to(pathlib.Path(Programs.checkout, folder))
        header = ast.get_docstring(ast.parse(read("client/python/attend.py")))
        self.commands = "".join(re.findall(r"^ {4}.*\n", header, re.MULTILINE))

    def run_at(self, address, *command):
        self.assertIn(DOCUMENTED_ADDRESS, command[-1])
        *program, text = command
        return attnctl.run("env", "--chdir", self.folder, *program, text.replace(DOCUMENTED_ADDRESS, address),
                           environment=ENVIRONMENT)

    def run_example(self, address):
        return self.run_at(address, "sh", "-ec", self.commands)

    def test_it_prints_the_attention(self):
        status, printed, errors = self.run_example(self.server.address)
        self.assertEqual((status, errors), (0, ""))
        *arrays, report = printed.splitlines()
        self.assertRegex(report, r"\A\S+-float32 took \d+\.\d+ s\Z")
        floats, keys = "\n".join(arrays).split("top keys")
        numbers = [float(number) for number in re.findall(r"-?\d+\.\d*", floats)]

        problem = numpy.random.default_rng(0).standard_normal((3, 1, 2, 4, 8)).astype(numpy.float32)
        expected = attention(*problem, visible=numpy.tril(numpy.ones((4, 4), bool)))
        numpy.testing.assert_allclose(numbers, numpy.concatenate([array.ravel() for array in expected]), rtol=0, atol=1e-4)
        top_keys = numpy.argsort(-expected[1], -1)[..., :2]
        top_keys[..., 0, 1] = -1  # query 0 sees one key
        self.assertEqual([int(key) for key in re.findall(r"-?\d+", keys)], top_keys.ravel().tolist())

    def test_it_says_why_it_failed(self):
        status, printed, errors = self.run_example("unix:/nonexistent/attnd.sock")
        self.assertEqual((status, printed), (1, ""))
        self.assertRegex(errors, r"\AUNAVAILABLE: [^\n]+\n\Z")

    def test_the_readme_computes_the_attention(self):
        (snippet,) = re.findall(r"^```python\n(.*?)^```$", read("README.md"), re.MULTILINE | re.DOTALL)
        *make_messages, _ = self.commands.splitlines(keepends=True)
        self.assertEqual(attnctl.run("env", "--chdir", self.folder, "sh", "-ec", "".join(make_messages)), (0, "", ""))
        status, _, errors = self.run_at(
            self.server.address, "env", "PYTHONPATH=build/python", sys.executable, "-c",
            snippet + "np.savez('found', query=q, key=k, value=v, output=output)")
        self.assertEqual((status, errors), (0, ""))
        with numpy.load(self.folder / "found.npz") as found:
            causal = numpy.tril(numpy.ones((5, 5), bool))
            expected, _, _ = attention(found["query"], found["key"], found["value"], visible=causal)
            numpy.testing.assert_allclose(found["output"], expected, rtol=0, atol=TOLERANCE)


if __name__ == "__main__":
    attnctl.main()
