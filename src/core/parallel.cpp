#include "core/parallel.h"

#include "core/state.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace tabula {
namespace {

thread_local bool inside_piece = false;

// The container's CPU quota (cgroup v2, then v1), rounded up; 0 where there is none.
int quota_cpus() {
  long long quota = -1, period = 0;
  if (std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "re")) {
    if (std::fscanf(file, "%lld %lld", &quota, &period) != 2) quota = -1;
    std::fclose(file);
  } else if (std::FILE* v1 = std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re")) {
    if (std::fscanf(v1, "%lld", &quota) != 1) quota = -1;
    std::fclose(v1);
    if (std::FILE* p = std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re")) {
      if (std::fscanf(p, "%lld", &period) != 1) period = 0;
      std::fclose(p);
    }
  }
  return quota > 0 && period > 0 ? int((quota + period - 1) / period) : 0;
}

int default_threads() {
  for (const char* name : {"OMP_NUM_THREADS", "MKL_NUM_THREADS"}) {
    if (const char* text = std::getenv(name)) {
      const int n = std::atoi(text);
      if (n > 0) return std::min(n, 1024);
    }
  }
  cpu_set_t set;
  int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : int(std::thread::hardware_concurrency());
  if (const int quota = quota_cpus()) cpus = std::min(cpus, quota);
  return std::clamp(cpus, 1, 1024);
}

struct Job {
  Job(int64_t pieces, void (*piece)(void*, int64_t), void* context) : pieces(pieces), piece(piece), context(context) {}
  const int64_t pieces;
  void (*const piece)(void*, int64_t);
  void* const context;
  std::atomic<int64_t> next{0};
  std::atomic<int> workers{0};  // pool threads that hold this job
  std::mutex failure_lock;
  std::exception_ptr failure;

  void work() {
    const bool outer = inside_piece;
    inside_piece = true;
    for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < pieces;) {
      try {
        piece(context, i);
      } catch (...) {
        std::lock_guard guard(failure_lock);
        if (!failure) failure = std::current_exception();
        next.store(pieces, std::memory_order_relaxed);
      }
    }
    inside_piece = outer;
  }
};

class WithoutInterpreter {
 public:
  WithoutInterpreter() : held_(interpreter_lock.release && !thread_state.keeps_interpreter ? interpreter_lock.release() : nullptr) {}
  ~WithoutInterpreter() {
    if (held_) interpreter_lock.acquire(held_);
  }
  WithoutInterpreter(const WithoutInterpreter&) = delete;

 private:
  void* const held_;
};

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

class Pool {
 public:
  explicit Pool(int threads) { start(threads); }

  // Waits for the job that is running, if any.
  void resize(int threads) {
    std::lock_guard busy(busy_);
    {
      std::lock_guard guard(lock_);
      stop_ = true;
      epoch_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
    workers_.clear();
    stop_ = false;
    start(threads);
  }

  // One job at a time; a caller that finds the pool busy does its work alone.
  void run(Job& job) {
    std::unique_lock busy(busy_, std::try_to_lock);
    if (!busy.owns_lock() || workers_.empty()) {
      job.work();
    } else {
      {
        std::lock_guard guard(lock_);
        job_ = &job;
        epoch_.fetch_add(1, std::memory_order_release);
      }
      wake_.notify_all();
      job.work();
      {
        // a worker that has not come yet finds nothing to do: on a busy machine, waiting for it would take longest
        std::lock_guard guard(lock_);
        job_ = nullptr;
      }
      for (int spins = 0; job.workers.load(std::memory_order_acquire) != 0; spins++) {
        if (spins < 4000)
          pause();
        else
          sched_yield();
      }
    }
    if (job.failure) std::rethrow_exception(job.failure);
  }

 private:
  void start(int threads) {
    const uint64_t now = epoch_.load(std::memory_order_relaxed);
    try {
      for (int i = 1; i < threads; i++) workers_.emplace_back([this, now] { loop(now); });
    } catch (const std::system_error&) {
      // the system grants no more threads: those there are share the work
    }
  }

  void loop(uint64_t seen) {
    for (;;) {
      for (int spins = 0; spins < 2000 && epoch_.load(std::memory_order_acquire) == seen; spins++) pause();
      Job* job;
      {
        std::unique_lock guard(lock_);
        wake_.wait(guard, [&] { return epoch_.load(std::memory_order_relaxed) != seen; });
        seen = epoch_.load(std::memory_order_relaxed);
        if (stop_) return;
        job = job_;
        if (job) job->workers.fetch_add(1, std::memory_order_relaxed);
      }
      if (!job) continue;
      job->work();
      job->workers.fetch_sub(1, std::memory_order_release);
    }
  }

  std::vector<std::thread> workers_;
  std::mutex busy_, lock_;
  std::condition_variable wake_;
  std::atomic<uint64_t> epoch_{0};
  Job* job_ = nullptr;
  bool stop_ = false;
};

std::mutex pool_lock;
std::atomic<Pool*> current{nullptr};  // never freed: threads may be on their way into it, also while the process ends
std::atomic<int> wanted{0};

// Threads do not survive fork(): the child drops the pool without joining and makes its own at the next use.
void forget_pool_after_fork() {
  current.store(nullptr);
  new (&pool_lock) std::mutex;
}

Pool& get_pool() {
  if (Pool* p = current.load(std::memory_order_acquire)) return *p;
  std::lock_guard guard(pool_lock);
  Pool* pool = current.load(std::memory_order_acquire);
  if (!pool) {
    static const int registered = pthread_atfork(nullptr, nullptr, forget_pool_after_fork);
    (void)registered;
    pool = new Pool(num_threads());
    current.store(pool, std::memory_order_release);
  }
  return *pool;
}

}  // namespace

InterpreterLock interpreter_lock;

int num_threads() {
  int n = wanted.load(std::memory_order_relaxed);
  if (n == 0) {
    n = default_threads();
    wanted.store(n, std::memory_order_relaxed);
  }
  return n;
}

void set_num_threads(int n) {
  std::lock_guard guard(pool_lock);
  if (n == num_threads()) return;
  wanted.store(n, std::memory_order_relaxed);
  if (Pool* pool = current.load(std::memory_order_acquire)) pool->resize(n);
}

bool in_parallel() { return inside_piece; }

void detail::parallel_run(int64_t pieces, void (*piece)(void*, int64_t), void* context) {
  if (inside_piece) {
    for (int64_t i = 0; i < pieces; i++) piece(context, i);
    return;
  }
  const WithoutInterpreter others_may_run;
  if (num_threads() == 1) {
    for (int64_t i = 0; i < pieces; i++) piece(context, i);
    return;
  }
  Job job(pieces, piece, context);
  get_pool().run(job);
}

}  // namespace tabula
