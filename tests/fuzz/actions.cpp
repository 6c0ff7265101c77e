// Steps that do something: schedule, switch modes, watch, write.
#include <algorithm>
#include <exception>
#include <thread>

#include "tests/fuzz/program.h"

namespace jacquard::fuzz {
namespace {

using T = TrackedTensor;

bool any_value(const T&) { return true; }
bool tracked(const T& t) { return t.is_tracked() && t.numel() > 0; }
bool leaf(const T& t) { return t.is_leaf() && t.numel() > 0; }
bool inner(const T& t) { return tracked(t) && !t.is_leaf(); }

void on_value(std::vector<Operation>& out, const char* name, int weight,
              Sketch::Condition which,
              std::function<void(Machine&, const Step&, const T&)> f) {
  out.push_back({name, weight,
                 [which = std::move(which)](Sketch& k, Step& s) {
                   s.in = {k.pick(which)};
                   s.n[0] = k.random.below(1 << 20);
                   return s.in[0] >= 0;
                 },
                 [f = std::move(f)](Machine& m, const Step& s) {
                   f(m, s, operand(m, s, 0));
                   return T();
                 }});
}

// Nothing that can be seen depends on these.
void add_scheduling(std::vector<Operation>& out) {
  on_value(out, "(materialize)", 14, any_value,
           [](Machine& m, const Step&, const T& x) {
             if (m.schedules()) materialize(x);
           });
  on_value(out, "(print)", 4, any_value,
           [](Machine& m, const Step&, const T& x) {
             if (m.schedules()) (void)to_string(x);
           });
  on_value(out, "(materialize without grad)", 4, any_value,
           [](Machine& m, const Step&, const T& x) {
             if (!m.schedules()) return;
             const NoGrad off;
             materialize(x);
           });
  on_value(out, "(materialize in a thread)", 2, any_value,
           [](Machine& m, const Step&, const T& x) {
             if (!m.schedules()) return;
             std::exception_ptr error;
             std::thread([&] {
               try {
                 materialize(x);
               } catch (...) {
                 error = std::current_exception();
               }
             }).join();
             if (error) std::rethrow_exception(error);
           });
  on_value(
      out, "(use elsewhere)", 6,
      [](const T& t) { return is_floating(t.dtype()); },
      [](Machine& m, const Step&, const T& x) {
        if (m.schedules()) materialize(x * 2.0 + 1.0);
      });
  on_value(
      out, "(use elsewhere without grad)", 3,
      [](const T& t) { return is_floating(t.dtype()); },
      [](Machine& m, const Step&, const T& x) {
        if (!m.schedules()) return;
        const NoGrad off;
        materialize(exp(x * 0.01));
      });
  out.push_back({"(materialize many)", 5,
                 [](Sketch& k, Step& s) {
                   for (int i = 0; i < 3; ++i) {
                     const int v = k.pick(any_value);
                     if (v >= 0) s.in.push_back(v);
                   }
                   return s.in.size() > 1;
                 },
                 [](Machine& m, const Step& s) {
                   std::vector<T> all;
                   for (std::size_t i = 0; i < s.in.size(); ++i)
                     all.push_back(operand(m, s, i));
                   if (m.schedules()) materialize(all);
                   return T();
                 }});
}

void add_modes(std::vector<Operation>& out) {
  const auto scope = [&](const char* name, bool enabled) {
    out.push_back({name, 2, [](Sketch& k, Step&) { return k.scopes() < 3; },
                   [enabled](Machine& m, const Step&) {
                     m.enter_scope(enabled);
                     return T();
                   }});
  };
  scope("{ no_grad", false);
  scope("{ enable_grad", true);
  out.push_back({"}", 12, [](Sketch& k, Step&) { return k.scopes() > 0; },
                 [](Machine& m, const Step&) {
                   m.leave_scope();
                   return T();
                 }});
  out.push_back({"stop_gradient", 6,
                 [](Sketch& k, Step& s) {
                   s.in = {k.pick_floating()};
                   return s.in[0] >= 0;
                 },
                 [](Machine& m, const Step& s) {
                   return stop_gradient(operand(m, s, 0));
                 }});
  out.push_back({"copy of the handle", 1,
                 [](Sketch& k, Step& s) {
                   s.in = {k.pick(any_value)};
                   return s.in[0] >= 0;
                 },
                 [](Machine& m, const Step& s) { return operand(m, s, 0); }});
  out.push_back({"drop", 4,
                 [](Sketch& k, Step& s) {
                   s.in = {k.pick([](const T& t) { return !t.is_leaf(); })};
                   return s.in[0] >= 0;
                 },
                 [](Machine& m, const Step& s) {
                   m.values[static_cast<std::size_t>(s.in[0])] = {};
                   return T();
                 }});
}

// A gradient inside of the program.
void add_levels(std::vector<Operation>& out) {
  out.push_back(
      {"inner gradient", 4,
       [](Sketch& k, Step& s) {
         const int a = k.pick(tracked);
         const int b = a < 0 ? a : k.pick_fitting(a, true);
         s.in = {a, b};
         return b >= 0;
       },
       [](Machine& m, const Step& s) {
         const T& w = operand(m, s, 1);
         return gradient(
             [&](const T& x) { return sum(sin(x) * w + x * x * 0.5); },
             operand(m, s, 0));
       }});
}

// Questions about values that others were fused with as well: none comes too
// late.
void add_watching(std::vector<Operation>& out) {
  on_value(out, "hook", 6, tracked, [](Machine& m, const Step&, const T& x) {
    watch(m, x, m.current());
  });
  // The later value is asked first: what is computed in which order does not
  // change the order of the walk.
  out.push_back({"hooks, last first", 6,
                 [](Sketch& k, Step& s) {
                   const int a = k.pick(tracked), b = k.pick(tracked);
                   s.in = {std::max(a, b), std::min(a, b)};
                   return a != b && s.in[1] >= 0;
                 },
                 [](Machine& m, const Step& s) {
                   watch(m, operand(m, s, 0), 2 * m.current());
                   watch(m, operand(m, s, 1), 2 * m.current() + 1);
                   return T();
                 }});
  on_value(out, "retain_grad", 8, inner,
           [](Machine& m, const Step& s, const T& x) {
             x.retain_grad();
             m.retained.push_back(s.in[0]);
           });
  on_value(out, "hook that halves", 6, inner,
           [](Machine& m, const Step&, const T& x) {
             if (m.hooks_change) x.hook([](const T& g) { return g * 0.5; });
           });
  on_value(out, "backward", 10, tracked,
           [](Machine& m, const Step& s, const T& x) {
             if (m.inside_transform) return;
             const bool retained = s.n[0] % 2 == 0;
             m.gave_up = m.gave_up || !retained;
             try {
               backward(mean(cast(x, DType::float64)), {},
                        {.retain_graph = retained});
             } catch (const GraphError&) {
               m.note("error");
             }
           });
}

void add_writers(std::vector<Operation>& out) {
  on_value(out, "assign", 3, leaf, [](Machine&, const Step& s, const T& x) {
    if (x.is_leaf())
      x.assign(random_tensor(s.n[0], x.shape(), x.dtype()).data());
  });
  on_value(out, "update_in_place", 5, leaf,
           [](Machine&, const Step& s, const T& x) {
             if (!x.is_leaf()) return;
             const T other = random_tensor(s.n[0], x.shape(), x.dtype());
             update_in_place({{x, other}}, 1, [](const std::vector<T>& t) {
               return std::vector<T>{t[0] * 0.75 - t[1] * 0.25};
             });
           });
}

}  // namespace

void watch(Machine& m, const T& x, int name) {
  x.hook([&m, name](const T& g) {
    m.seen.push_back({name, "hook", g.to_host<double>()});
    return T();
  });
}

void add_actions(std::vector<Operation>& out) {
  add_scheduling(out);
  add_modes(out);
  add_levels(out);
  add_watching(out);
  add_writers(out);
}

}  // namespace jacquard::fuzz
