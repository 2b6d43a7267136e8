// What vector units do at best, compiled for every instruction set and dispatched at run time.
#pragma once

#include <cstddef>

namespace attnd::bench {

// Of a count that is a multiple of 64.
float Sum(const float* from, std::size_t count);
// e^x of each, by Highway's vector library.
void Exponentials(const float* from, std::size_t count, float* to);

}  // namespace attnd::bench
