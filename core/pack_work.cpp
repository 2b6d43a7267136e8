#include "core/pack_work.h"

namespace attnd::core {

Work::Claim PackWork::ClaimTask() {
  while (group_ < execution_.plan().groups && key_tile_ == packed_.group(group_).key_tiles()) {
    ++group_;
    key_tile_ = 0;
  }
  if (group_ == execution_.plan().groups) return {.kind = Claim::Kind::kNoMore, .task = nullptr};
  return {.kind = Claim::Kind::kTask, .task = [this, group = group_, key_tile = key_tile_++](Scratch& scratch) {
            execution_.Pack(group, key_tile, packed_.group(group), scratch);
          }};
}

}  // namespace attnd::core
