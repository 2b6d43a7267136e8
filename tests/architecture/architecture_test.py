"""Tests that architecture.py finds what it is there to find, in small trees with planted violations."""

import pathlib
import tempfile
import unittest

import architecture

# A tree in which nothing breaks a rule.
_CLEAN = {
    "CMakeLists.txt": "add_subdirectory(core)\n",
    "README.md": "Attention as a service.\n",
    "core/CMakeLists.txt": "add_library(core problem.cpp summary_layout.cpp machine.cpp kernels/brgemm.cpp)\n",
    "core/tensor.h": "#pragma once\n#include <string>\n",
    "core/problem.h": '#pragma once\n#include "core/tensor.h"\n',
    "core/problem.cpp": '#include "core/problem.h"\n#include <absl/strings/str_cat.h>\n',
    "core/plan.h": '#pragma once\n#include "core/problem.h"\n#include "core/kernels/products.h"\n',
    "core/summary_layout.cpp": '#include "core/plan.h"\n',
    "core/machine.cpp": "#include <oneapi/dnnl/dnnl.hpp>\n",
    "core/kernels/products.h": '#pragma once\n#include "core/tensor.h"\n',
    "core/kernels/lru_cache.h": "#pragma once\n",
    "core/kernels/brgemm.cpp": '#include <oneapi/dnnl/dnnl_ukernel.hpp>\n#include "core/kernels/lru_cache.h"\n',
    "server/CMakeLists.txt": "add_executable(attnd main.cpp)\n",
    "server/main.cpp": '#include <grpcpp/server.h>\n#include "core/problem.h"\n',
    "client/CMakeLists.txt": "add_library(client client.cpp)\n",
    "client/client.cpp": "#include <attnd/v1/attention.pb.h>\n",
    "tests/CMakeLists.txt": "add_test(NAME a COMMAND python3 example.py)\n",
    "tests/example.py": "",
}


def violations_of(changes):
    """The violations in the clean tree with the changes, {path: text}."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {**_CLEAN, **changes}.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return architecture.violations(pathlib.Path(folder))


class ArchitectureTest(unittest.TestCase):
    def assert_only_violation(self, changes, *words):
        found = violations_of(changes)
        self.assertEqual(len(found), 1, found)
        for word in words:
            self.assertIn(word, found[0])

    def test_a_clean_tree_has_none(self):
        self.assertEqual(violations_of({}), [])

    def test_the_top_level_is_closed(self):
        self.assert_only_violation({"scratch.txt": ""}, "scratch.txt", "top level")
        self.assertEqual(violations_of({".editorconfig": "", "build/anything.h": ""}), [])

    def test_core_sees_no_wire_metrics_or_log(self):
        for included in ("<grpcpp/server.h>", "<google/protobuf/message.h>", "<attnd/v1/attention.pb.h>",
                         "<prometheus/counter.h>", "<spdlog/spdlog.h>"):
            self.assert_only_violation({"core/problem.cpp": f'#include "core/problem.h"\n#include {included}\n'},
                                       "core/problem.cpp", included[1:-1])

    def test_core_sees_no_server(self):
        self.assert_only_violation({"server/config.h": "", "core/tensor.h": '  #  include "server/config.h"\n'},
                                   "core/tensor.h", "server/config.h")

    def test_the_server_sees_only_the_front_of_core(self):
        for hidden in ("core/plan.h", "core/kernels/products.h"):
            self.assert_only_violation({"server/main.cpp": f'#include "{hidden}"\n'}, "server/main.cpp", hidden, "front")

    def test_the_client_sees_neither_core_nor_server(self):
        self.assert_only_violation({"client/client.cpp": '#include "core/tensor.h"\n'}, "client/client.cpp", "core/tensor.h")

    def test_no_room_of_core_reaches_back(self):
        self.assert_only_violation({"core/kernels/products.h": '#include "core/tensor.h"\n#include "core/plan.h"\n'},
                                   "kernels must not see core/plan.h")
        self.assert_only_violation({"core/problem.cpp": '#include "core/problem.h"\n#include "core/kernels/products.h"\n'},
                                   "problem must not see core/kernels/products.h")

    def test_layouts_see_no_kernel(self):
        self.assert_only_violation({"core/summary_layout.cpp": '#include "core/plan.h"\n#include "core/kernels/products.h"\n'},
                                   "summary_layout must not see core/kernels/products.h")

    def test_only_the_kernels_interface_is_seen(self):
        self.assert_only_violation({"core/plan.h": '#include "core/problem.h"\n#include "core/kernels/products.h"\n'
                                                   '#include "core/kernels/lru_cache.h"\n'},
                                   "core/plan.h", "kernels' interface")

    def test_a_new_file_of_core_needs_a_room(self):
        built = _CLEAN["core/CMakeLists.txt"].replace(")", " helpers.cpp)")
        self.assert_only_violation({"core/helpers.cpp": "", "core/CMakeLists.txt": built},
                                   "core/helpers.cpp", "belongs to no room")

    def test_onednn_is_behind_its_doors(self):
        self.assert_only_violation({"core/summary_layout.cpp": '#include "core/plan.h"\n#include <oneapi/dnnl/dnnl.hpp>\n'},
                                   "core/summary_layout.cpp", "oneapi/dnnl/dnnl.hpp")
        self.assert_only_violation({"server/main.cpp": "#include <dnnl.hpp>\n"}, "server/main.cpp", "dnnl.hpp")

    def test_includes_start_at_the_root(self):
        found = violations_of({"core/problem.cpp": '#include "problem.h"\n'})
        self.assertTrue(any("problem.h" in line and "root" in line for line in found), found)
        self.assert_only_violation({"core/problem.cpp": "#include <core/problem.h>\n"}, "quotes")

    def test_every_file_is_used(self):
        self.assert_only_violation({"server/unused.h": ""}, "server/unused.h", "includes it")
        self.assert_only_violation({"server/unused.cpp": ""}, "server/unused.cpp", "builds it")
        self.assert_only_violation({"tests/unused.py": ""}, "tests/unused.py", "names it")

    def test_a_file_with_a_longer_name_is_another_file(self):
        self.assert_only_violation({"server/in.cpp": ""}, "server/in.cpp", "builds it")

    def test_forbidden_texts(self):
        # Put together here, because this file is checked as well.
        for text in ("/" + "root/machine", "deb.debian" + ".org", "see ../" + "shared/data", "issue " + "#12", "TO" + "DO: later"):
            self.assert_only_violation({"README.md": f"first line\n{text}\n"}, "README.md:2")


if __name__ == "__main__":
    unittest.main()
