#include "client/cli/attend_command.h"

#include <memory>
#include <utility>

#include "client/cli/attend.h"

namespace attnd::cli {
namespace {

// Options of one heading in the help text.
class Group {
 public:
  Group(CLI::App& command, std::string heading) : command_(command), heading_(std::move(heading)) {}

  template <typename T>
  CLI::Option* Add(const char* name, T& value, const char* help, const char* value_text) {
    return command_.add_option(name, value, help)->option_text(value_text)->group(heading_);
  }
  template <typename T>
  CLI::Option* AddWithDefault(const char* name, T& value, const char* help) {
    return command_.add_option(name, value, help)->capture_default_str()->group(heading_);
  }
  CLI::Option* AddFlag(const char* name, bool& value, const char* help) {
    return command_.add_flag(name, value, help)->group(heading_);
  }

 private:
  CLI::App& command_;
  const std::string heading_;
};

// Neither without the other.
void NeedEachOther(CLI::Option* one, CLI::Option* other) {
  one->needs(other);
  other->needs(one);
}

void AddTensors(CLI::App& command, AttendOptions& options) {
  Group group(command, "The problem");
  ProblemOptions& problem = options.problem;
  group.Add("--input", options.input, "A safetensors file", "FILE");
  group.AddWithDefault("--query", problem.query, "Tensor");
  group.AddWithDefault("--key", problem.key, "Tensor");
  group.AddWithDefault("--value", problem.value, "Tensor");
  group.AddWithDefault("--layout", problem.layout, "Order of the dimensions: bhsd (also [S, D], [B, S, D])\nor bshd")
      ->check(CLI::IsMember({"bhsd", "bshd"}));
  group.Add("--scale", problem.scale, "What the scores are multiplied by", "FLOAT [1/sqrt(D)]");
  group
      .AddWithDefault("--empty-row", problem.empty_row,
                      "What a query without a visible key gives: zero or\nmean-of-all-values")
      ->check(CLI::IsMember({"zero", "mean-of-all-values"}));
  CLI::Option* const query_offsets = group.Add("--query-offsets", problem.query_offsets,
                                               "A ragged batch: tensors [T, H, D] of sequences one after\nthe other. "
                                               "Where each begins among the queries, and the\n"
                                               "end of the last: 0,15,24",
                                               "LIST|TENSOR");
  NeedEachOther(query_offsets,
                group.Add("--key-offsets", problem.key_offsets, "The same among the keys", "LIST|TENSOR"));
}

void AddMasks(CLI::App& command, ProblemOptions& problem) {
  Group group(command, "What a query sees (all masks apply together)");
  group
      .Add(
          "--causal", problem.causal,
          "Hide later keys. Where there are not as many queries as\nkeys, say which corners the diagonal joins: "
          "top-left\n(query 0 sees key 0) or bottom-right (the last query\nsees the last key); or for each batch entry "
          "at which key\nquery 0 stands: --causal=3,-4",
          "[top-left|bottom-right|LIST]")
      ->expected(0, 1)
      ->default_str(kSameLength);
  group.Add("--prefix-lengths", problem.prefix_lengths,
            "Make the mask causal but for the first keys of each\nbatch entry, which all queries see", "LIST|TENSOR");
  group.Add("--window-left", problem.window_left, "Hide keys further than this before a query's place", "INT [all]")
      ->check(CLI::NonNegativeNumber);
  group.Add("--window-right", problem.window_right, "Hide keys further than this after it", "INT [all]")
      ->check(CLI::NonNegativeNumber);
  group.Add("--positions", problem.positions,
            "Where queries stand among the keys, for windows and\nALiBi, where no --causal says it: as for --causal",
            "top-left|bottom-right|LIST");
  group.Add("--key-lengths", problem.key_lengths,
            "Keys of each batch entry, the rest being padding: a list\nlike 15,9,12, or an integer tensor",
            "LIST|TENSOR");
  group.Add("--query-lengths", problem.query_lengths, "Queries of each batch entry, the rest being padding",
            "LIST|TENSOR");
  CLI::Option* const query_segment_ids =
      group.Add("--query-segment-ids", problem.query_segment_ids,
                "Integers [B, Sq]: a query sees only keys of the same\nnumber", "TENSOR");
  NeedEachOther(query_segment_ids,
                group.Add("--key-segment-ids", problem.key_segment_ids, "Integers [B, Sk]", "TENSOR"));
  group.Add("--mask", problem.mask,
            "A bool or uint8 tensor, broadcast to [B, H, Sq, Sk], that\nis true where a key is visible", "TENSOR");
  CLI::Option* const blocks = group.Add("--block-mask", problem.block_mask,
                                        "The same with one element for a block of queries and keys", "TENSOR");
  NeedEachOther(blocks,
                group.Add("--block-rows", problem.block_rows, "Queries of a block", "INT")->check(CLI::PositiveNumber));
  NeedEachOther(blocks,
                group.Add("--block-keys", problem.block_keys, "Keys of a block", "INT")->check(CLI::PositiveNumber));
}

void AddModifiers(CLI::App& command, ProblemOptions& problem) {
  Group group(command, "What changes scores");
  group.Add("--bias", problem.bias, "A tensor, broadcast to [B, H, Sq, Sk], that is added to\nthe scores; -inf hides",
            "TENSOR");
  group.Add("--alibi-slopes", problem.alibi_slopes, "For each head, what is subtracted for each key of distance",
            "LIST|TENSOR");
  group
      .AddWithDefault("--bias-place", problem.bias_place,
                      "Where bias and ALiBi are added: after-soft-cap or\nbefore-soft-cap")
      ->check(CLI::IsMember({"after-soft-cap", "before-soft-cap"}));
  group.Add("--soft-cap", problem.soft_cap, "Cap scores: c*tanh(score/c)", "C");
  group.Add("--sinks", problem.sinks, "For each head, a logit that takes part in the softmax's\ndenominator alone",
            "LIST|TENSOR");
}

void AddSummaries(CLI::App& command, ProblemOptions& problem) {
  Group group(command, "What the weights say (summaries, of what is chosen)");
  group.Add("--batch-entries", problem.batch_entries, "Of these batch entries: 0-3,7", "LIST [all]");
  group.Add("--heads", problem.heads, "Of these heads", "LIST [all]");
  group.Add("--query-rows", problem.query_rows, "Of these queries", "LIST [all]");
  group.AddWithDefault("--head-reduction", problem.head_reduction, "Of heads together: none, mean or sum")
      ->check(CLI::IsMember({"none", "mean", "sum"}));
  CLI::Option* const matrix = group.Add("--matrix", problem.matrix, "Rows of scores or weights themselves",
                                        "scaled|soft-capped|masked|weights");
  matrix->check(CLI::IsMember({"scaled", "soft-capped", "masked", "weights"}));
  group.Add("--matrix-type", problem.matrix_type, "float32, or the query's type", "TEXT [float32]")
      ->check(CLI::IsMember({"float32", "bfloat16", "float16"}))
      ->needs(matrix);
  group.Add("--top-keys", problem.top_keys, "The keys of the largest weights of each query", "K")
      ->check(CLI::PositiveNumber);
  group.AddFlag("--entropy", problem.entropy, "Of each query's weights, in nats");
  group.AddFlag("--largest-weight", problem.largest_weight, "Of each query");
  group.Add("--first-keys", problem.first_keys, "Each query's weight on the first N keys", "N")
      ->check(CLI::PositiveNumber);
  group.AddFlag("--mean-distance", problem.mean_distance, "Of each query from what it sees, by weight, in keys");
  group.AddFlag("--received-sum", problem.received_sum, "The weights that each key receives");
  group.AddFlag("--received-maximum", problem.received_maximum, "The largest weight that each key receives");
  CLI::Option* const map =
      group.Add("--pooled-map", problem.pooled_map, "The weights pooled into so many rows and columns", "MxN");
  group.Add("--pooling", problem.pooling, "How: mean or maximum", "TEXT [mean]")
      ->check(CLI::IsMember({"mean", "maximum"}))
      ->needs(map);
}

void AddAnswer(CLI::App& command, AttendOptions& options) {
  Group group(command, "The answer");
  group.AddFlag("--weights", options.problem.weights, "Ask for the attention weights too");
  group.AddFlag("--log-sum-exp", options.problem.log_sum_exp, "Ask for each query's log-sum-exp too");
  group.Add(
      "--output", options.output,
      "Write the answer: a .npy file holds the output alone,\nany other is a safetensors file of all tensors that "
      "came\n(output, weights, log_sum_exp, top_keys ...) and the\ninput's metadata",
      "FILE");
  group.Add("--expect-output", options.expect_output, "Compare the output with this tensor", "TENSOR");
  group.Add("--expect-weights", options.expect_weights, "Ask for the weights and compare them with this tensor",
            "TENSOR");
  group.Add("--expect-log-sum-exp", options.expect_log_sum_exp,
            "Ask for the log-sum-exp and compare it with this tensor", "TENSOR");
  group.Add("--expect", options.expect,
            "Take the tensors to compare with from this file instead\nof --input; where none is named, all those that "
            "--output\nwrites",
            "FILE");
  group
      .AddWithDefault("--tolerance", options.tolerance,
                      "The largest absolute error that is accepted; NaN equals\nonly NaN")
      ->check(CLI::NonNegativeNumber);
  group.AddFlag("--json", options.json, "Print JSON; what was not compared is null");
}

}  // namespace

void AddAttend(CLI::App& app, const std::string& server, std::function<int()>& run) {
  auto options = std::make_shared<AttendOptions>();
  CLI::App* const command =
      app.add_subcommand("attend", "Compute softmax(Q*K^T*scale + mask)*V of tensors in files, write it, compare it");
  AddTensors(*command, *options);
  AddMasks(*command, options->problem);
  AddModifiers(*command, options->problem);
  AddSummaries(*command, options->problem);
  AddAnswer(*command, *options);
  command->add_option("--timeout-seconds", options->timeout_seconds, "Give up after so long")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->callback([options, &server, &run] {
    options->server = server;
    run = [options] { return RunAttend(*options); };
  });
}

}  // namespace attnd::cli
