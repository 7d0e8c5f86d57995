// Tells the layers below how libraries that are opened at first use are reached.
#pragma once

namespace tabula::py {

void add_libraries();

}  // namespace tabula::py
