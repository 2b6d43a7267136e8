// From the interface's summaries to the core's.
#pragma once

#include <attnd/v1/attention.pb.h>

#include "core/summaries.h"

namespace attnd::server::attnd_v1 {

core::SummaryOptions ToSummaries(const v1::Summaries& summaries);

}  // namespace attnd::server::attnd_v1
