// Kernels as XLA calls them. Nothing here is of one model: what a kernel is stands in a registry, under a
// hash of what it was made of.

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace {

namespace ffi = xla::ffi;
using Whole = ffi::Buffer<ffi::S32>;

// ------------------------------------------------------------ the registry

struct Kernel {
    int64_t lanes;
    void *scratch, *positions, *blocks, *results;
};

// The functions of a kernel, as its own text explains them.
using Scratch = int64_t(int64_t rows);
template <typename Real>
using Positions = void(int64_t first, int64_t last, const Real *positions, const int32_t *owner,
                       const int32_t *shift, const int32_t *structure, const Real *cells, Real *X);
template <typename Real>
using Blocks = void(int64_t first, int64_t last, const int32_t *species, const int32_t *atom,
                    const int64_t *rows, const int32_t *neighbour, const Real *X,
                    const Real *coefficients, Real *scratch, Real *F, Real *out);
template <typename Real>
using Collect = void(int64_t first, int64_t last, int64_t atoms, const int64_t *images,
                     const int64_t *slot, const Real *F, const Real *out, Real *energies, Real *forces,
                     Real *virials);

std::mutex registering;
std::map<std::string, Kernel, std::less<>> registry;

const Kernel *find(std::string_view key) {
    const std::lock_guard<std::mutex> lock(registering);
    const auto found = registry.find(key);
    return found == registry.end() ? nullptr : &found->second;  // never taken out again
}

// ------------------------------------------------------------ memory and threads

// Numbers at a multiple of 64 bytes, not set.
template <typename Real>
class Space {
  public:
    explicit Space(int64_t size)
        : at_(static_cast<Real *>(std::aligned_alloc(64, (size * sizeof(Real) + 127) / 64 * 64))) {
        if (at_ == nullptr) throw std::bad_alloc();
    }
    ~Space() { std::free(at_); }
    Space(const Space &) = delete;
    Space &operator=(const Space &) = delete;
    Real *at(int64_t k) const { return at_ + k; }

  private:
    Real *at_;
};

// Parts of one call. Whoever is free takes the next one; the caller takes its share, and waits only for
// parts that a running thread has taken: it cannot wait for a thread that never comes.
class Parts {
  public:
    explicit Parts(int64_t count) : count_(count) {}

    template <typename Job>
    void take(const Job &job, int64_t worker) {
        for (int64_t p; (p = next_++) < count_;) {
            job(p, worker);
            const std::lock_guard<std::mutex> lock(mutex_);
            if (++done_ == count_) all_done_.notify_all();
        }
    }
    void wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        all_done_.wait(lock, [this] { return done_ == count_; });
    }

  private:
    const int64_t count_;
    std::atomic<int64_t> next_{0};
    int64_t done_ = 0;
    std::mutex mutex_;
    std::condition_variable all_done_;
};

template <typename Job>
void in_parallel(ffi::ThreadPool &pool, int64_t count, int64_t workers, const Job &job) {
    const auto parts = std::make_shared<Parts>(count);  // a late worker finds it, and nothing to do
    for (int64_t w = 1; w < workers; w++)
        pool.Schedule([parts, &job, w] { parts->take(job, w); });
    parts->take(job, 0);
    parts->wait();
}

// ------------------------------------------------------------ one call

std::vector<int64_t> wide(const Whole &x) {
    return std::vector<int64_t>(x.typed_data(), x.typed_data() + x.element_count());
}

// Arrays are those of `etace.native.graph.NativeGraph`; energy: [S]; energies: [n]; forces: [n][3];
// virial: [S][6], Voigt order.
template <ffi::DataType R>
ffi::Error run(ffi::ThreadPool pool, std::string_view key, int64_t each, int64_t apart, int64_t threads, double far,
               ffi::Buffer<R> coefficients, ffi::Buffer<R> positions, ffi::Buffer<R> cells, Whole slot,
               Whole species, Whole atom, Whole rows, Whole neighbour, Whole owner, Whole shift,
               Whole images, Whole structure, ffi::ResultBuffer<R> energy,
               ffi::ResultBuffer<R> energies, ffi::ResultBuffer<R> forces,
               ffi::ResultBuffer<R> virial) try {
    using Real = ffi::NativeType<R>;
    const Kernel *const kernel = find(key);
    if (kernel == nullptr)
        return ffi::Error(ffi::ErrorCode::kNotFound,
                          "the native kernel " + std::string(key) +
                              " is not registered in this process: make a graph of its model first "
                              "(model.fast_graph)");
    const int64_t W = kernel->lanes;
    if (atom.dimensions().back() != W || neighbour.dimensions().back() != W)
        return ffi::Error::InvalidArgument("the graph was made for a kernel with other lanes");
    const int64_t n = slot.element_count(), blocks = species.element_count();
    const int64_t S = energy->element_count(), count = owner.element_count();
    const int64_t parts = (blocks + each - 1) / each, stride = 4 * (count + apart * parts);
    if (static_cast<int64_t>(positions.element_count()) != 3 * n)
        return ffi::Error::InvalidArgument("positions are not those of the graph's atoms");
    const std::vector<int64_t> row = wide(rows), image = wide(images), place = wide(slot);
    const int64_t kinds = (static_cast<int64_t>(row.size()) - 1) / blocks;

    const Space<Real> X(stride), F(stride), out(blocks * 7 * W), virials(6 * n);
    std::memset(F.at(0), 0, stride * sizeof(Real));
    std::fill(X.at(4 * count), X.at(stride), static_cast<Real>(far));
    reinterpret_cast<Positions<Real> *>(kernel->positions)(
        0, count, positions.typed_data(), owner.typed_data(), shift.typed_data(),
        structure.typed_data(), cells.typed_data(), X.at(0));

    int64_t longest = 0;
    for (int64_t b = 0; b < blocks; b++)
        longest = std::max(longest, row[(b + 1) * kinds] - row[b * kinds]);
    const int64_t room = reinterpret_cast<Scratch *>(kernel->scratch)(longest);
    const int64_t workers = std::min(parts, std::max<int64_t>(threads ? threads : pool.num_threads(), 1));
    const int64_t whole = (room + 15) / 16 * 16;
    const Space<Real> scratch(workers * whole);
    in_parallel(pool, parts, workers, [&](int64_t p, int64_t worker) {
        reinterpret_cast<Blocks<Real> *>(kernel->blocks)(
            p * each, std::min((p + 1) * each, blocks), species.typed_data(),
            atom.typed_data(), row.data(), neighbour.typed_data(), X.at(0), coefficients.typed_data(),
            scratch.at(worker * whole), F.at(0), out.at(0));
    });
    reinterpret_cast<Collect<Real> *>(kernel->results)(
        0, n, n, image.data(), place.data(), F.at(0), out.at(0), energies->typed_data(),
        forces->typed_data(), virials.at(0));

    // sums in the order of the atoms
    std::vector<double> total(7 * S, 0.0);
    for (int64_t i = 0; i < n; i++) {
        double *const sum = &total[7 * structure.typed_data()[i]];
        sum[0] += energies->typed_data()[i];
        for (int q = 0; q < 6; q++) sum[1 + q] += *virials.at(6 * i + q);
    }
    for (int64_t s = 0; s < S; s++) {
        energy->typed_data()[s] = static_cast<Real>(total[7 * s]);
        for (int q = 0; q < 6; q++)
            virial->typed_data()[6 * s + q] = static_cast<Real>(total[7 * s + 1 + q]);
    }
    return ffi::Error::Success();
} catch (const std::bad_alloc &) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted, "no memory is left for a native kernel");
}

template <ffi::DataType R>
auto binding() {
    using Reals = ffi::Buffer<R>;
    return ffi::Ffi::Bind()
        .Ctx<ffi::ThreadPool>()
        .Attr<std::string_view>("key")
        .Attr<int64_t>("each")
        .Attr<int64_t>("apart")
        .Attr<int64_t>("threads")
        .Attr<double>("far")
        .template Arg<Reals>()
        .template Arg<Reals>()
        .template Arg<Reals>()
        .template Arg<Whole>()
        .template Arg<Whole>()
        .template Arg<Whole>()
        .template Arg<Whole>()
        .template Arg<Whole>()
        .template Arg<Whole>()
        .template Arg<Whole>()
        .template Arg<Whole>()
        .template Arg<Whole>()
        .template Ret<Reals>()
        .template Ret<Reals>()
        .template Ret<Reals>()
        .template Ret<Reals>();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(etace_float64, run<ffi::F64>, binding<ffi::F64>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(etace_float32, run<ffi::F32>, binding<ffi::F32>());

// Makes a kernel known; one that is known already stays as it is.
extern "C" void etace_register(const char *key, int64_t lanes, void *scratch, void *positions,
                               void *blocks, void *results) {
    const std::lock_guard<std::mutex> lock(registering);
    registry.emplace(key, Kernel{lanes, scratch, positions, blocks, results});
}
