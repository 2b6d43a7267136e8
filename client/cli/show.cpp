#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/attention_file.h"
#include "client/cli/attention_layer.h"
#include "client/cli/exit_code.h"
#include "client/cli/failure.h"
#include "client/cli/file.h"
#include "client/cli/file_commands.h"
#include "client/cli/heat_map.h"
#include "client/cli/inputs.h"
#include "client/cli/page.h"
#include "client/cli/picture.h"
#include "client/cli/png.h"
#include "client/cli/terminal.h"
#include "client/cli/text.h"
#include "client/cli/top_list.h"

namespace attnd::cli {
namespace {

// What a row and what a column is.
const char* Axes(Kind kind) {
  switch (kind) {
    case Kind::kWeights:
      return "each row is a query, each column a key that it attends to";
    case Kind::kPooled:
      return "each row is a range of queries, each column a range of keys";
    case Kind::kTop:
      return "each query with the keys that it attends to most";
  }
  return "";
}

// All that are asked for; first those of which a tensor is named. NOT_FOUND where there is none.
absl::StatusOr<std::vector<Kind>> KindsToShow(Inputs& inputs, const ShowOptions& options) {
  std::vector<Kind> kinds;
  for (const Kind kind : {Kind::kWeights, Kind::kPooled, Kind::kTop}) {
    if (options.kind && options.kind != kind) continue;
    if (!FindLayers(inputs, kind, options.names).empty()) kinds.push_back(kind);
  }
  std::stable_partition(kinds.begin(), kinds.end(), [&](Kind kind) { return !options.names.Of(kind).empty(); });
  if (!kinds.empty()) return kinds;
  const Kind missing = options.kind.value_or(Kind::kWeights);
  const std::string& name = options.names.Of(missing);
  return inputs.Get(name.empty() ? UsualName(missing) : name).status();
}

absl::StatusOr<AttentionLayer> OpenLayer(Inputs& inputs, const ShowOptions& options, Kind kind,
                                         const LayerNames& names) {
  return AttentionLayer::Open(inputs, {.kind = kind,
                                       .names = names,
                                       .batch = options.batch,
                                       .tokens = options.tokens,
                                       .key_lengths = options.key_lengths});
}

// The one that was asked for, or the first.
absl::StatusOr<AttentionLayer> OpenOneLayer(Inputs& inputs, const ShowOptions& options, Kind kind) {
  const auto names = SelectLayer(FindLayers(inputs, kind, options.names), options.layer);
  if (!names.ok()) return names.status();
  return OpenLayer(inputs, options, kind, *names);
}

// All, or the one that was asked for.
absl::StatusOr<std::vector<AttentionLayer>> OpenLayers(Inputs& inputs, const ShowOptions& options, Kind kind) {
  std::vector<LayerNames> all = FindLayers(inputs, kind, options.names);
  if (options.layer) {
    auto names = SelectLayer(all, options.layer);
    if (!names.ok()) return names.status();
    all = {*std::move(names)};
  }
  std::vector<AttentionLayer> layers;
  for (const LayerNames& names : all) {
    auto layer = OpenLayer(inputs, options, kind, names);
    if (!layer.ok()) return layer.status();
    layers.push_back(*std::move(layer));
  }
  return layers;
}

absl::StatusOr<std::string> Draw(const AttentionLayer& layer, std::int64_t head, const HeatMapStyle& style) {
  if (layer.kind() == Kind::kTop) {
    const auto top = layer.Top(head);
    if (!top.ok()) return top.status();
    return DrawTopKeys(*top, style);
  }
  const auto map = layer.Map(head);
  if (!map.ok()) return map.status();
  return DrawHeatMap(*map, style);
}

absl::Status ShowInTerminal(Inputs& inputs, const ShowOptions& options, Kind kind) {
  const auto layer = OpenOneLayer(inputs, options, kind);
  if (!layer.ok()) return layer.status();
  const HeatMapStyle style{.width = options.width ? *options.width : TerminalWidth(),
                           .color = options.color ? *options.color : TerminalColor()};
  const auto drawing = Draw(*layer, options.head, style);
  if (!drawing.ok()) return drawing.status();
  const std::string title = absl::StrFormat("%s, batch %d, head %d: %s\n\n", Printable(layer->names().tensor),
                                            options.batch, options.head, Axes(kind));
  std::fputs((title + *drawing).c_str(), stdout);
  return absl::OkStatus();
}

absl::StatusOr<Picture> DrawPicture(Inputs& inputs, const ShowOptions& options, Kind kind) {
  if (options.all_heads) {
    const auto layers = OpenLayers(inputs, options, kind);
    if (!layers.ok()) return layers.status();
    return DrawHeads(*layers);
  }
  const auto layer = OpenOneLayer(inputs, options, kind);
  if (!layer.ok()) return layer.status();
  return DrawHead(*layer, options.head);
}

absl::Status WritePng(Inputs& inputs, const ShowOptions& options, Kind kind) {
  const auto picture = DrawPicture(inputs, options, kind);
  if (!picture.ok()) return picture.status();
  const auto png = EncodePng(*picture);
  if (!png.ok()) return png.status();
  if (absl::Status status = WriteFile(options.png, {std::as_bytes(std::span(*png))}); !status.ok()) return status;
  std::printf("%s: %d x %d pixels; %s\n", Printable(options.png).c_str(), static_cast<int>(picture->width),
              static_cast<int>(picture->height), Printable(picture->description).c_str());
  return absl::OkStatus();
}

absl::Status WriteHtml(Inputs& inputs, const ShowOptions& options, const std::vector<Kind>& kinds) {
  const std::string& file = options.input.empty() ? options.names.weights : options.input;
  PageSource source{.title = std::filesystem::path(file).filename().string(), .batch = options.batch, .kinds = {}};
  for (const Kind kind : kinds) {
    auto layers = OpenLayers(inputs, options, kind);
    if (!layers.ok()) return layers.status();
    source.kinds.push_back(*std::move(layers));
  }
  const auto page = MakePage(source);
  if (!page.ok()) return page.status();
  std::size_t size_bytes = 0;
  std::vector<std::span<const std::byte>> pieces;
  for (const std::string& piece : *page) {
    pieces.push_back(std::as_bytes(std::span(piece)));
    size_bytes += piece.size();
  }
  if (absl::Status status = WriteFile(options.html, pieces); !status.ok()) return status;
  std::printf("%s: %.1f MB\n", Printable(options.html).c_str(), static_cast<double>(size_bytes) / 1e6);
  return absl::OkStatus();
}

absl::Status Show(const ShowOptions& options) {
  auto inputs = Inputs::Open(options.input);
  if (!inputs.ok()) return inputs.status();
  const auto kinds = KindsToShow(*inputs, options);
  if (!kinds.ok()) return kinds.status();
  if (options.png.empty() && options.html.empty()) return ShowInTerminal(*inputs, options, kinds->front());
  if (!options.png.empty()) {
    if (absl::Status status = WritePng(*inputs, options, kinds->front()); !status.ok()) return status;
  }
  return options.html.empty() ? absl::OkStatus() : WriteHtml(*inputs, options, *kinds);
}

}  // namespace

int RunShow(const ShowOptions& options) {
  const absl::Status status = Show(options);
  return status.ok() ? kOk : FailInput(status);
}

}  // namespace attnd::cli
