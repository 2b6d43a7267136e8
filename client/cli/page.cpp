#include "client/cli/page.h"

#include <absl/status/status.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <utility>

#include "client/cli/color_ramp.h"
#include "client/cli/deflate.h"
#include "client/cli/page_template.h"
#include "client/cli/weight_codes.h"

namespace attnd::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kDataPlace[] = "<!-- DATA -->";
// Of all heads' codes together, before they are deflated.
constexpr std::int64_t kMost16BitBytes = 8 << 20;
// Rows and columns of a head's thumbnail.
constexpr std::int64_t kThumbnailSide = 24;

std::string Base64(const std::string& bytes) {
  std::string text;
  absl::Base64Escape(bytes, &text);
  return text;
}

// Weights of a head, be it of a map or of top keys.
std::int64_t WeightCount(const AttentionLayer& layer) {
  return layer.rows() * (layer.kind() == Kind::kTop ? layer.places() : layer.columns());
}

CodeBits BitsFor(const PageSource& source) {
  std::int64_t bytes = 0;
  for (const auto& layers : source.kinds) {
    for (const AttentionLayer& layer : layers) bytes += 2 * layer.head_count() * WeightCount(layer);
  }
  return bytes <= kMost16BitBytes ? CodeBits::k16 : CodeBits::k8;
}

std::string KeyBytes(const std::vector<std::int32_t>& keys) {
  return std::string(reinterpret_cast<const char*>(keys.data()), keys.size() * sizeof(std::int32_t));
}

// What the page inflates, and the largest weight: the codes of a map; of top keys the keys as int32 and then the codes.
struct HeadData {
  std::string bytes;
  double largest = 0;
};

absl::StatusOr<HeadData> DataOf(const AttentionLayer& layer, std::int64_t head, CodeBits bits) {
  if (layer.kind() == Kind::kTop) {
    const auto top = layer.Top(head);
    if (!top.ok()) return top.status();
    const double largest = LargestWeight(top->weights);
    return HeadData{absl::StrCat(KeyBytes(top->keys), EncodeWeights(top->weights, largest, bits)), largest};
  }
  const auto map = layer.Map(head);
  if (!map.ok()) return map.status();
  const double largest = LargestWeight(map->values);
  return HeadData{EncodeWeights(map->values, largest, bits), largest};
}

// The layers of one kind as the page's JSON, and each head's data as a script element in `pieces`.
absl::StatusOr<Json> DescribeKind(const std::vector<AttentionLayer>& layers, std::size_t kind_index, CodeBits bits,
                                  std::vector<std::string>& pieces) {
  const AttentionLayer& first = layers.front();
  if (first.head_count() * first.rows() * first.columns() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(first.names().tensor, ": ", first.head_count(), " heads of ",
                                                   first.rows(), " x ", first.columns(),
                                                   " weights found, at least one weight expected"));
  }
  std::int64_t columns = 0;
  for (const AttentionLayer& layer : layers) {
    if (layer.shape() != first.shape() || layer.rows() != first.rows()) {
      return absl::InvalidArgumentError(absl::StrCat(layer.names().tensor, ": shape is ", ToString(layer.shape()),
                                                     ", expected ", ToString(first.shape()), " as of ",
                                                     first.names().tensor));
    }
    columns = std::max(columns, layer.columns());
  }
  // Of top keys, the layers may know of different numbers of keys.
  const auto& widest = *std::max_element(layers.begin(), layers.end(), [](const auto& left, const auto& right) {
    return left.columns() < right.columns();
  });
  const std::int64_t factor = std::max<std::int64_t>(PooledSize(std::max(first.rows(), columns), kThumbnailSide), 1);
  Json described = {
      {"kind", KindName(first.kind())}, {"rows", first.rows()},       {"columns", columns},
      {"places", first.places()},       {"thumbnail_factor", factor}, {"queries", widest.labels().queries},
      {"keys", widest.labels().keys},   {"layers", Json::array()}};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const AttentionLayer& layer = layers[i];
    Json heads = Json::array();
    for (std::int64_t head = 0; head < layer.head_count(); ++head) {
      const auto data = DataOf(layer, head, bits);
      if (!data.ok()) return data.status();
      const auto thumbnail = layer.Pooled(head, factor, factor);
      if (!thumbnail.ok()) return thumbnail.status();
      heads.push_back({{"largest", data->largest},
                       {"thumbnail_columns", thumbnail->columns},
                       {"thumbnail", Base64(EncodeWeights(thumbnail->values, data->largest, CodeBits::k8))}});
      pieces.push_back(absl::StrCat("<script type=\"text/plain\" id=\"head-", kind_index, "-", i, "-", head, "\">",
                                    Base64(Deflate(data->bytes)), "</script>\n"));
    }
    described["layers"].push_back(
        {{"label", layer.names().Label()}, {"tensor", layer.names().tensor}, {"heads", heads}});
  }
  return described;
}

Json ToJson(const Rgb& color) { return Json::array({color.red, color.green, color.blue}); }

}  // namespace

std::string ForScriptElement(std::string json) {
  // Only in strings can there be one, and there JSON may escape it.
  return absl::StrReplaceAll(json, {{"<", "\\u003c"}});
}

absl::StatusOr<std::vector<std::string>> MakePage(const PageSource& source) {
  const std::string page = PageTemplate();
  const std::size_t place = page.find(kDataPlace);
  const CodeBits bits = BitsFor(source);
  Json ramp = Json::array();
  for (const Rgb& color : kRamp) ramp.push_back(ToJson(color));
  Json described = {{"title", source.title},
                    {"batch", source.batch},
                    {"bits", bits},
                    {"steps", CodeSteps(bits)},
                    {"thumbnail_steps", CodeSteps(CodeBits::k8)},
                    {"ramp", ramp},
                    {"not_finite", ToJson(kNotFiniteColor)},
                    {"kinds", Json::array()}};
  std::vector<std::string> pieces = {page.substr(0, place), ""};
  for (std::size_t i = 0; i < source.kinds.size(); ++i) {
    auto kind = DescribeKind(source.kinds[i], i, bits, pieces);
    if (!kind.ok()) return kind.status();
    described["kinds"].push_back(*std::move(kind));
  }
  pieces[1] =
      absl::StrCat("<script type=\"application/json\" id=\"attention\">",
                   ForScriptElement(described.dump(-1, ' ', false, Json::error_handler_t::replace)), "</script>\n");
  pieces.push_back(page.substr(place + std::size(kDataPlace) - 1));
  return pieces;
}

}  // namespace attnd::cli
