// A graph of + and * recorded and optimized by CppAD, and replayed for one point.
// Layer: benchmarks, compiled by the engine cppad. May include CppAD.
#include <cppad/cppad.hpp>

#include <cstdint>
#include <vector>

using AD = CppAD::AD<double>;
using Graph = CppAD::ADFun<double>;

// Operation i makes node n + i: operands a[i] and b[i] are nodes, the first n of them leaves.
extern "C" Graph *graph_record(size_t n, const double *leaves, size_t operations, const uint8_t *product,
                               const uint32_t *a, const uint32_t *b) {
    std::vector<AD> x(leaves, leaves + n);
    CppAD::Independent(x);
    std::vector<AD> nodes(x);
    nodes.reserve(n + operations);
    for (size_t i = 0; i < operations; i++)
        nodes.push_back(product[i] ? nodes[a[i]] * nodes[b[i]] : nodes[a[i]] + nodes[b[i]]);
    auto *graph = new Graph(x, std::vector<AD>{nodes.back()});
    graph->optimize();
    graph->check_for_nan(false);  // or each sweep looks at all it has computed
    return graph;
}

extern "C" double graph_forward(Graph *graph, size_t n, const double *leaves) {
    return graph->Forward(0, std::vector<double>(leaves, leaves + n))[0];
}

extern "C" void graph_reverse(Graph *graph, size_t n, double *gradient) {
    const std::vector<double> found = graph->Reverse(1, std::vector<double>{1.0});
    for (size_t i = 0; i < n; i++) gradient[i] = found[i];
}
