// page.html with page.css and page.js in it, which the build makes a string of.
#pragma once

namespace attnd::cli {

// "<!-- DATA -->" stands where the data belong.
const char* PageTemplate();

}  // namespace attnd::cli
