#include "server/attnd_v1/server_info.h"

#include <absl/strings/str_cat.h>
#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

#include "core/limits.h"
#include "core/machine.h"
#include "server/attnd_v1/element_type.h"
#include "server/attnd_v1/stream_reactor.h"
#include "server/version.h"

namespace attnd::server::attnd_v1 {
namespace {

using google::protobuf::FieldDescriptor;

// An option is what is neither a tensor nor where key and value come from.
std::vector<const FieldDescriptor*> OptionsOf(const google::protobuf::Descriptor& type) {
  std::vector<const FieldDescriptor*> options;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const bool is_tensor = field.message_type() == v1::TensorDescription::descriptor();
    if (!is_tensor && field.real_containing_oneof() == nullptr) options.push_back(&field);
  }
  return options;
}

// Read from the interface's own description, so that the list is as new as the interface. Masks and summaries are no
// options but hold them; an option that holds several is followed by these.
void AddOptions(const google::protobuf::Descriptor& type, const std::string& prefix, v1::GetServerInfoResponse& info) {
  for (const FieldDescriptor* field : OptionsOf(type)) {
    const std::string name = absl::StrCat(prefix, field->name());
    const google::protobuf::Descriptor* const message = field->message_type();
    const bool is_group = message == v1::Mask::descriptor() || message == v1::Summaries::descriptor();
    if (!is_group) info.add_options(name);
    if (message != nullptr && OptionsOf(*message).size() > 1) AddOptions(*message, name + ".", info);
  }
}

}  // namespace

v1::GetServerInfoResponse DescribeServer(const AttendContext& context) {
  v1::GetServerInfoResponse info;
  info.set_version(std::string(Version()));
  info.set_onednn_version(core::OnednnVersion());
  const std::vector<std::string> found = core::InstructionSetsFound();
  info.mutable_instruction_sets_found()->Add(found.begin(), found.end());
  info.set_onednn_instruction_set(core::OnednnInstructionSet());
  info.set_vector_instruction_set(core::VectorInstructionSet());
  info.set_worker_count(context.engine->worker_count());
  v1::Limits& limits = *info.mutable_limits();
  limits.set_max_message_bytes(context.max_message_bytes);
  limits.set_max_in_flight_bytes(context.max_in_flight_bytes);
  limits.set_max_head_size(core::kMaxHeadSize);
  limits.set_max_stream_requests(kMaxStreamRequests);
  limits.set_max_stream_bytes(context.max_stream_bytes);
  limits.set_stream_stall_seconds(absl::ToDoubleSeconds(context.stream_stall));
  for (const core::KernelDescription& kernel : context.engine->kernels()) {
    v1::KernelInfo& added = *info.add_kernels();
    added.set_element_type(ToProto(kernel.element_type));
    added.set_kernel(kernel.kernel);
  }
  AddOptions(*v1::AttentionProblem::descriptor(), "", info);
  return info;
}

}  // namespace attnd::server::attnd_v1
