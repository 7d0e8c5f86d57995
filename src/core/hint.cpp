#include "core/hint.h"

#include <ostream>

namespace tabula {
namespace {

int64_t last(IntList sizes, int64_t back) { return int64_t(sizes.size()) >= back ? sizes[sizes.size() - size_t(back)] : -1; }

bool broadcasts(IntList a, IntList b) {
  for (size_t i = 1; i <= std::min(a.size(), b.size()); i++) {
    const int64_t x = a[a.size() - i], y = b[b.size() - i];
    if (x != y && x != 1 && y != 1) return false;
  }
  return true;
}

// Where a dimension of size 1 would have to go into `a`, counted from the end, so that it fits `b`; 0 for nowhere.
int64_t unsqueeze_place(IntList a, IntList b) {
  for (int64_t back = 1; back <= int64_t(a.size()); back++) {
    Dims longer(a);
    longer.push_back(1);
    for (int64_t i = longer.size() - 1; i > longer.size() - back; i--) std::swap(longer[i], longer[i - 1]);
    if (broadcasts(longer, b)) return -back;
  }
  return 0;
}

Dims transposed(IntList sizes) {
  Dims t(sizes);
  if (t.size() > 1) std::swap(t[t.size() - 1], t[t.size() - 2]);
  return t;
}

void broadcast(std::ostream& out, IntList a, IntList b) {
  out << "shapes " << shape_text(a) << " and " << shape_text(b) << " are compared from their last dimensions on";
  for (int64_t back = 1; back <= int64_t(std::min(a.size(), b.size())); back++) {
    const int64_t x = last(a, back), y = last(b, back);
    if (x == y || x == 1 || y == 1) continue;
    out << "; dimension " << -back << " is " << x << " and " << y;
    break;
  }
  if (a.size() < b.size() && unsqueeze_place(a, b))
    out << ". unsqueeze(" << unsqueeze_place(a, b) << ") on the first would make them fit.";
  else if (b.size() < a.size() && unsqueeze_place(b, a))
    out << ". unsqueeze(" << unsqueeze_place(b, a) << ") on the second would make them fit.";
  else if (broadcasts(a, transposed(b)))
    out << ". The transpose of the second, .mT, would fit.";
  else
    out << ". Align them with unsqueeze, view or transpose.";
}

void product(std::ostream& out, IntList a, IntList b) {
  const int64_t inner = last(a, 1), rows = b.size() == 1 ? last(b, 1) : last(b, 2);
  out << "in " << shape_text(a) << " @ " << shape_text(b);
  if (inner == rows) {
    out << " the batch dimensions differ.";
    return;
  }
  out << " the last dimension of the first, " << inner << ", has to equal dimension " << (b.size() == 1 ? -1 : -2) << " of the second, " << rows;
  if (b.size() > 1 && last(b, 1) == inner)
    out << "; with the second transposed, .mT, it would.";
  else if (a.size() > 1 && last(a, 2) == rows)
    out << "; with the first transposed, .mT, it would.";
  else
    out << ".";
}

void join(std::ostream& out, const Hint& h) {
  out << "tensor 0 has shape " << shape_text(h.a) << ", tensor " << h.number << " has " << shape_text(h.b);
  if (h.a.size() != h.b.size()) {
    out << "; unsqueeze the one with fewer dimensions.";
    return;
  }
  Dims differing;
  for (size_t d = 0; d < h.a.size(); d++)
    if (h.a[d] != h.b[d]) differing.push_back(int64_t(d));
  if (differing.size() == 1)
    out << "; they would fit along dim=" << differing[0] << ".";
  else
    out << "; all dimensions but " << h.dim << " have to be alike.";
}

void view(std::ostream& out, IntList sizes, IntList wanted) {
  int64_t asked = 1, unknown = 0;
  for (int64_t s : wanted) {
    unknown += s == -1;
    if (s != -1 && __builtin_mul_overflow(asked, s, &asked)) asked = -1;
  }
  out << "the input has shape " << shape_text(sizes) << ", " << count_elements(sizes) << " elements";
  if (unknown)
    out << ", which is no multiple of the " << asked << " that the other dimensions make.";
  else
    out << "; the shape asks for " << asked << ". A -1 lets one dimension follow from the others.";
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Hint& h) {
  out << "\nHint: ";
  switch (h.kind) {
    case Hint::Kind::Broadcast: broadcast(out, h.a, h.b); break;
    case Hint::Kind::Product: product(out, h.a, h.b); break;
    case Hint::Kind::Join: join(out, h); break;
    case Hint::Kind::View: view(out, h.a, h.b); break;
    case Hint::Kind::Index:
      out << "the tensor has shape " << shape_text(h.a) << "; along dimension " << h.dim;
      if (h.a[size_t(h.dim)] == 0)
        out << " it is empty.";
      else
        out << " indices go from " << -h.a[size_t(h.dim)] << " to " << h.a[size_t(h.dim)] - 1 << ".";
      break;
    case Hint::Kind::Features:
      out << "the last " << h.b.size() << " dimension" << (h.b.size() == 1 ? "" : "s") << " of the input " << shape_text(h.a) << " should be " << shape_text(h.b) << ".";
      break;
    case Hint::Kind::Channels:
      out << "input " << shape_text(h.a) << ", weight " << shape_text(h.b) << ": dimension 1 of the input should be " << h.number << ".";
      if (h.a.size() == h.b.size() && last(h.a, 1) == h.number) out << " Its channels seem to come last: permute them to dimension 1.";
      break;
    case Hint::Kind::Target:
      out << "input " << shape_text(h.a) << ", target " << shape_text(h.b);
      if (count_elements(h.a) == count_elements(h.b))
        out << ": they have as many elements, so target.view_as(input) may be what is meant.";
      else
        out << ".";
      break;
  }
  return out;
}

}  // namespace tabula
