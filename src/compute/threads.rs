//! A crew of pinned, persistent worker threads and the barrier they meet at.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

/// A barrier that spins briefly and then parks.
///
/// With a processor to each thread the spin ends within tens of nanoseconds; with more threads than processors
/// a spinning thread would keep the one it waits for from running, so it parks at once.
#[derive(Debug)]
pub struct Barrier {
    parties: usize,
    spins: u32,
    arrived: crossbeam_utils::CachePadded<AtomicUsize>,
    generation: crossbeam_utils::CachePadded<AtomicU32>,
    sleepers: AtomicUsize,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Barrier {
    /// A barrier for `parties` threads.
    pub fn new(parties: usize) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            parties,
            spins: if parties <= processors { 20_000 } else { 0 },
            arrived: AtomicUsize::new(0).into(),
            generation: AtomicU32::new(0).into(),
            sleepers: AtomicUsize::new(0),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    /// Waits until all parties have arrived. What each wrote before is visible to all after.
    #[inline]
    pub fn wait(&self) {
        if self.parties == 1 {
            return;
        }
        let generation = self.generation.load(Ordering::Relaxed);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.parties {
            self.arrived.store(0, Ordering::Relaxed);
            // Sequentially consistent against `sleepers`: either this sees the sleeper, or the sleeper, which
            // announces itself first, sees the new generation.
            self.generation.store(generation.wrapping_add(1), Ordering::SeqCst);
            if self.sleepers.load(Ordering::SeqCst) > 0 {
                drop(self.lock.lock());
                self.wake.notify_all();
            }
            return;
        }
        for _ in 0..self.spins {
            if self.generation.load(Ordering::Acquire) != generation {
                return;
            }
            std::hint::spin_loop();
        }
        self.park(generation);
    }

    #[cold]
    fn park(&self, generation: u32) {
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let mut guard = self.lock.lock().unwrap_or_else(|e| e.into_inner());
        while self.generation.load(Ordering::SeqCst) == generation {
            guard = self.wake.wait(guard).unwrap_or_else(|e| e.into_inner());
        }
        drop(guard);
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }
}

type Task = *const (dyn Fn(usize) + Sync);

struct Shared {
    start: Barrier,
    end: Barrier,
    /// The task of the current round; valid from `start` to `end` of that round.
    task: Mutex<Option<TaskPtr>>,
    stop: AtomicBool,
    panicked: AtomicBool,
}

#[derive(Clone, Copy)]
struct TaskPtr(Task);
// SAFETY: the task is `Sync` and outlives the round in which the pointer is used (see `Crew::run`).
unsafe impl Send for TaskPtr {}

/// A fixed crew of worker threads, each pinned to a processor where the system allows it.
///
/// A crew of one runs its tasks on the calling thread and starts none.
pub struct Crew {
    size: usize,
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Crew({})", self.size)
    }
}

impl Crew {
    /// Starts `size` workers (at least one).
    pub fn new(size: usize) -> Self {
        let size = size.max(1);
        let shared = Arc::new(Shared {
            start: Barrier::new(size + 1),
            end: Barrier::new(size + 1),
            task: Mutex::new(None),
            stop: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
        });
        let handles = (0..if size == 1 { 0 } else { size })
            .map(|index| {
                let shared = shared.clone();
                std::thread::Builder::new()
                    .name(format!("tessera-{index}"))
                    .spawn(move || worker(index, size, &shared))
                    .expect("the system can start a thread")
            })
            .collect();
        Self { size, shared, handles }
    }

    /// Number of workers.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Runs `task(worker index)` on every worker and returns when all have finished.
    ///
    /// # Panics
    /// If the task panicked on any worker. A task that synchronises its workers must not panic between barriers.
    pub fn run(&self, task: &(dyn Fn(usize) + Sync)) {
        if self.size == 1 {
            return task(0);
        }
        // SAFETY: only the lifetime is changed; the pointer is cleared below before the borrow ends, and workers
        // use it only between the two barriers.
        let task: Task = unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), Task>(task) };
        *self.shared.task.lock().unwrap_or_else(|e| e.into_inner()) = Some(TaskPtr(task));
        self.shared.start.wait();
        self.shared.end.wait();
        *self.shared.task.lock().unwrap_or_else(|e| e.into_inner()) = None;
        assert!(!self.shared.panicked.load(Ordering::SeqCst), "a worker thread panicked");
    }

    /// Runs `job(index)` for every index below `count`, dealt to the workers one at a time.
    pub fn for_each(&self, count: usize, job: &(dyn Fn(usize) + Sync)) {
        let next = AtomicUsize::new(0);
        self.run(&|_| {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    break;
                }
                job(index);
            }
        });
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        if !self.handles.is_empty() {
            self.shared.stop.store(true, Ordering::SeqCst);
            self.shared.start.wait();
            for handle in self.handles.drain(..) {
                let _ = handle.join();
            }
        }
    }
}

fn worker(index: usize, crew: usize, shared: &Shared) {
    pin(index, crew);
    loop {
        shared.start.wait();
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let task = *shared.task.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(TaskPtr(task)) = task {
            // SAFETY: `Crew::run` keeps the task alive until every worker passed the end barrier.
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| unsafe { (*task)(index) }));
            if outcome.is_err() {
                shared.panicked.store(true, Ordering::SeqCst);
            }
        }
        shared.end.wait();
    }
}

/// Pins the calling thread to the `index`-th processor it may run on; without effect where that is impossible or
/// there are more workers than processors.
fn pin(index: usize, crew: usize) {
    #[cfg(target_os = "linux")]
    // SAFETY: the sets are plain bit masks of the size passed along.
    unsafe {
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut allowed) != 0 {
            return;
        }
        let cpus: Vec<usize> = (0..libc::CPU_SETSIZE as usize).filter(|cpu| libc::CPU_ISSET(*cpu, &allowed)).collect();
        if crew > cpus.len() {
            return;
        }
        let mut one: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpus[index], &mut one);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &one);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (index, crew);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn every_worker_runs_and_barriers_order_their_writes() {
        for size in [1, 2, 3, 8] {
            let crew = Crew::new(size);
            let barrier = Barrier::new(size);
            let sum = AtomicU64::new(0);
            for _ in 0..50 {
                crew.run(&|_| {
                    for round in 1..=20u64 {
                        sum.fetch_add(1, Ordering::Relaxed);
                        barrier.wait();
                        assert_eq!(
                            sum.load(Ordering::Relaxed) % (20 * size as u64),
                            (round * size as u64) % (20 * size as u64)
                        );
                        barrier.wait();
                    }
                });
            }
            assert_eq!(sum.load(Ordering::Relaxed), 50 * 20 * size as u64);
        }
    }

    #[test]
    fn for_each_covers_all_indices_once() {
        let crew = Crew::new(3);
        let hits: Vec<AtomicUsize> = (0..100).map(|_| AtomicUsize::new(0)).collect();
        crew.for_each(100, &|i| {
            hits[i].fetch_add(1, Ordering::Relaxed);
        });
        assert!(hits.iter().all(|h| h.load(Ordering::Relaxed) == 1));
    }
}
