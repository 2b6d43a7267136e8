// attnctl: attention from the command line. Each subcommand's work is in the file of its name.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "client/cli/attend_command.h"
#include "client/cli/attend_request.h"
#include "client/cli/bench.h"
#include "client/cli/bench_load.h"
#include "client/cli/bench_problem.h"
#include "client/cli/exit_code.h"
#include "client/cli/file_commands.h"
#include "client/cli/merge.h"
#include "client/cli/server_commands.h"
#include "client/cli/text.h"

namespace attnd::cli {
namespace {

constexpr char kFooter[] =
    "A tensor is named as in the safetensors file that --input gives; a name that ends in .npy is a file of its own.\n"
    "Exit status: 0 done, and all checks held; 1 a check failed (a comparison, or a health that is not SERVING);\n"
    "2 the command line or a file is wrong; 3 the server could not be reached, or refused.";

using Run = std::function<int()>;

void AddHealth(CLI::App& app, const std::string& server, Run& run) {
  auto options = std::make_shared<HealthOptions>();
  CLI::App* const command = app.add_subcommand("health", "Ask whether the server is SERVING");
  command->add_option("--wait-seconds", options->wait_seconds, "Go on asking until it is, for at most so long")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->callback([options, &server, &run] {
    options->server = server;
    run = [options] { return RunHealth(*options); };
  });
}

void AddInfo(CLI::App& app, const std::string& server, Run& run) {
  auto options = std::make_shared<InfoOptions>();
  CLI::App* const command = app.add_subcommand("info", "Print the server's version, kernels, limits and options");
  command->add_option("--timeout-seconds", options->timeout_seconds, "Give up after so long")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &server, &run] {
    options->server = server;
    run = [options] { return RunInfo(*options); };
  });
}

void AddMerge(CLI::App& app, const std::string& server, Run& run) {
  auto options = std::make_shared<MergeOptions>();
  CLI::App* const command =
      app.add_subcommand("merge", "Merge what attend gave for ranges of the keys into the result over all of them");
  command
      ->add_option("FILES", options->inputs,
                   "Safetensors files with output and log_sum_exp, as\nattend --log-sum-exp --output writes them")
      ->required();
  command->add_option("--output", options->output, "A safetensors file to write the merged two to")->required();
  command->add_option("--timeout-seconds", options->timeout_seconds, "Give up after so long")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->callback([options, &server, &run] {
    options->server = server;
    run = [options] { return RunMerge(*options); };
  });
}

void AddBenchProblemOptions(CLI::App& command, BenchOptions& options) {
  const std::string group = "The problem";
  CLI::Option* const preset = command.add_option(
      "--preset", options.preset,
      "minilm-layer: one for three sentences, B3 H12 S15 D32;\nbert-base-layer: one for eight, B8 H12 S512 D64");
  preset->check(CLI::IsMember(BenchPresetNames()))->option_text("NAME")->group(group);
  const std::pair<CLI::Option*, const char*> sizes[] = {
      {command.add_option("--batch", options.batch, "B"), "INT [1]"},
      {command.add_option("--heads", options.heads, "H"), "INT [8]"},
      {command.add_option("--key-value-heads", options.key_value_heads, "Hkv"), "INT [H]"},
      {command.add_option("--queries", options.queries, "Sq"), "INT [512]"},
      {command.add_option("--keys", options.keys, "Sk"), "INT [Sq]"},
      {command.add_option("--head-size", options.head_size, "D"), "INT [64]"},
      {command.add_option("--value-head-size", options.value_head_size, "Dv"), "INT [D]"},
      {command.add_option("--key-lengths", options.key_lengths, "Keys of each batch entry")->delimiter(','),
       "15,9,12 [Sk]"}};
  for (const auto& [size, text] : sizes) size->excludes(preset)->option_text(text)->group(group);
  const std::map<std::string, ElementType> types = {
      {"float32", ElementType::kFloat32}, {"bfloat16", ElementType::kBfloat16}, {"float16", ElementType::kFloat16}};
  command.add_option("--element-type", options.element_type, "float32, bfloat16 or float16")
      ->transform(CLI::CheckedTransformer(types))
      ->option_text("TEXT [float32]")
      ->group(group);
  const std::map<std::string, CausalAlignment> alignments = {{kSameLength, CausalAlignment::kUnspecified},
                                                             {"top-left", CausalAlignment::kTopLeft},
                                                             {"bottom-right", CausalAlignment::kBottomRight}};
  command.add_option("--causal", options.causal, "As for attend")
      ->expected(0, 1)
      ->default_str(kSameLength)
      ->transform(CLI::CheckedTransformer(alignments))
      ->option_text("[top-left|bottom-right]")
      ->group(group);
}

void AddLoadOptions(CLI::App& command, BenchOptions& options) {
  const std::string group = "The load";
  command
      .add_option("--concurrency", options.concurrency,
                  "Callers, each of which waits for its answer before it\nsends again")
      ->check(CLI::Range(1, 4096))
      ->option_text("INT [1; with --rate 64]")
      ->group(group);
  command
      .add_option("--rate", options.rate,
                  "Requests a second: they begin by the clock, and latency\ncounts from there, also where all callers "
                  "are busy")
      ->check(CLI::Range(1e-3, 1e6))
      ->option_text("FLOAT")
      ->group(group);
  command.add_flag("--stream", options.stream, "Send them all on one stream instead of a call each")->group(group);
  command.add_option("--seconds", options.seconds, "Begin no request later than this")
      ->check(CLI::NonNegativeNumber)
      ->option_text("FLOAT [10, or without end where --requests is given]")
      ->group(group);
  command.add_option("--requests", options.requests, "Begin no more than so many")
      ->check(CLI::Range(std::int64_t{1}, kMostRequests))
      ->option_text("INT")
      ->group(group);
  command.add_option("--warm-up-seconds", options.warm_up_seconds, "Before that, send and do not count")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(group);
  command.add_option("--timeout-seconds", options.timeout_seconds, "Give a request up after so long")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group(group);
}

void AddBench(CLI::App& app, const std::string& server, Run& run) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* const command =
      app.add_subcommand("bench", "Send one problem again and again; print latency, throughput and failures");
  AddBenchProblemOptions(*command, *options);
  AddLoadOptions(*command, *options);
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &server, &run] {
    options->server = server;
    run = [options] { return RunBench(*options); };
  });
}

void AddList(CLI::App& app, Run& run) {
  auto options = std::make_shared<ListOptions>();
  CLI::App* const command = app.add_subcommand("list", "List the tensors and the metadata of a safetensors file");
  command->add_option("--input", options->input, "A safetensors file")->required();
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &run] { run = [options] { return RunList(*options); }; });
}

void AddShownTensors(CLI::App& command, ShowOptions& options) {
  const std::string group = "What is shown";
  command.add_option("--input", options.input, "A safetensors file")->group(group);
  const std::map<std::string, Kind> kinds = {
      {"weights", Kind::kWeights}, {"pooled", Kind::kPooled}, {"top", Kind::kTop}};
  command
      .add_option("--kind", options.kind,
                  "weights: all of them; pooled: a pooled map of them;\ntop: the keys of each query's largest")
      ->transform(CLI::CheckedTransformer(kinds))
      ->option_text("TEXT [the first of these in the file]")
      ->group(group);
  command
      .add_option("--weights", options.names.weights,
                  "Tensor, or .npy file, [.., Sq, Sk]: with batch and heads\n[B, H, Sq, Sk], or only batch. In this "
                  "name and the next\nthree, * or {layer} stands for the number of a layer")
      ->option_text("TEXT [weights, layer*.weights or layers.*.weights]")
      ->group(group);
  command
      .add_option("--pooled-map", options.names.pooled_map, "Tensor [.., rows, columns] of ranges of queries and keys")
      ->option_text("TEXT [pooled_map, named like weights]")
      ->group(group);
  command.add_option("--top-keys", options.names.top_keys, "Integer tensor [.., Sq, k]; -1 is no key")
      ->option_text("TEXT [top_keys, named like weights]")
      ->group(group);
  command.add_option("--top-weights", options.names.top_weights, "Tensor [.., Sq, k], the weights of those keys")
      ->option_text("TEXT [beside top_keys]")
      ->group(group);
  command.add_option("--layer", options.layer, "Which layer")->option_text("INT [the first]")->group(group);
  command.add_option("--batch", options.batch, "Which batch entry")->capture_default_str()->group(group);
  command.add_option("--head", options.head, "Which head")->capture_default_str()->group(group);
}

void AddShownLabels(CLI::App& command, ShowOptions& options) {
  const std::string group = "Its labels";
  command
      .add_option("--tokens-metadata", options.tokens.metadata, "Metadata that holds the tokens, a JSON list of lists")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--tokens", options.tokens.file,
                  "Take them from this file instead: a JSON list, a JSON\nlist of lists by batch entry, or text with a "
                  "token a line")
      ->option_text("FILE")
      ->group(group);
  command.add_option("--key-tokens", options.tokens.key_file, "The keys' tokens, where they are not the queries'")
      ->option_text("FILE")
      ->group(group);
  command
      .add_option("--key-lengths", options.key_lengths,
                  "Integer tensor with the keys of each batch entry;\npadding past them is left out. Without it [PAD] "
                  "tokens\nare")
      ->capture_default_str()
      ->group(group);
}

void AddShownFiles(CLI::App& command, ShowOptions& options) {
  const std::string group = "Files to write instead of drawing in the terminal";
  CLI::Option* const png =
      command.add_option("--png", options.png, "A picture of the head, its largest weight the brightest colour")
          ->option_text("FILE")
          ->group(group);
  command
      .add_flag("--all-heads", options.all_heads,
                "In the picture, all heads: a row for each layer, each head\nby its own largest weight")
      ->needs(png)
      ->group(group);
  command
      .add_option("--html", options.html,
                  "A page that needs no network: all heads of all layers,\nor of --layer, in all kinds, or in --kind; "
                  "with the weight\nof each cell. Weights are kept in 16 bits, or in 8 where\nthere are more than 4 "
                  "million")
      ->option_text("FILE")
      ->group(group);
}

void AddShow(CLI::App& app, Run& run) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* const command =
      app.add_subcommand("show", "Draw what heads attend to: in the terminal, as a picture, or as a page");
  AddShownTensors(*command, *options);
  AddShownLabels(*command, *options);
  AddShownFiles(*command, *options);
  const std::map<std::string, Color> colors = {
      {"none", Color::kNone}, {"256", Color::k256}, {"truecolor", Color::kTruecolor}};
  const std::string group = "In the terminal";
  command->add_option("--color", options->color, "none, 256 or truecolor [what the terminal can; none\nwith NO_COLOR]")
      ->transform(CLI::CheckedTransformer(colors))
      ->option_text("TEXT")
      ->group(group);
  command->add_option("--width", options->width, "Columns to fit into [the terminal's]")
      ->check(CLI::Range(20, 10000))
      ->group(group);
  command->callback([options, &run] { run = [options] { return RunShow(*options); }; });
}

int Main(int argc, char** argv) {
  CLI::App app("A client of attnd, the attention service.", "attnctl");
  app.footer(kFooter);
  app.set_version_flag("--version", "attnctl " ATTND_VERSION);
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return "attnctl: " + Printable(error.what()) + " (--help, also after a subcommand, lists the options)\n";
  });
  app.require_subcommand(1);
  std::string server = "127.0.0.1:50051";
  app.add_option("--server", server, "HOST:PORT, unix:PATH, or another gRPC address")
      ->envname("ATTND_SERVER")
      ->capture_default_str();
  Run run;
  AddHealth(app, server, run);
  AddInfo(app, server, run);
  AddAttend(app, server, run);
  AddMerge(app, server, run);
  AddBench(app, server, run);
  AddList(app, run);
  AddShow(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kBadInput;
  }
  return run();
}

}  // namespace
}  // namespace attnd::cli

int main(int argc, char** argv) { return attnd::cli::Main(argc, argv); }
